"""The numbers of a report's figures; `drawings` and `matrix` draw them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from transferkit.evaluation.comparison import Comparison
from transferkit.evaluation.curves import trained_epochs
from transferkit.evaluation.report import MEASURES, Report


class LearningCurve(NamedTuple):
    """The history, epochs numbered 1.. across all phases; NaN where nothing was measured."""

    epochs: list[int]
    loss: list[float]
    val_loss: list[float]
    score: list[float]
    val_score: list[float]
    phases: list[tuple[str, int]]  # name and first epoch
    linear_val_score: float | None  # what fine-tuning has to beat
    measure: str  # name of the score
    rate: list[float]  # highest of each epoch


class Confusion(NamedTuple):
    """The confusion matrix of a split, classes that are confused beside each other."""

    split: str
    order: list[int]  # class number at each place
    names: list[str]  # at each place
    counts: list[list[int]]  # rows are true classes
    shares: list[list[float]]  # of the row's images, 0..1; 0 in a row without images


class StrengthCurve(NamedTuple):
    """The linear classifier at each strength of its L2 penalty, weakest first."""

    l2: list[float]
    val_score: list[float]
    val_nll: list[float]
    chosen: float | None  # the strength that was taken
    measure: str  # name of the score
    loss: str  # name of val_nll


def learning_curve(report: Report) -> LearningCurve:
    """The numbers of the learning curves; all lists are empty where no epoch was trained."""
    rows = trained_epochs(report.history)
    names = [str(row["phase"]) for row in rows]
    starts = [i for i, name in enumerate(names) if i == 0 or name != names[i - 1]]
    return LearningCurve(
        epochs=list(range(1, len(rows) + 1)),
        loss=_column(rows, "loss"),
        val_loss=_column(rows, "val_loss"),
        score=_column(rows, report.measure),
        val_score=_column(rows, f"val_{report.measure}"),
        phases=[(names[i], i + 1) for i in starts],
        linear_val_score=report.linear_score.get("val"),
        measure=MEASURES[report.measure],
        rate=_column(rows, "learning_rate"),
    )


def confusion_figure(report: Report, split: str) -> Confusion:
    """The numbers of the confusion matrix of one split."""
    counts = report.single_label(split).confusion
    order = clustered(counts)
    placed = counts[np.ix_(order, order)]
    shares = placed / np.maximum(placed.sum(axis=1, keepdims=True), 1)
    names = [report.class_names[number] for number in order]
    return Confusion(split, order, names, placed.tolist(), shares.tolist())


def clustered(counts: np.ndarray) -> list[int]:
    """An order of classes in which those that are confused stand beside each other.

    Up to fifteen keep their own: a reader finds them. Else hierarchical clustering by the share of their
    images that two classes exchange, average linkage, leaves ordered so that neighbours are alike (Bar-Joseph
    et al. 2001). Where nothing is confused the order is the classes' own.
    """
    if len(counts) <= KEPT_ORDER:
        return list(range(len(counts)))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    exchanged = (shares + shares.T) / 2
    np.fill_diagonal(exchanged, 0.0)
    if not exchanged.any():
        return list(range(len(counts)))
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    apart = 1 - exchanged
    np.fill_diagonal(apart, 0.0)
    distances = squareform(apart, checks=False)
    return [int(leaf) for leaf in leaves_list(linkage(distances, "average", optimal_ordering=True))]


KEPT_ORDER = 15


def strength_curve(report: Report) -> StrengthCurve:
    """The numbers of the choice of the L2 penalty; empty where it was not searched."""
    rows = sorted(report.linear_path, key=lambda row: float(row["l2"]))
    l2, score, nll = (_column(rows, key) for key in ("l2", f"val_{report.measure}", "val_nll"))
    loss = "BCE" if report.multilabel else "log-loss"
    return StrengthCurve(l2, score, nll, report.linear_l2, MEASURES[report.measure], loss)


class StageProbes(NamedTuple):
    """What a quick linear classifier reaches at each stage, nearest the input first."""

    stages: list[str]
    score: list[float]
    together: float | None  # on all stages
    measure: str


def stage_probes(report: Report) -> StageProbes:
    """The numbers of accuracy against depth; empty where nothing was probed."""
    found = dict(report.stage_probes)
    together = found.pop("all", None)
    return StageProbes(list(found), list(found.values()), together, MEASURES[report.measure])


class Reliability(NamedTuple):
    """Confidence and what came of it, in bins of equally many images: (confidence, accuracy, low, high)."""

    split: str
    before: list[tuple[float, float, float, float]]
    after: list[tuple[float, float, float, float]]


def reliability(report: Report) -> Reliability | None:
    """The numbers of the reliability diagram of the headline's split; None for images of several classes."""
    if report.calibration is None:
        return None
    split = report.headline
    before, after = (
        [(one.confidence, one.accuracy, one.low, one.high) for one in found[split].bins]
        for found in (report.calibration.before, report.calibration.after)
    )
    # A temperature of 1 leaves them what they are, but for rounding.
    return Reliability(split, before, before if report.calibration.temperature == 1 else after)


class Coverage(NamedTuple):
    """What is right among the surest: share of images that get an answer, and of these that is right."""

    split: str
    coverage: list[float]
    precision: list[float]
    target: float
    chosen: tuple[float, float] | None  # coverage and precision at the threshold


def coverage(report: Report) -> Coverage | None:
    """The numbers of accuracy against coverage; None for images of several classes."""
    found = report.rejection
    if found is None:
        return None
    at = found.judged
    chosen = (at.coverage, at.precision) if at and at.precision is not None else None
    _, share, precision = zip(*found.curve, strict=True)
    return Coverage(found.split, list(share), list(precision), found.target, chosen)


class GrowthCurve(NamedTuple):
    """Top-1 by training images in all, and where it would go with more."""

    images: list[float]
    top1: list[float]
    ahead: tuple[float, float, float, float]  # images, top-1, low, high
    now: tuple[float, float]  # where the forecast starts: the images there are, top-1


def growth_curve(report: Report) -> GrowthCurve | None:
    """The numbers of the learning curve on the bank; None where there is none."""
    found = report.growth
    if found is None:
        return None
    images, top1 = zip(*found.curve, strict=True)
    ahead, now = found.trained + found.more, found.trained
    return GrowthCurve(list(images), list(top1), (ahead, found.then, found.low, found.high), (now, found.now))


class CostPoint(NamedTuple):
    """A run among those compared."""

    name: str
    million_macs: float
    top1: float
    low: float  # end of the 95 % interval
    high: float


def cost_points(found: Comparison) -> list[CostPoint]:
    """The numbers of accuracy against cost; runs of earlier versions, whose cost is not known, have none."""
    return [
        CostPoint(one.name, one.macs / 1e6, one.top1, one.low, one.high) for one in found.runs if one.macs
    ]


def _column(rows: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    """One column as floats, NaN where a row lacks it or it is not finite."""
    values = [math.nan if row.get(key) is None else float(row[key]) for row in rows]
    return [value if math.isfinite(value) else math.nan for value in values]
