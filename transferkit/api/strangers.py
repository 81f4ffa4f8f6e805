"""Images of none of a run's classes: how well their strangeness gives them away."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from transferkit.api.inputs import Data, open_data
from transferkit.api.prediction import load_model
from transferkit.api.reference import last_cut, read_reference
from transferkit.data.decode import DecodePolicy, decode_chunks
from transferkit.errors import DataError
from transferkit.evaluation.unknown import Unknown, judge_unknown, strangeness
from transferkit.runs import Run
from transferkit.training.described import described, describer
from transferkit.training.device import prepare


def judged_unknown(run: Run, known: Sequence[str], root: Path, unknown: Data, device: str) -> Unknown:
    """How well the distance from the train images tells unknown images from known ones.

    Args:
        run: a finished run.
        known: paths of images of its classes, below `root`.
        root: where they lie.
        unknown: folder, table or archive of images of none of them.
        device: `auto`, `cpu`, `gpu` or `gpu:N`.

    Raises:
        DataError: not one of the unknown images can be read, or a run of an earlier version.
    """
    reference, (cut, _) = read_reference(run), last_cut(run)
    prepare(device, "float32")
    model = describer(load_model(run), cut)
    strange = open_data(unknown, group_by="")
    paths = [strange.root / path for path in strange.files["path"]]
    of_known = _features(run, model, [root / path for path in known])
    of_unknown = _features(run, model, paths)
    if not len(of_unknown):
        raise DataError(f"{strange.root}: not one of {len(paths)} files could be read as an image.")
    return judge_unknown(
        strangeness(of_known, reference.features), strangeness(of_unknown, reference.features)
    )


def _features(run: Run, model: object, paths: Sequence[Path]) -> np.ndarray:
    policy = DecodePolicy(size_px=int(run.plan["image_size"]), resize=run.plan["resize"])
    batch, classes = run.recipe.batch_size, len(run.labels)
    parts = [
        described(model, chunk.images, classes, batch)[0]
        for chunk in decode_chunks(paths, policy, batch)
        if len(chunk.rows)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
