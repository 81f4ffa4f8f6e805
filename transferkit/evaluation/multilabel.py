"""The scores of one split whose images may have several classes, or none.

There is no top-1: what is right is a set. A class is predicted where its probability reaches a
threshold, one for all classes. A row with a NaN or an infinity predicts nothing, is never an exact
match, and every score treats it as the worst answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from transferkit.evaluation.labels import joinable
from transferkit.evaluation.metrics import SMALLEST_P, Bools, Floats, rank

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class MultiLabelRow:
    """How one class fared; a fraction whose denominator is 0 is 0.0."""

    label: str
    n: int  # images that have this class
    ap: float | None  # average precision; None where no image has the class
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, kw_only=True)
class MultiLabelMetrics:
    """Every score of one split; fractions are 0..1, `bce` is in nats."""

    n: int
    map: float  # mean average precision, see `mean_average_precision`
    macro_f1: float  # over all classes, absent ones included as 0.0
    micro_f1: float  # over all pairs of image and class
    exact_match: float  # images whose classes are predicted to the last one
    bce: float  # binary cross-entropy, mean over images and classes
    threshold: float
    non_finite: int  # rows holding a NaN or an infinity
    per_class: tuple[MultiLabelRow, ...]

    def as_dict(self) -> dict[str, Any]:
        """The split's entry in `metrics.json`: plain Python values at full precision."""
        return asdict(self) | {"per_class": [asdict(row) for row in self.per_class]}

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> "MultiLabelMetrics":
        """The metrics that `as_dict` wrote, for a report made again from `metrics.json`."""
        rows = tuple(MultiLabelRow(**row) for row in entry["per_class"])
        return cls(**{name: (dict(entry) | {"per_class": rows})[name] for name in cls.__dataclass_fields__})


def evaluate_multilabel(
    probabilities: Floats, targets: Floats, class_names: Sequence[str], threshold: float
) -> MultiLabelMetrics:
    """Every score of one split.

    Args:
        probabilities: (N, C), each class by itself: rows do not add up to 1.
        targets: (N, C), 1 where the image has the class, else 0.
        class_names: the C names in output order.
        threshold: a class is predicted where its probability is at least this, see `choose_threshold`.

    Raises:
        ValueError: no images, or shapes and targets that do not belong together.
    """
    _check(probabilities, targets, len(class_names))
    truth, finite = np.asarray(targets) > 0, _finite(probabilities)
    predicted = predict_labels(probabilities, threshold)
    hits, answers, images = (each.sum(axis=0) for each in (predicted & truth, predicted, truth))
    # A zero denominator means zero hits as well, so dividing by 1 gives the 0.0 we promise.
    precision, recall = hits / np.maximum(answers, 1), hits / np.maximum(images, 1)
    f1 = 2 * hits / np.maximum(answers + images, 1)
    columns = (images.tolist(), average_precisions(probabilities, targets), precision, recall, f1)
    return MultiLabelMetrics(
        n=len(truth),
        map=mean_average_precision(probabilities, targets),
        macro_f1=float(f1.mean()),
        micro_f1=float(2 * hits.sum() / max(1, answers.sum() + images.sum())),
        exact_match=float(((predicted == truth).all(axis=1) & finite).mean()),
        bce=bce(probabilities, targets),
        threshold=threshold,
        non_finite=int((~finite).sum()),
        per_class=tuple(
            MultiLabelRow(label=name, n=n, ap=ap, precision=float(p), recall=float(r), f1=float(f))
            for name, n, ap, p, r, f in zip(class_names, *columns, strict=True)
        ),
    )


def predict_labels(probabilities: Floats, threshold: float) -> Bools:
    """Which classes each image is said to have, (N, C); none where its row is not finite."""
    # As float64: numpy would round the threshold to the type of the probabilities.
    reached: Bools = np.asarray(probabilities, dtype=np.float64) >= threshold
    return reached & _finite(probabilities)[:, None]


def average_precisions(probabilities: Floats, targets: Floats) -> list[float | None]:
    """The average precision of each class, as `average_precision_score`; None without positives.

    By hand, all classes at once: strengths and epochs are chosen by it hundreds of times a run, and
    scikit-learn takes some 5 ms for a class, most of them for looking at its arguments.
    """
    truth = np.asarray(targets) > 0
    p = np.array(probabilities, dtype=np.float64)
    # Below every probability where the class is there, above every one where it is not.
    bad = ~_finite(probabilities)
    p[bad] = np.where(truth[bad], -1.0, 2.0)
    order = np.argsort(-p, axis=0, kind="stable")
    ranked, values = np.take_along_axis(truth, order, axis=0), np.take_along_axis(p, order, axis=0)
    if not len(p):
        return [None] * p.shape[1]
    hits = ranked.cumsum(axis=0)
    # Images of one probability stand at one place together: precision is that of the last of them.
    last = np.r_[values[1:] != values[:-1], np.ones((1, p.shape[1]), bool)]
    precision = hits / np.arange(1, len(p) + 1)[:, None]
    found: list[float | None] = []
    for number in range(p.shape[1]):
        here = last[:, number]
        gained = np.diff(hits[here, number], prepend=0)
        total = hits[-1, number]
        found.append(float((gained * precision[here, number]).sum() / total) if total else None)
    return found


