"""The report: everything that evaluation found, as numbers, for every renderer to read."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from transferkit.evaluation.metrics import SplitMetrics

SCHEMA = 1  # of metrics.json

NO_TEST_SPLIT = "no test split: val chose the model, so its figure is optimistic"


@dataclass(frozen=True, kw_only=True)
class Data:
    """The images that the run used, and those it set aside."""

    name: str
    classes: int
    counts: Mapping[str, Mapping[str, int]]  # split -> class name -> images
    excluded: tuple[tuple[str, str], ...] = ()  # (path, reason)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Why the network was trained the way it was."""

    quadrant: str  # the cell of the matrix, such as "similar-little"
    similarity: str  # "similar" or "different" to ImageNet; other words mark no cell
    amount: str  # "little" or "lots" of data; other words mark no cell
    reasons: tuple[str, ...] = ()
    phases: tuple[Mapping[str, Any], ...] = ()


class Confused(NamedTuple):
    """Images of one class that were called another."""

    label: str
    predicted: str
    images: int
    share: float  # of the images of `label`, 0..1


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one run found. Renderers read this and nothing else."""

    title: str
    data: Data
    class_names: tuple[str, ...]  # in output order
    backbone: str
    strategy: str
    decision: Decision
    splits: Mapping[str, SplitMetrics]  # "val", "test"
    linear_top1: Mapping[str, float]  # by split, 0..1
    majority_top1: Mapping[str, float]  # by split, 0..1
    kept: str  # "linear", "multistage" or "fine-tuned"
    kept_reason: str = ""
    # rows of phase, epoch, loss, val_loss, top1, val_top1, learning_rate, seconds
    history: tuple[Mapping[str, Any], ...] = ()
    linear_l2: float | None = None  # the strength that was taken
    linear_path: tuple[Mapping[str, Any], ...] = ()  # rows of l2, val_top1, val_nll
    seconds: Mapping[str, float] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """The split that the first sentence of a report is about: test where there is one."""
        return next((name for name in ("test", "val") if name in self.splits), min(self.splits))

    def remarks(self) -> tuple[str, ...]:
        """The notes, and those that the numbers themselves call for."""
        found = list(self.notes)
        if self.headline == "val" and NO_TEST_SPLIT not in found:
            found.append(NO_TEST_SPLIT)
        for name, split in self.splits.items():
            if split.non_finite:
                found.append(
                    f"{split.non_finite} of {split.n} {name} images got probabilities that are "
                    "not finite; they count as wrong"
                )
        return tuple(found)

    def confused(self, split: str, limit: int = 10) -> tuple[Confused, ...]:
        """The pairs of classes confused most often in a split, most images first."""
        wrong = self.splits[split].confusion.copy()
        np.fill_diagonal(wrong, 0)
        # Negated, so that the stable sort leaves equal counts in class order.
        order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
        rows, columns = np.unravel_index(order, wrong.shape)
        pairs = [(int(row), int(column)) for row, column in zip(rows, columns, strict=True)]
        return tuple(self._confused(split, pair) for pair in pairs if wrong[pair] > 0)

    def _confused(self, split: str, pair: tuple[int, int]) -> Confused:
        images = int(self.splits[split].confusion[pair])
        share = images / self.splits[split].per_class[pair[0]].n
        return Confused(self.class_names[pair[0]], self.class_names[pair[1]], images, share)

    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json`: plain Python values, null for what is not finite."""
        content = {
            "schema": SCHEMA,
            "splits": {name: split.as_dict() for name, split in self.splits.items()},
            "linear_top1": self.linear_top1,
            "majority_top1": self.majority_top1,
            "linear_path": self.linear_path,
            "kept": self.kept,
        }
        return {key: _plain(value) for key, value in content.items()}


def _plain(value: Any) -> Any:
    """The value in types that JSON has; numpy's numbers and NaN are none of them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
