"""What fine-tuning starts from, and whose place a candidate takes."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from transferkit.api.candidates import beats, starting_point
from transferkit.api.work import Candidate
from transferkit.strategies import FeatureSet, Phase
from transferkit.training.choosing import TriedClassifier

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


BEHIND = Phase(name="finetune", kind="finetune", features=("stage2", "stage3"), freeze_depth=2)


def linear(name: str, *stages: str, nll: float | None, val: float = 0.5) -> Candidate:
    seen = FeatureSet(stages=stages)
    tried = (TriedClassifier(seen, "discriminant", None, None, 0.5, nll),) if nll is not None else None
    fitted: Any = SimpleNamespace(features=seen)
    return Candidate(name, {}, (val, -1.0), None, fitted, chosen={name: tried} if tried else {})


def test_fine_tuning_starts_from_the_best_classifier_on_train():
    plain = linear("linear", "stage3", nll=0.5, val=0.9)
    several = linear("multistage", "stage2", "stage3", nll=0.4, val=0.7)
    assert starting_point(BEHIND, [plain, several]) is several
    assert (
        starting_point(BEHIND, [plain, replace(several, chosen={"multistage": plain.chosen["linear"]})])
        is plain
    )


def test_a_classifier_that_sees_what_stays_frozen_is_no_start():
    plain, several = linear("linear", "stage3", nll=0.5), linear("multistage", "stage1", "stage3", nll=0.4)
    assert starting_point(BEHIND, [plain, several]) is plain


def test_where_nothing_was_cross_validated_val_chooses_the_start():
    plain = linear("linear", "stage3", nll=None, val=0.6)
    several = linear("multistage", "stage2", "stage3", nll=None, val=0.7)
    assert starting_point(BEHIND, [plain, several]) is several
