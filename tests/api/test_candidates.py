"""What fine-tuning starts from, and whose place a candidate takes."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from transferkit.api import candidates
from transferkit.api.candidates import beats, starting_point
from transferkit.api.work import Candidate
from transferkit.strategies import FeatureSet, Phase
from transferkit.training.choosing import TriedClassifier

WORK: Any = SimpleNamespace(rows={"val": np.arange(20)}, multilabel=False)
BEST = Candidate("multistage", {}, (0.75, -0.5), None)


@pytest.mark.parametrize(
    ("top1", "loss", "won"), [(0.75, 0.5, False), (0.75, 0.4, True), (0.8, 0.4, True), (0.7, 0.1, False)]
)
def test_what_is_better_on_val_wins(top1: float, loss: float, won: bool):
    assert beats(WORK, replace(BEST, name="fine-tuned", score=(top1, -loss)), BEST) == (won, [])


def test_a_higher_top1_that_may_be_chance_does_not_win_and_is_told():
    new = replace(BEST, name="fine-tuned", score=(0.8, -0.6))
    won, notes = beats(WORK, new, BEST)
    assert not won and notes == [
        "fine-tuned: val top-1 80.0% against 75.0% of the multistage classifier, but log-loss 0.600 against "
        "0.500: on 20 images the higher top-1 may be chance, so it is not kept"
    ]
    # Two standard errors of the difference: 2 sqrt((.25 + .2) / n) is .05 at n = 720.
    for images, expected in ((719, False), (721, True)):
        many: Any = SimpleNamespace(rows={"val": np.arange(images)}, multilabel=False)
        assert beats(many, new, BEST)[0] is expected


def test_of_several_labels_the_higher_map_wins():
    several: Any = SimpleNamespace(rows={"val": np.arange(20)}, multilabel=True)
    assert beats(several, replace(BEST, score=(0.76, -0.9)), BEST) == (True, [])


BEHIND = Phase(name="finetune", kind="finetune", features=("stage2", "stage3"), freeze_depth=2)


def linear(name: str, *stages: str, nll: float | None, val: float = 0.5) -> Candidate:
    seen = FeatureSet(stages=stages)
    tried = (TriedClassifier(seen, "discriminant", None, None, 0.5, nll),) if nll is not None else None
    fitted: Any = SimpleNamespace(features=seen)
    return Candidate(name, {}, (val, -1.0), None, fitted, chosen={name: tried} if tried else {})


def test_fine_tuning_starts_from_the_best_classifier_on_train():
    plain = linear("linear", "stage3", nll=0.5, val=0.9)
    several = linear("multistage", "stage2", "stage3", nll=0.4, val=0.7)
    assert starting_point(WORK, BEHIND, [plain, several]) is several
    worse = replace(several, chosen={"multistage": plain.chosen["linear"]})
    assert starting_point(WORK, BEHIND, [plain, worse]) is plain


def test_where_the_best_sees_what_stays_frozen_one_that_does_not_is_fitted(monkeypatch: pytest.MonkeyPatch):
    plain, several = linear("linear", "stage3", nll=0.5), linear("multistage", "stage1", "stage3", nll=0.4)
    monkeypatch.setattr(candidates, "linear_candidate", lambda work, phase: phase)
    behind = replace(BEHIND, choices=(FeatureSet(stages=("stage2", "stage3")),))
    fitted: Any = starting_point(WORK, behind, [plain, several])
    assert (fitted.name, fitted.kind, fitted.choices) == ("start", "linear", behind.choices)
    assert starting_point(WORK, BEHIND, [plain, several]) is plain  # where a time limit left no choice


def test_where_nothing_was_cross_validated_val_chooses_the_start():
    plain = linear("linear", "stage3", nll=None, val=0.6)
    several = linear("multistage", "stage2", "stage3", nll=None, val=0.7)
    assert starting_point(WORK, BEHIND, [plain, several]) is several


def test_a_network_that_is_its_start_again_wins_nothing():
    same = replace(BEST, name="fine-tuned", score=(0.9, -0.1), moved=False)
    assert beats(WORK, same, BEST) == (False, [])
