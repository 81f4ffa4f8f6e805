"""What the phases of a run share, and what each of them produces."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from transferkit.data.index import Index
from transferkit.planning import Plan
from transferkit.recipe import Recipe
from transferkit.timing import Deadline, Stopwatch
from transferkit.training.bank import Extractor, PooledBank
from transferkit.training.choosing import TriedClassifier
from transferkit.training.linear import LinearClassifier, score


@dataclass(frozen=True)
class Work:
    """What all phases of a run share.

    Attributes:
        index: readable images with their splits in `files`.
        labels: int `(N,)` class number of each row; float `(N, C)` of 0 and 1 for multi-label data.
        rows: split -> rows of the index.
        bank: pooled features, rows as in the index.
        notes: sentences on the data that a reader should know.
        weights: where those of the backbone came from, in words.
        class_weights: `(C,)` in the loss, or None.
        folds: for cross-validation: fold number of each row, -1 for rows outside; None without.
        findings: of the audit: name -> how many.
        deadline: when the run's time is up.
        pipeline: changes training images, see `data.augment.pipeline`; None where nothing does.
        views: of each training image in `bank`: row r + v N is view v of row r.
        follow: is told a phase's name and the rows of its history so far, after each epoch.
    """

    recipe: Recipe
    plan: Plan
    index: Index
    class_names: list[str]
    labels: np.ndarray
    rows: dict[str, np.ndarray]
    bank: PooledBank
    extractor: Extractor
    jit: bool
    watch: Stopwatch
    notes: list[str]
    weights: str
    class_weights: np.ndarray | None = None
    folds: np.ndarray | None = None
    findings: dict[str, int] = field(default_factory=dict)
    deadline: Deadline = field(default_factory=Deadline)
    pipeline: Any = None
    views: int = 0
    follow: Callable[[str, list[dict[str, Any]]], None] | None = None

    @property
    def multilabel(self) -> bool:
        """Whether an image may have several classes."""
        return self.labels.ndim == 2


@dataclass(frozen=True)
class Candidate:
    """A classifier and how it does.

    Attributes:
        name: `linear`, `multistage` or `fine-tuned`.
        probabilities: split -> float `(n, C)`.
        score: val top-1 (mAP for multi-label data), then negative val log-loss; higher is better.
        model: complete Keras model.
        fitted: the linear classifier, for the linear kinds.
        history: a row for each epoch, of those before it too.
        notes: sentences on what happened, likewise.
        chosen: phase to what it was chosen from by cross-validation on train, the one taken first; of the
            linear phases before it too, and of those alone that had something to choose.
        proof: a row for each stage of each fine-tuning phase: what stayed and what moved, see `freezing`.
        interrupted: whether Ctrl-C ended the phase, or one before it.
        moved: whether it is another than it started from.
        fed: how the last fine-tuning got its training images, in a sentence; "" where nothing was changed.
    """

    name: str
    probabilities: dict[str, np.ndarray]
    score: tuple[float, float]
    model: Any
    fitted: LinearClassifier | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    chosen: dict[str, tuple[TriedClassifier, ...]] = field(default_factory=dict)
    proof: tuple[dict[str, Any], ...] = ()
    interrupted: bool = False
    moved: bool = True
    fed: str = ""


def evaluated_splits(work: Work) -> Iterator[tuple[str, np.ndarray]]:
    """The splits that are judged, with their rows."""
    for split in ("val", "test"):
        if len(work.rows[split]):
            yield split, work.rows[split]


def scores(work: Work, probabilities: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """Top-1 or mAP, which no weights change, and the log-loss by the weights that training had."""
    plain = score(probabilities, work.labels[rows])[0]
    return plain, score(probabilities, work.labels[rows], work.class_weights)[1]
