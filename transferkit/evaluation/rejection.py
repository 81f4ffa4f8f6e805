"""What a classifier is worth that may say "I do not know": coverage, thresholds and sets of classes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transferkit.evaluation.metrics import Floats, Ints, predict, wilson

# Points of a curve that is drawn.
POINTS = 60
TARGET_PRECISION = 0.95
TARGET_COVERAGE = 0.9


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """What a threshold lets through of a split.

    Attributes:
        coverage: share of the images whose confidence reaches it.
        images: how many these are.
        precision: share of them that is right; None of nothing. `low` and `high`: its 95 % interval.
    """

    coverage: float
    images: int
    precision: float | None
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """Answers below a threshold are taken back.

    Attributes:
        target: precision that is asked for, 0..1.
        threshold: the lowest confidence from which val is as precise as that; None where it never is.
        val: what it lets through there, where it was chosen; `judged` on test, None where there is none.
        split: name of that split.
        curve: (threshold, coverage, precision) on it, from all images to the surest.
    """

    target: float
    threshold: float | None
    val: Accepted | None
    judged: Accepted | None
    split: str
    curve: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Conformal:
    """Sets of classes that hold the right one in a stated share of images.

    Attributes:
        target: that share, 0..1.
        threshold: classes of at least this probability are in the set.
        val_images: that it was found on.
        split: of the figures below; `images` of it.
        coverage: share of sets that hold the label; `low` and `high` its 95 % interval.
        mean_size: classes in a set.
        single: share of sets of one class; `empty` of none.
    """

    target: float
    threshold: float
    val_images: int
    split: str
    images: int
    coverage: float
    low: float
    high: float
    mean_size: float
    single: float
    empty: float


def confidence_of(probabilities: Floats) -> Floats:
    """The highest probability of each row (N,); 0 where a row is not finite: it has no answer."""
    p = np.asarray(probabilities, np.float64)
    return np.where(np.isfinite(p).all(axis=1), p.max(axis=1), 0.0)


def rejection(
    val: tuple[Floats, Ints], judged: tuple[Floats, Ints], *, split: str, target: float = TARGET_PRECISION
) -> Rejection:
    """The threshold that val gives for a precision, and what it does on another split.

    Args:
        val: probabilities (N, C) and labels (N,).
        judged: likewise of the split that is reported.
        split: its name; "val" where there is no other, and nothing is judged then.
        target: precision, 0..1.
    """
    threshold = threshold_for(*val, target)
    return Rejection(
        target=target,
        threshold=threshold,
        val=None if threshold is None else accepted(*val, threshold),
        judged=None if threshold is None or split == "val" else accepted(*judged, threshold),
        split=split,
        curve=coverage_curve(*judged),
    )


def threshold_for(probabilities: Floats, labels: Ints, target: float) -> float | None:
    """The lowest confidence from which a share `target` of the answers is right; None if there is none.

    Answers of equal confidence are accepted or taken back together.
    """
    levels, accepted_images, hits = _by_confidence(probabilities, labels)
    enough = hits >= target * accepted_images - 1e-9
    return float(levels[enough].min()) if enough.any() else None


def accepted(probabilities: Floats, labels: Ints, threshold: float) -> Accepted:
    """What a threshold lets through."""
    kept = confidence_of(probabilities) >= threshold
    images, hits = int(kept.sum()), int((predict(probabilities) == np.asarray(labels))[kept].sum())
    low, high = wilson(hits, images)
    return Accepted(
        coverage=images / len(labels),
        images=images,
        precision=hits / images if images else None,
        low=low,
        high=high,
    )


def coverage_curve(probabilities: Floats, labels: Ints) -> tuple[tuple[float, float, float], ...]:
    """(threshold, coverage, precision), from all images to the surest; 60 points at most."""
    levels, images, hits = _by_confidence(probabilities, labels)
    places = np.unique(np.linspace(0, len(levels) - 1, min(POINTS, len(levels))).round().astype(int))[::-1]
    return tuple(
        (float(levels[at]), float(images[at] / len(labels)), float(hits[at] / images[at])) for at in places
    )


def _by_confidence(probabilities: Floats, labels: Ints) -> tuple[Floats, Ints, Ints]:
    """Each confidence that occurs, the highest first, with how many images reach it and are right."""
    confidence = confidence_of(probabilities)
    right = predict(probabilities) == np.asarray(labels)
    levels, member = np.unique(-confidence, return_inverse=True)
    images = np.cumsum(np.bincount(member))
    return -levels, images, np.cumsum(np.bincount(member, weights=right)).astype(int)


def conformal(
    val: tuple[Floats, Ints], judged: tuple[Floats, Ints], *, split: str, target: float = TARGET_COVERAGE
) -> Conformal | None:
    """Sets by split conformal prediction: the least probability of a label that val supports.

    With n images of val a set holds the right class in at least `target` of new images, on average over
    draws of val, whatever the model, if the images are drawn alike. (Here val has chosen the model too,
    which the theorem does not know of.) Source: Sadinle, Lei and Wasserman 2019; Angelopoulos and Bates 2021
    (arXiv:2107.07511), section 1.1: the ceil((n + 1) target)-th smallest of the scores 1 - p(label).

    Args:
        val: probabilities (N, C) and labels (N,).
        judged: likewise of the split that is reported.
        split: its name.
        target: share of sets that shall hold the label.

    Returns:
        None where val is too small: no set short of all classes would do.
    """
    own, labels = val
    scores = np.sort(1 - _own_probability(own, labels))
    rank = math.ceil((len(scores) + 1) * target - 1e-9)
    if rank > len(scores):
        return None
    threshold = 1 - float(scores[rank - 1])
    p = np.nan_to_num(np.asarray(judged[0], np.float64), nan=0.0)
    # 1 - (1 - p) may be off by the last digit.
    sets = p >= threshold - 1e-12
    sizes = sets.sum(axis=1)
    hits = sets[np.arange(len(p)), judged[1]]
    low, high = wilson(int(hits.sum()), len(hits))
    return Conformal(
        target=target,
        threshold=threshold,
        val_images=len(scores),
        split=split,
        images=len(hits),
        coverage=float(hits.mean()),
        low=low,
        high=high,
        mean_size=float(sizes.mean()),
        single=float((sizes == 1).mean()),
        empty=float((sizes == 0).mean()),
    )


def conformal_sets(probabilities: Floats, threshold: float) -> list[Sequence[int]]:
    """Class numbers of each set, the most probable first."""
    order = np.argsort(-np.asarray(probabilities), axis=1, kind="stable")
    return [
        [int(number) for number in row if p[number] >= threshold - 1e-12]
        for row, p in zip(order, np.asarray(probabilities), strict=True)
    ]


def _own_probability(probabilities: Floats, labels: Ints) -> Floats:
    """Of the label, (N,); 0 where a row is not finite."""
    p = np.asarray(probabilities, np.float64)[np.arange(len(labels)), np.asarray(labels)]
    return np.where(np.isfinite(probabilities).all(axis=1), p, 0.0)
