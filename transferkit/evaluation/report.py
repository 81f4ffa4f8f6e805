"""The report: everything that evaluation found, as numbers, for every renderer to read."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from transferkit.evaluation.calibration import Calibration
from transferkit.evaluation.cost import Cost
from transferkit.evaluation.crossval import CrossValidation
from transferkit.evaluation.diagnosis import Diagnosis
from transferkit.evaluation.gallery import Gallery, Picture
from transferkit.evaluation.growth import Growth
from transferkit.evaluation.metrics import SplitMetrics
from transferkit.evaluation.multilabel import MultiLabelMetrics
from transferkit.evaluation.paired import Against, Paired
from transferkit.evaluation.rejection import Conformal, Rejection
from transferkit.evaluation.remarks import absent_classes, lost_classes
from transferkit.evaluation.unknown import Strangeness

SCHEMA = 1  # of metrics.json
MEASURES = {"top1": "top-1", "map": "mAP"}  # what a model is judged by, and its name in words

NO_TEST_SPLIT = "no test split: val chose the model, so its figure is optimistic"


@dataclass(frozen=True, kw_only=True)
class Data:
    """The images that the run used, and those it set aside.

    Attributes:
        name: of the data set.
        classes: their number.
        counts: split -> class name -> images; an image of several classes counts for each.
        excluded: (path, reason) of each file set aside.
        images: split -> images; empty where each has one class, so that `counts` add up to them.
        intersections: what could be shared ("path", "content", ...) -> two splits ("train & val") ->
            how much of it they share; empty where it was not counted.
        findings: kind of finding, see `data.findings.KINDS` -> files.
        root: folder that paths are relative to, where the run found it.
    """

    name: str
    classes: int
    counts: Mapping[str, Mapping[str, int]]
    excluded: tuple[tuple[str, str], ...] = ()
    images: Mapping[str, int] = field(default_factory=dict)
    intersections: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    findings: Mapping[str, int] = field(default_factory=dict)
    root: str = ""

    def totals(self) -> dict[str, int]:
        """Images of each split."""
        return dict(self.images) or {split: sum(counts.values()) for split, counts in self.counts.items()}

    def shared(self) -> tuple[str, ...]:
        """What two splits share, in words; nothing if the splits are apart, or it was not counted."""
        return tuple(
            f"{what} in {pair.replace('&', 'and')}: {count}"
            for what, pairs in self.intersections.items()
            for pair, count in pairs.items()
            if count
        )


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Why the network was trained the way it was."""

    quadrant: str  # the cell of the matrix, such as "similar-little"
    similarity: str  # "similar" or "different" to ImageNet; other words mark no cell
    amount: str  # "little" or "lots" of data; other words mark no cell
    reasons: tuple[str, ...] = ()
    phases: tuple[Mapping[str, Any], ...] = ()
    # by linear phase: rows of features, classifier, views, score, log-loss: what was cross-validated, the one
    # taken first
    tried: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    # a row for each stage of the backbone, nearest the input first: name, cut, size_px, channels
    stages: tuple[Mapping[str, Any], ...] = ()
    # a row for each stage and the head of each fine-tuning phase: what might train, what stayed, what moved
    freeze: tuple[Mapping[str, Any], ...] = ()
    # method, ratio (images of the largest class over the smallest's), weights (by class), reason
    balance: Mapping[str, Any] = field(default_factory=dict)
    # policy, steps (sentences), views (of each image that linear classifiers were tried with), fed (how
    # fine-tuning got its images, a sentence), safety (rows of change, plain, changed, verdict and
    # left_out); empty for none
    augment: Mapping[str, Any] = field(default_factory=dict)
    # a row for each axis of the matrix: words, place (0..100, the border at 50), low and high (names of
    # the ends)
    gauges: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Doubts:
    """Labels that may be wrong.

    Attributes:
        suspects: the least believed first; their `answer` is the class that is suggested.
        images: that were looked at.
        doubted: for how many of them another class is more probable than their own.
    """

    suspects: tuple[Picture, ...]
    images: int
    doubted: int


