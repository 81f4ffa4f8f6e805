"""The scores of one split, from its probabilities and labels alone.

Two rules hold throughout, because the metrics that ship with Keras flatter a dead model:

- Ties are broken by class order, the lowest class number first. Keras' `in_top_k` counts every
  tie as a hit, so a constant model over 20 classes reaches a top-5 of 1.0; here it gets 5/20.
- A row with a NaN or an infinity never hits, and every score treats it as the worst answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import NormalDist
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from transferkit.evaluation.sparse import SparseMatrix

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]
Bools = npt.NDArray[np.bool_]

NO_PREDICTION = -1  # what `predict` answers for a row that is not finite
SMALLEST_P = 1e-12  # `nll` clips here: one confident mistake costs 27.6 nats, not infinity
ECE_BINS = 15  # as in Guo et al. 2017, table 1


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """How one class fared; a fraction whose denominator is 0 is 0.0."""

    label: str
    n: int  # images of this class in the split
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, kw_only=True)
class SplitMetrics:
    """Every score of one split; fractions are 0..1, `nll` is in nats."""

    n: int
    top1: float
    top5: float  # with k = top5_k, so 1.0 by definition when there are 5 classes or fewer
    top5_k: int
    top1_ci95: tuple[float, float]
    top5_ci95: tuple[float, float]
    macro_f1: float
    balanced_accuracy: float
    nll: float
    ece: float
    non_finite: int  # rows holding a NaN or an infinity
    per_class: tuple[ClassRow, ...]
    confusion: Annotated[Ints, SparseMatrix()] = field(compare=False, repr=False)  # (C, C), see `confusion`

    def as_dict(self) -> dict[str, Any]:
        """The split's entry in `metrics.json`: plain Python values at full precision.

        `confusion` is sparse there, a list of [true class number, predicted class number, images],
        because the square of a thousand classes would dwarf everything else in the file.
        """
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        rows, columns = np.nonzero(self.confusion)
        cells = zip(rows, columns, self.confusion[rows, columns], strict=True)
        return plain | {
            "top1_ci95": list(self.top1_ci95),
            "top5_ci95": list(self.top5_ci95),
            "per_class": [asdict(row) for row in self.per_class],
            "confusion": [[int(number) for number in cell] for cell in cells],
        }

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> "SplitMetrics":
        """The metrics that `as_dict` wrote, for a report made again from `metrics.json`."""
        confusion = np.zeros((len(entry["per_class"]),) * 2, np.int64)
        for true, predicted, images in entry["confusion"]:
            confusion[true, predicted] = images
        changed = {
            "top1_ci95": tuple(entry["top1_ci95"]),
            "top5_ci95": tuple(entry["top5_ci95"]),
            "per_class": tuple(ClassRow(**row) for row in entry["per_class"]),
            "confusion": confusion,
        }
        return cls(**{name: (dict(entry) | changed)[name] for name in cls.__dataclass_fields__})


def evaluate(probabilities: Floats, labels: Ints, class_names: Sequence[str]) -> SplitMetrics:
    """Every score of one split.

    Args:
        probabilities: (N, C), any float type; rows need not add up to exactly 1.
        labels: (N,) class numbers 0..C-1.
        class_names: the C names in output order.

    Raises:
        ValueError: no images, or shapes and class numbers that do not belong together.
    """
    labels = np.asarray(labels)
    _check(probabilities, labels, len(class_names))
    n, top5_k = len(labels), min(5, len(class_names))
    places, predictions = _places(probabilities, labels), predict(probabilities)
    hits1, hits5 = int((places < 1).sum()), int((places < top5_k).sum())
    return SplitMetrics(
        n=n,
        top1=hits1 / n,
        top5=hits5 / n,
        top5_k=top5_k,
        top1_ci95=wilson(hits1, n),
        top5_ci95=wilson(hits5, n),
        macro_f1=macro_f1(labels, predictions, len(class_names)),
        balanced_accuracy=balanced_accuracy(labels, predictions),
        nll=nll(probabilities, labels),
        ece=ece(probabilities, labels),
        non_finite=int((~_finite(probabilities)).sum()),
        per_class=tuple(per_class(labels, predictions, class_names)),
        confusion=confusion(labels, predictions, len(class_names)),
    )


def rank(probabilities: Floats) -> Ints:
    """Class numbers (N, C), the most probable first, ties in class order.

    A row that is not finite keeps the natural order 0..C-1, which means nothing: ask `predict`,
    which flags such rows.
    """
    p = _as_float64(probabilities)
    p[~_finite(p)] = 0.0
    return np.argsort(-p, axis=1, kind="stable")


def predict(probabilities: Floats) -> Ints:
    """The most probable class number of each row (N,), `NO_PREDICTION` where it is not finite."""
    # argmax returns the first of equals, which is the tie rule.
    best = np.argmax(_as_float64(probabilities), axis=1)
    return np.where(_finite(probabilities), best, NO_PREDICTION)


def top_k_hits(probabilities: Floats, labels: Ints, k: int) -> Bools:
    """Whether the label of each row (N,) is among its k most probable classes.

    `k` is cut to the number of classes. Rows that are not finite never hit.
    """
    hits: Bools = _places(probabilities, np.asarray(labels)) < min(k, probabilities.shape[1])
    return hits


def wilson(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of the fraction hits / n; (0, 1) when n is 0.

    Source: Wilson 1927, as recommended for small n by Brown, Cai and DasGupta 2001 (section 4).
    """
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + level / 2)
    p, shrink = hits / n, 1 + z * z / n
    middle = (p + z * z / (2 * n)) / shrink
    half = z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5 / shrink
    # At the two ends the formula gives 0 and 1 exactly; rounding would leave them 1e-17 off.
    return (middle - half if hits else 0.0), (middle + half if hits < n else 1.0)


