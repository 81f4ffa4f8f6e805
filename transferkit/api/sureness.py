"""How sure answers are: sets of classes, and answers that are taken back, by the thresholds of a run."""

from typing import Any

import numpy as np

from transferkit.data.index import BETWEEN_NAMES
from transferkit.errors import UsageError
from transferkit.evaluation.calibration import tempered
from transferkit.evaluation.labels import joinable
from transferkit.evaluation.rejection import conformal_sets
from transferkit.runs import Run


def check_sureness(run: Run, *, sets: bool, reject: bool) -> None:
    """Refuse what the run has no threshold for, before any image is read.

    Raises:
        UsageError: says why.
    """
    if sets:
        _threshold_of_sets(run)
    if reject:
        _threshold_of_answers(run)


def sureness(run: Run, probabilities: np.ndarray, *, sets: bool, reject: bool) -> dict[str, list[Any]]:
    """Columns beside the answers: `set` (classes joined by a vertical bar) and `accepted`, as they are asked.

    Args:
        run: whose thresholds.
        probabilities: `(n, C)`, as the model gives them.
        sets: classes that hold the right one in the share of images the run was asked for.
        reject: whether an answer is as sure as the precision needs that the run was asked for.

    Raises:
        UsageError: see `check_sureness`.
    """
    found: dict[str, list[Any]] = {}
    if sets:
        temperature, least = _threshold_of_sets(run)
        chosen = conformal_sets(tempered(probabilities, temperature), least)
        found["set"] = [BETWEEN_NAMES.join(joinable(run.labels[number]) for number in one) for one in chosen]
    if reject:
        temperature, least = _threshold_of_answers(run)
        found["accepted"] = (tempered(probabilities, temperature).max(axis=1, initial=0) >= least).tolist()
    return found


def _threshold_of_sets(run: Run) -> tuple[float, float]:
    """(temperature, lowest probability) of the classes in a set."""
    conformal, calibration = (run.numbers.get(key) for key in ("conformal", "calibration"))
    if not conformal or not calibration:
        raise UsageError(
            f"{run.folder} has no sets of classes: they need one label an image, a test part, and nine "
            "images of val or more."
        )
    return float(calibration["temperature"]), float(conformal["threshold"])


def _threshold_of_answers(run: Run) -> tuple[float, float]:
    """(temperature, lowest probability at it) of an answer that is accepted."""
    rejection, calibration = (run.numbers.get(key) for key in ("rejection", "calibration"))
    if not rejection or not calibration:
        raise UsageError(f"{run.folder} has no threshold for answers: its images may have several classes.")
    if rejection["threshold"] is None:
        raise UsageError(
            f"{run.folder}: no threshold made {rejection['target']:.1%} of its answers on val right. Train "
            "it with a lower --target-precision."
        )
    return float(calibration["temperature"]), float(rejection["threshold"])