def mean_average_precision(probabilities: Floats, targets: Floats) -> float:
    """The mean over the classes that have positives, each counting alike; 0.0 if none has."""
    found = [ap for ap in average_precisions(probabilities, targets) if ap is not None]
    return float(np.mean(found)) if found else 0.0


def bce(probabilities: Floats, targets: Floats, weights: Floats | None = None) -> float:
    """The mean over images and classes of -log p(what is true), p clipped to [SMALLEST_P, 1].

    A row that is not finite counts as p = SMALLEST_P.

    Args:
        probabilities: (N, C).
        targets: (N, C), 0 or 1.
        weights: (N,) of the images; None weighs them alike.
    """
    p = np.array(probabilities, dtype=np.float64)
    right = np.where(np.asarray(targets) > 0, p, 1 - p)
    right[~_finite(probabilities)] = SMALLEST_P
    each = -np.log(np.clip(right, SMALLEST_P, 1.0)).mean(axis=1)
    return float(np.average(each, weights=weights))


def choose_threshold(probabilities: Floats, targets: Floats) -> float:
    """The threshold for all classes that gives the highest micro-F1; of several the nearest to 0.5.

    It is one number, so all decisions judge it together: the mean of the classes' F1 would let a class
    that three images have move it as much as one that half of them have. Between two neighbouring
    probabilities all thresholds decide alike; 0.5 is taken where it is among the best, else the middle
    of such a gap, so that no probability lies on the threshold itself.

    Args:
        probabilities: (N, C), of val: chosen on test it would flatter test's F1.
        targets: (N, C), 0 or 1.

    Source: Lipton, Elkan and Narayanaswamy 2014 (arXiv:1402.1892) on why it is not simply 0.5.
    """
    truth, finite = np.asarray(targets) > 0, _finite(probabilities)
    p = np.array(probabilities, dtype=np.float64)[finite].ravel()
    if not truth[finite].any():
        return 0.5
    order = np.argsort(-p)
    p = p[order]
    last = np.append(p[1:] < p[:-1], True)  # of those that are equal
    hits = np.cumsum(truth[finite].ravel()[order])[last]
    f1 = 2 * hits / (np.flatnonzero(last) + 1 + truth.sum())
    upper = p[last]
    lower = np.append(upper[1:], 0.0)
    best = f1 == f1.max()
    upper, lower = upper[best], lower[best]
    if ((lower < 0.5) & (0.5 <= upper)).any():
        return 0.5
    middles = (lower + upper) / 2
    return float(middles[np.abs(middles - 0.5).argmin()])


def multilabel_predictions_frame(
    paths: Sequence[str],
    targets: Floats,
    split: str,
    *,
    probabilities: Floats,
    class_names: Sequence[str],
    threshold: float,
) -> "pd.DataFrame":
    r"""The rows of `predictions.csv` for one split, in the order given.

    Columns: `path`, `label` (the image's classes in output order, joined by a vertical bar; a bar or a
    backslash inside a name is written with a backslash before it), `split`, `pred` (the classes that
    reach the threshold, likewise), `p` (the highest probability, 0..1) and `top5` (the min(5, C) most
    probable classes, best first). `pred` is empty where no class reaches the threshold. A row of
    probabilities that is not finite has an empty `pred` and `top5`, and `p` is NaN.

    Args:
        paths: the N files.
        targets: (N, C), 1 where the image has the class, else 0.
        split: the name that fills the column `split`.
        probabilities: (N, C).
        class_names: the C names in output order.
        threshold: a class is predicted where its probability is at least this.
    """
    import pandas as pd

    quoted = [joinable(name) for name in class_names]
    finite = _finite(probabilities)
    best = np.asarray(probabilities, dtype=np.float64).max(axis=1)
    ranked = ("|".join(quoted[number] for number in row) for row in rank(probabilities)[:, :5])
    return pd.DataFrame(
        {
            "path": list(paths),
            "label": _joined(np.asarray(targets) > 0, quoted),
            "split": split,
            "pred": _joined(predict_labels(probabilities, threshold), quoted),
            "p": np.where(finite, best, np.nan),
            "top5": [names if whole else "" for names, whole in zip(ranked, finite, strict=True)],
        }
    )


def _joined(chosen: Bools, names: Sequence[str]) -> list[str]:
    return ["|".join(names[number] for number in np.flatnonzero(row).tolist()) for row in chosen]


def _finite(probabilities: Floats) -> Bools:
    rows: Bools = np.all(np.isfinite(probabilities), axis=1)
    return rows


def _check(probabilities: Floats, targets: Floats, classes: int) -> None:
    """Raise a ValueError unless the arguments of `evaluate_multilabel` belong together."""
    if len(targets) == 0:
        raise ValueError("a split without images has no scores")
    if probabilities.shape != (len(targets), classes) or targets.shape != probabilities.shape:
        raise ValueError(
            f"probabilities and targets must be (images, classes) = {(len(targets), classes)}, "
            f"but got {probabilities.shape} and {targets.shape}"
        )
    other = np.setdiff1d(targets, (0, 1))
    if len(other):
        raise ValueError(f"targets must be 0 or 1, but got {other[0]:g}")
