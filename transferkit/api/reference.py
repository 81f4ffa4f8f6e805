"""Train images as the finished model sees them, kept with a run: what new images are compared with."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transferkit.api.work import Candidate, Work
from transferkit.data.decode import decode_chunks
from transferkit.errors import DataError
from transferkit.runs import Run
from transferkit.training.described import described, describer
from transferkit.training.evidence import subsample

FILE = "reference.npz"
# More tell nothing more, and the file stays small: 1,280 channels of a thousand images are 2.5 MB.
MOST = 1000
# Batches that are timed, where no more need pass: the first is apart.
TIMED = 5


@dataclass(frozen=True)
class Reference:
    """Some train images.

    Attributes:
        features: float32 `(n, channels)`, means of the last stage.
        paths: of their files, relative to the data's root.
        labels: class names.
    """

    features: np.ndarray
    paths: list[str]
    labels: list[str]


def describer_of(work: Work, best: Candidate) -> Any:
    """The finished model with the means of its last stage beside; to build one is to compile one."""
    return describer(best.model, work.extractor.stages[-1].cut)


def write_reference(work: Work, best: Candidate, model: Any, folder: Path) -> float | None:
    """Write the reference of a run; what cannot be decoded any more is left out.

    Where nothing of the backbone has moved the bank has it, and images pass the model for its pace alone.

    Args:
        work: what the run shares.
        best: the classifier that is kept.
        model: see `describer_of`.
        folder: of the run.

    Returns:
        Images a second that passed the model, the first batch apart; None where there was one alone.
    """
    train = work.rows["train"]
    rows = train[subsample(work.labels[train], MOST, work.recipe.seed)]
    unmoved = best.fitted is not None
    passed = rows[: TIMED * work.extractor.batch_size] if unmoved else rows
    features, kept, rate = _passed(work, model, passed)
    if unmoved:
        features, kept = work.bank.at([work.extractor.stages[-1].name], rows), rows
    files = work.index.files.iloc[kept]
    aside = folder / f".{FILE}"
    with aside.open("wb") as stream:
        np.savez_compressed(
            stream,
            features=features.astype(np.float16),
            paths=np.array(files["path"], dtype=np.str_),
            labels=np.array(files["label"], dtype=np.str_),
        )
    aside.rename(folder / FILE)
    return rate


def _passed(work: Work, model: Any, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, float | None]:
    """Means of the last stage of the finished model, the rows they are of, and images a second."""
    extractor = work.extractor
    paths = [work.index.root / path for path in work.index.files["path"].iloc[rows]]
    features, kept, seconds = [], [], []
    for chunk in decode_chunks(paths, extractor.policy, extractor.batch_size):
        if len(chunk.rows):
            started = time.perf_counter()
            features.append(described(model, chunk.images, len(work.class_names), extractor.batch_size)[0])
            seconds.append((time.perf_counter() - started, len(chunk.rows)))
            kept.append(rows[chunk.rows])
    whole = [(spent, count) for spent, count in seconds[1:] if count == extractor.batch_size]
    rate = sum(count for _, count in whole) / sum(spent for spent, _ in whole) if whole else None
    return np.concatenate(features), np.concatenate(kept), rate


def features_of(work: Work, best: Candidate, model: Any, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of the last stage of the finished model `(n, channels)`, and the rows they are of."""
    if best.fitted is not None:
        return work.bank.at([work.extractor.stages[-1].name], rows), rows
    features, kept, _ = _passed(work, model, rows)
    return features, kept


def read_reference(run: Run) -> Reference:
    """The reference of a run.

    Raises:
        DataError: there is none, as in runs of earlier versions, or it is damaged.
    """
    try:
        with np.load(run.folder / FILE) as found:
            return Reference(
                found["features"].astype(np.float32), found["paths"].tolist(), found["labels"].tolist()
            )
    except FileNotFoundError as error:
        raise DataError(
            f"{run.folder} has no {FILE}: it is of an earlier version. Train it again."
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise run.damaged(FILE, error) from error


def last_cut(run: Run) -> tuple[str, dict[str, str]]:
    """The name of the layer that ends the last stage, and that of each stage by its name.

    Raises:
        DataError: the run is of an earlier version.
    """
    stages = run.plan.get("stages")
    if not stages:
        raise DataError(
            f"{run.folder}: plan.json names no stages: it is of an earlier version. Train it again."
        )
    return str(stages[-1]["cut"]), {str(stage["name"]): str(stage["cut"]) for stage in stages}