def confusion(labels: Ints, predictions: Ints, classes: int) -> Ints:
    """How often class i (row) was called class j (column), (C, C).

    Images without a prediction are in no cell, so such a row adds up to less than its class has.
    """
    made = predictions != NO_PREDICTION
    cells = np.bincount(labels[made] * classes + predictions[made], minlength=classes * classes)
    return cells.reshape(classes, classes)


def per_class(labels: Ints, predictions: Ints, class_names: Sequence[str]) -> list[ClassRow]:
    """One row a class, in output order."""
    counts, precision, recall, f1 = _class_scores(labels, predictions, len(class_names))
    columns = (counts.tolist(), precision.tolist(), recall.tolist(), f1.tolist())
    return [
        ClassRow(label=name, n=n, precision=p, recall=r, f1=f)
        for name, n, p, r, f in zip(class_names, *columns, strict=True)
    ]


def macro_f1(labels: Ints, predictions: Ints, classes: int) -> float:
    """The mean F1 over all classes, absent ones included.

    Equal to scikit-learn's `f1_score(average="macro", labels=range(classes), zero_division=0)`:
    a class with neither images nor predictions counts as 0.
    """
    return float(_class_scores(labels, predictions, classes)[3].mean())


def balanced_accuracy(labels: Ints, predictions: Ints) -> float:
    """The mean recall over the classes that have images, as `balanced_accuracy_score`."""
    n = np.bincount(labels)
    hits = np.bincount(labels[labels == predictions], minlength=len(n))
    return float((hits[n > 0] / n[n > 0]).mean())


def nll(probabilities: Floats, labels: Ints) -> float:
    """The mean of -log p(label) in nats, p clipped to [SMALLEST_P, 1].

    A row that is not finite counts as p = SMALLEST_P.
    """
    p = _as_float64(probabilities)[np.arange(len(labels)), labels]
    p = np.where(_finite(probabilities), p, SMALLEST_P)
    return float(-np.log(np.clip(p, SMALLEST_P, 1.0)).mean())


def ece(probabilities: Floats, labels: Ints, bins: int = ECE_BINS) -> float:
    """The expected calibration error of the top-1 confidence, 0..1.

    Bins of equal width, each without its lower edge and with its upper one; the gap between mean
    confidence and accuracy of a bin weighs as much as the bin has images. A row that is not finite
    counts as wrong with confidence 1.

    Source: Guo et al. 2017 (arXiv:1706.04599), equation 3.
    """
    confidence = np.where(_finite(probabilities), _as_float64(probabilities).max(axis=1), 1.0)
    hits = predict(probabilities) == labels
    return gap(width_numbers(confidence, bins), confidence, hits)


def width_numbers(confidence: Floats, bins: int = ECE_BINS) -> Ints:
    """The number of each image's bin of equal width; see `ece`."""
    return np.asarray(np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1))


def gap(numbers: Ints, confidence: Floats, hits: Bools) -> float:
    """The mean over images of the gap between confidence and accuracy of their bins, 0..1."""
    # |sum of confidence - hits| of a bin over N is its |gap| times its share of the images.
    return float(np.abs(np.bincount(numbers, confidence - hits)).sum() / len(hits))


def majority_top_k(train_labels: Ints, labels: Ints, k: int = 1) -> float:
    """The top-k of always answering train's k most frequent classes, the lowest numbers on ties."""
    if len(train_labels) == 0 or len(labels) == 0:
        raise ValueError("the majority class needs at least one image in train and in the split")
    most = np.argsort(-np.bincount(train_labels), kind="stable")[:k]
    return float(np.isin(labels, most).mean())


def _check(probabilities: Floats, labels: Ints, classes: int) -> None:
    """Raise a ValueError unless the three arguments of `evaluate` belong together."""
    if len(labels) == 0:
        raise ValueError("a split without images has no scores")
    if probabilities.shape != (len(labels), classes):
        raise ValueError(
            f"probabilities must be (images, classes) = {(len(labels), classes)}, "
            f"but got {probabilities.shape}"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"labels must be class numbers 0..{classes - 1}, but got {labels.min()}..{labels.max()}"
        )


def _as_float64(probabilities: Floats) -> npt.NDArray[np.float64]:
    """A float64 copy: float16 has too few digits to add up, and callers may write into it."""
    return np.array(probabilities, dtype=np.float64)


def _finite(probabilities: Floats) -> Bools:
    rows: Bools = np.all(np.isfinite(probabilities), axis=1)
    return rows


def _places(probabilities: Floats, labels: Ints) -> Ints:
    """How many classes come before the label in `rank`, (N,); C where a row is not finite."""
    p = _as_float64(probabilities)
    own = p[np.arange(len(p)), labels][:, None]
    earlier = np.arange(p.shape[1])[None, :] < labels[:, None]
    before = (p > own) | ((p == own) & earlier)
    places: Ints = np.where(_finite(p), before.sum(axis=1), p.shape[1])
    return places


def _class_scores(labels: Ints, predictions: Ints, classes: int) -> tuple[Ints, Floats, Floats, Floats]:
    """Images, precision, recall and F1 of each class, each (C,)."""
    images = np.bincount(labels, minlength=classes)
    answers = np.bincount(predictions[predictions != NO_PREDICTION], minlength=classes)
    hits = np.bincount(labels[labels == predictions], minlength=classes)
    # A zero denominator means zero hits as well, so dividing by 1 gives the 0.0 we promise.
    precision, recall = hits / np.maximum(answers, 1), hits / np.maximum(images, 1)
    return images, precision, recall, 2 * hits / np.maximum(answers + images, 1)
