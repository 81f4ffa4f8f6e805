"""Whose place a candidate takes."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from transferkit.api.candidates import beats
from transferkit.api.work import Candidate

LABELS = np.zeros(20, dtype=int)


def candidate(right: int, *, linear: bool = False) -> Candidate:
    """One that is right on the first so many of 20 images."""
    of_zero = (np.arange(20) < right).astype(float)
    probabilities = {"val": np.stack([of_zero, 1 - of_zero], axis=1)}
    fitted: Any = object() if linear else None
    return Candidate("fine-tuned", probabilities, (right / 20, -0.5), None, fitted)


def work(*, try_both: bool, multilabel: bool = False) -> Any:
    plan = SimpleNamespace(evidence={"try_both": try_both})
    return SimpleNamespace(labels=LABELS, rows={"val": np.arange(20)}, plan=plan, multilabel=multilabel)


@pytest.mark.parametrize(
    ("right", "try_both", "won"),
    [
        (15, False, False),  # equal is not better
        (16, False, True),
        # One more of 20: .05, and the standard error is sqrt(.05 * .95 / 20) = .049.
        (16, True, True),
        (14, True, False),
    ],
)
def test_what_is_better_on_val_wins(right: int, try_both: bool, won: bool):
    assert beats(work(try_both=try_both), candidate(right), candidate(15))[0] is won


def test_where_the_plan_was_not_sure_chance_is_not_enough():
    # Right on 3 others and wrong on 2: the standard error is sqrt((.25 - .05^2) / 20) = .111.
    right = np.isin(np.arange(20), [*range(13), 15, 16, 17]).astype(float)
    best = candidate(15)
    new = replace(best, probabilities={"val": np.stack([right, 1 - right], axis=1)}, score=(0.8, -0.5))
    won, notes = beats(work(try_both=True), new, best)
    assert not won
    assert notes[0].startswith("fine-tuned: val top-1 80.0% against 75.0%")
    assert notes[0].endswith("is no more than chance gives on 20 images (standard error 11.1%): not kept")
    assert beats(work(try_both=False), new, best) == (True, [])


def test_linear_kinds_and_several_labels_are_judged_by_val_alone():
    assert beats(work(try_both=True), candidate(16, linear=True), candidate(15)) == (True, [])
    assert beats(work(try_both=True, multilabel=True), candidate(16), candidate(15)) == (True, [])
