"""Images of none of a run's classes: how well their strangeness gives them away."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transferkit.api.inputs import Data, open_data
from transferkit.api.prediction import expanded, load_model
from transferkit.api.reference import features_of, last_cut, read_reference
from transferkit.api.work import Candidate, Work
from transferkit.data.decode import DecodePolicy, decode_chunks
from transferkit.errors import DataError, UsageError
from transferkit.evaluation.unknown import (
    Strangeness,
    Unknown,
    judge_strangeness,
    judge_unknown,
    strangeness,
)
from transferkit.runs import Run
from transferkit.training.described import described, describer
from transferkit.training.device import prepare
from transferkit.training.evidence import subsample

# Images of a split whose strangeness is looked at: where the backbone has moved they pass it once more.
MOST = 200


def check_unknown(run: Run, unknown: Data) -> None:
    """Refuse what cannot be judged, before any work.

    Raises:
        UsageError: images of several classes, or no file there.
        DataError: a run of an earlier version.
    """
    if run.multilabel:
        raise UsageError(
            "--unknown asks for images of none of the classes, and images of this run may have several or "
            "none; their mAP without a class says how it does on such."
        )
    read_reference(run)
    last_cut(run)
    _paths(unknown)


def _paths(unknown: Data) -> list[Path]:
    """The files of unknown images; those of a folder need no class folders."""
    if isinstance(unknown, (str, Path)) and Path(unknown).is_dir():
        return expanded([unknown])[0]
    strange = open_data(unknown, group_by="")
    return [strange.root / path for path in strange.files["path"]]


def judged_unknown(run: Run, known: Sequence[str], root: Path, unknown: Data, device: str) -> Unknown:
    """How well the distance from the train images tells unknown images from known ones.

    Args:
        run: a finished run.
        known: paths of images of its classes, below `root`, that it was not made of.
        root: where they lie.
        unknown: folder, table or archive of images of none of them.
        device: `auto`, `cpu`, `gpu` or `gpu:N`.

    Raises:
        DataError: no known image that took no part in the run; not one unknown that can be read.
    """
    if not known:
        raise DataError(
            "--unknown: all labelled images took part in the training or choosing of this run, and beside "
            "them anything looks strange. Give images that it has not seen."
        )
    reference, (cut, _) = read_reference(run), last_cut(run)
    prepare(device, "float32")
    model = describer(load_model(run), cut)
    paths = _paths(unknown)
    of_known = _features(run, model, [root / path for path in known])
    of_unknown = _features(run, model, paths)
    if not len(of_unknown):
        raise DataError(f"--unknown: not one of {len(paths)} files could be read as an image.")
    return judge_unknown(
        strangeness(of_known, reference.features), strangeness(of_unknown, reference.features)
    )


def known_strangeness(work: Work, best: Candidate, model: Any, folder: Path) -> Strangeness:
    """How strange images of the classes are that the run did not train on, and from where on one is.

    Args:
        work: what the run shares.
        best: the classifier that is kept.
        model: see `reference.describer_of`.
        folder: of the run, with its reference.
    """
    reference = read_reference(Run(folder)).features
    split = "test" if "test" in best.probabilities else "val"
    scores, kept = {}, {}
    for each in {"val", split}:
        rows = work.rows[each]
        rows = rows[subsample(work.labels[rows], MOST, work.recipe.seed)]
        features, kept[each] = features_of(work, best, model, rows)
        scores[each] = strangeness(features, reference)
    paths = list(work.index.files["path"].iloc[kept[split]])
    return judge_strangeness(scores["val"], scores[split], paths, split)


def _features(run: Run, model: object, paths: Sequence[Path]) -> np.ndarray:
    policy = DecodePolicy(size_px=int(run.plan["image_size"]), resize=run.plan["resize"])
    batch, classes = run.recipe.batch_size, len(run.labels)
    parts = [
        described(model, chunk.images, classes, batch)[0]
        for chunk in decode_chunks(paths, policy, batch)
        if len(chunk.rows)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
