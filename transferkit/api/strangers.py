"""Images of none of a run's classes: how well their strangeness gives them away."""

import hashlib
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
from transferkit.progress import say
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
        DataError: a run of an earlier version, or one that does not tell which images it has seen.
    """
    if run.multilabel:
        raise UsageError(
            "--unknown asks for images of none of the classes, and images of this run may have several or "
            "none; their mAP without a class says how it does on such."
        )
    if not run.keeps_content:
        raise DataError(
            f"--unknown: {run.folder} has no content.csv, so it cannot be told which of the images took part "
            "in its training, and beside those anything looks strange. Copy the whole folder of the run."
        )
    read_reference(run)
    last_cut(run)
    _paths(unknown)


def _paths(unknown: Data) -> tuple[list[Path], dict[str, str]]:
    """The files of unknown images, and path -> reason of what is no file to read.

    Those of a folder need no class folders.
    """
    if isinstance(unknown, (str, Path)) and Path(unknown).is_dir():
        return expanded([unknown])
    strange = open_data(unknown, group_by="")
    left_out = zip(strange.excluded["path"], strange.excluded["reason"], strict=True)
    failed = {str(strange.root / str(path)): str(reason) for path, reason in left_out}
    return [strange.root / path for path in strange.files["path"]], failed


def judged_unknown(
    run: Run, known: Sequence[str], root: Path, unknown: Data, device: str
) -> tuple[Unknown, dict[str, str]]:
    """How well the distance from the train images tells unknown images from known ones.

    Args:
        run: a finished run.
        known: paths of images of its classes, below `root`, that it was not made of.
        root: where they lie.
        unknown: folder, table or archive of images of none of them.
        device: `auto`, `cpu`, `gpu` or `gpu:N`.

    Returns:
        That, and path -> reason of the unknown images that were left out.

    Raises:
        DataError: no known image that took no part in the run; not one unknown that can be read and did not.
    """
    if not known:
        raise DataError(
            "--unknown: all labelled images took part in the training or choosing of this run, and beside "
            "them anything looks strange. Give images that it has not seen."
        )
    reference, (cut, _) = read_reference(run), last_cut(run)
    prepare(device, "float32")
    model = describer(load_model(run), cut)
    paths, failed = _paths(unknown)
    strange = [path for path in paths if not _took_part(run, path, failed)]
    if len(strange) < len(paths):
        told = f"{len(paths) - len(strange)} of {len(paths)} unknown images took part in this run's training"
        say(f"WARNING: {told} or choosing and are left out: is --unknown the data that it learned?")
    of_known, _ = _features(run, model, [root / path for path in known])
    of_unknown, unread = _features(run, model, strange)
    failed |= unread
    if not len(of_unknown):
        first = next(iter(failed.items()))
        raise DataError(
            f"--unknown: not one of {len(paths)} files could be taken, such as {first[0]}: {first[1]}"
        )
    found = judge_unknown(
        strangeness(of_known, reference.features), strangeness(of_unknown, reference.features)
    )
    return found, failed


def _took_part(run: Run, path: Path, failed: dict[str, str]) -> bool:
    """Whether the run has seen an image in train or val, by its bytes; then `failed` says so."""
    try:
        with path.open("rb") as stream:
            sha = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return False  # the decoder says why
    if sha not in run.seen:
        return False
    failed[str(path)] = "it took part in the training or choosing of this run, so it is not unknown to it"
    return True


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


def _features(run: Run, model: object, paths: Sequence[Path]) -> tuple[np.ndarray, dict[str, str]]:
    """Features of the images that can be read, and path -> reason of the others."""
    policy = DecodePolicy(size_px=int(run.plan["image_size"]), resize=run.plan["resize"])
    batch, classes = run.recipe.batch_size, len(run.labels)
    parts: list[np.ndarray] = []
    failed: dict[str, str] = {}
    for chunk in decode_chunks(paths, policy, batch):
        failed |= {str(paths[row]): reason for row, reason in chunk.failed.items()}
        if len(chunk.rows):
            parts.append(described(model, chunk.images, classes, batch)[0])
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32), failed