class Confused(NamedTuple):
    """Images of one class that were called another."""

    label: str
    predicted: str
    images: int
    share: float  # of the images of `label`, 0..1


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one run found. Renderers read this and nothing else.

    Raises:
        ValueError: a measure that there is not, or splits or data that do not belong to it.
    """

    title: str
    data: Data
    class_names: tuple[str, ...]  # in output order
    backbone: str
    strategy: str
    decision: Decision
    splits: Mapping[str, SplitMetrics | MultiLabelMetrics]  # "val", "test"
    linear_score: Mapping[str, float]  # by split, 0..1, the measure of the linear classifier
    # by split, 0..1, the measure of one answer for all images: top-1 of train's most frequent class, or
    # mAP, which then is the mean of the classes' shares of the images
    baseline_score: Mapping[str, float]
    kept: str  # "linear", "multistage" or "fine-tuned"
    # by split, 0..1, of the same two answers (the blind one's are train's five most frequent classes);
    # empty with five classes or fewer, and where an image may have several
    linear_top5: Mapping[str, float] = field(default_factory=dict)
    baseline_top5: Mapping[str, float] = field(default_factory=dict)
    # by split, 0..1, top-1 of logistic regression on 16 x 16 pixels; where the backbone has random weights
    pixels_score: Mapping[str, float] = field(default_factory=dict)
    kept_reason: str = ""
    measure: str = "top1"  # "map" for multi-label data
    # rows of phase, epoch, loss, val_loss, top1, val_top1 (or val_map), learning_rate, seconds
    history: tuple[Mapping[str, Any], ...] = ()
    linear_l2: float | None = None  # the strength that was taken
    linear_path: tuple[Mapping[str, Any], ...] = ()  # rows of l2, val_top1 (or val_map), val_nll
    cross_validation: Mapping[str, CrossValidation] = field(default_factory=dict)  # by phase name
    seconds: Mapping[str, float] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    diagnosis: tuple[Diagnosis, ...] = ()  # what the curves say, the most pressing first
    # quick classifier's cross-validated score at each stage, nearest the input first, and on all ("all")
    stage_probes: Mapping[str, float] = field(default_factory=dict)
    # of single-label data alone:
    calibration: Calibration | None = None
    rejection: Rejection | None = None
    conformal: Conformal | None = None
    strangeness: Strangeness | None = None
    gallery: Gallery | None = None
    doubts: Doubts | None = None
    growth: Growth | None = None
    against: Against | None = None
    over_linear: Paired | None = None  # what is kept beside the linear classifier, on test (else val)
    cost: Cost | None = None

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise ValueError(f"a report's measure is one of {', '.join(MEASURES)}, not {self.measure!r}")
        wanted = MultiLabelMetrics if self.multilabel else SplitMetrics
        for split, scores in self.splits.items():
            if not isinstance(scores, wanted):
                raise ValueError(
                    f"{split}: {self.measure} needs {wanted.__name__}, not {type(scores).__name__}"
                )
        if self.multilabel and not self.data.images:
            raise ValueError("multi-label data need Data.images: the counts by class add up to more")

    @property
    def multilabel(self) -> bool:
        """Whether an image may have several classes, or none."""
        return self.measure == "map"

    def score(self, split: str) -> float:
        """The measure of the model in a split, 0..1."""
        return float(getattr(self.splits[split], self.measure))

    def single_label(self, split: str) -> SplitMetrics:
        """The scores of a split of single-label data."""
        scores = self.splits[split]
        assert isinstance(scores, SplitMetrics), f"{self.measure} has no single label"
        return scores

    def multi_label(self, split: str) -> MultiLabelMetrics:
        """The scores of a split of multi-label data."""
        scores = self.splits[split]
        assert isinstance(scores, MultiLabelMetrics), f"{self.measure} has no several labels"
        return scores

    @property
    def headline(self) -> str:
        """The split that the first sentence of a report is about: test where there is one."""
        return next((name for name in ("test", "val") if name in self.splits), min(self.splits))

    @property
    def happened(self) -> tuple[str, ...]:
        """Of the notes those that tell what a phase did."""
        return tuple(note for note in self.notes if self._tells_of_phase(note))

    def _tells_of_phase(self, note: str) -> bool:
        names = {str(phase.get("phase", "")) for phase in self.decision.phases} | {"start"}
        return note.partition(":")[0] in names

    def remarks(self) -> tuple[str, ...]:
        """What a reader should know first: other notes, and those that the numbers themselves call for."""
        found = [note for note in self.notes if not self._tells_of_phase(note)]
        if self.headline == "val" and NO_TEST_SPLIT not in found:
            found.append(NO_TEST_SPLIT)
        if shared := self.data.shared():
            found.append(f"SPLITS ARE NOT APART, so the figures are optimistic ({'; '.join(shared)})")
        if "group" in self.data.intersections:
            found.append(
                "images of one group count as independent in all intervals, so they are too narrow where "
                "images of a group resemble each other"
            )
        if not self.multilabel:
            scores = self.single_label(self.headline)
            found += [*absent_classes(scores, self.headline), *lost_classes(scores, self.headline)]
        for name, split in self.splits.items():
            if split.non_finite:
                found.append(
                    f"{split.non_finite} of {split.n} {name} images got probabilities that are "
                    "not finite; they count as wrong"
                )
        return tuple(found)

    def confused(self, split: str, limit: int = 10) -> tuple[Confused, ...]:
        """The pairs of classes confused most often in a split, most images first."""
        wrong = self.single_label(split).confusion.copy()
        np.fill_diagonal(wrong, 0)
        # Negated, so that the stable sort leaves equal counts in class order.
        order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
        rows, columns = np.unravel_index(order, wrong.shape)
        pairs = [(int(row), int(column)) for row, column in zip(rows, columns, strict=True)]
        return tuple(self._confused(split, pair) for pair in pairs if wrong[pair] > 0)

    def _confused(self, split: str, pair: tuple[int, int]) -> Confused:
        scores = self.single_label(split)
        images = int(scores.confusion[pair])
        share = images / scores.per_class[pair[0]].n
        return Confused(self.class_names[pair[0]], self.class_names[pair[1]], images, share)

    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json`: plain Python values, null for what is not finite."""
        content = {
            "schema": SCHEMA,
            "splits": {name: split.as_dict() for name, split in self.splits.items()},
            **self._scores(),
            "linear_path": self.linear_path,
            "kept": self.kept,
            "cross_validation": {name: one.as_dict() for name, one in self.cross_validation.items()},
            "intersections": self.data.intersections,
            "diagnosis": [vars(one) for one in self.diagnosis],
        }
        return {key: plain(value) for key, value in content.items()}

    def _scores(self) -> dict[str, Any]:
        if not self.multilabel:
            found = {"linear_top1": self.linear_score, "majority_top1": self.baseline_score}
            more = {
                "linear_top5": self.linear_top5,
                "majority_top5": self.baseline_top5,
                "pixels_top1": self.pixels_score,
            }
            return found | {name: scores for name, scores in more.items() if scores}
        return {
            "task": "multi-label",
            "threshold": self.multi_label(self.headline).threshold,
            "linear_map": self.linear_score,
            "baseline_map": self.baseline_score,
        }


def plain(value: Any) -> Any:
    """The value in types that JSON has; numpy's numbers and NaN are none of them."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
