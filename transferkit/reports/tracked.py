"""What trackers of experiments are told of a run: parameters, metrics, curves; plain names and numbers."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from transferkit.evaluation.report import Report
from transferkit.recipe import KNOBS


class Point(NamedTuple):
    """A measured value at a step; steps are epochs, numbered from 1 across all phases."""

    name: str
    step: int
    value: float


def parameters(report: Report, recipe: Mapping[str, Any]) -> dict[str, str | float | bool]:
    """What was asked (the keys of the recipe that have a value) and what was decided (`plan.*`)."""
    asked = {key: value for key, value in recipe.items() if value is not None}
    decided = {
        "plan.strategy": report.strategy,
        "plan.quadrant": report.decision.quadrant,
        "plan.kept": report.kept,
        "data.name": report.data.name,
        "data.classes": report.data.classes,
        **{f"data.{split}": images for split, images in report.data.totals().items()},
    }
    return {
        key: value if isinstance(value, (int, float, bool)) else str(value)
        for key, value in {**asked, **decided}.items()
    }


def distinctive(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a recipe that are not at their defaults, and those that people compare runs by."""
    return {
        key: value
        for key, value in recipe.items()
        if key in ("backbone", "seed", "image_size") or value != KNOBS[key].default
    }


def metrics(report: Report) -> dict[str, float]:
    """The figures of val and test as `SPLIT/NAME`, those to beat, and the seconds of each part."""
    found: dict[str, float | None] = {}
    for split, scores in report.splits.items():
        found |= {f"{split}/{key}": value for key, value in scores.as_dict().items() if _is_number(value)}
        found[f"{split}/linear_{report.measure}"] = report.linear_score.get(split)
        found[f"{split}/baseline_{report.measure}"] = report.baseline_score.get(split)
    found |= {f"seconds/{part}": value for part, value in report.seconds.items()}
    if report.cost is not None:
        found |= {"model/parameters": report.cost.parameters, "model/macs": report.cost.macs}
        found |= {"model/bytes": report.cost.file_bytes}
    return {key: float(value) for key, value in found.items() if value is not None and math.isfinite(value)}


def epochs(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows of a history that are epochs; those of linear classifiers have number 0."""
    return [row for row in rows if row.get("epoch", 1) >= 1]


def points(rows: Sequence[Mapping[str, Any]], done: int = 0) -> Iterator[Point]:
    """The measured values of the epochs of a history; the first `done` of these were told before."""
    for step, row in enumerate(epochs(rows)[done:], start=done + 1):
        for key, value in row.items():
            if key not in ("phase", "epoch") and _is_number(value):
                yield Point(key, step, float(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
