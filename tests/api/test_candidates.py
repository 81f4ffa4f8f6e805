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
from transferkit.training.interrupting import AtOnce

LABELS = np.zeros(900, int)
WORK: Any = SimpleNamespace(rows={"val": np.arange(20)}, labels=LABELS, multilabel=False)
BEST = Candidate("multistage", {}, (0.75, -0.5), None)


def with_losses(losses: Any, **values: Any) -> Candidate:
    """A fine-tuned network with these log-losses of the images of val."""
    own = np.exp(-np.asarray(losses, float))
    return replace(BEST, name="fine-tuned", probabilities={"val": np.stack([own, 1 - own], axis=1)}, **values)


@pytest.mark.parametrize(
    ("top1", "loss", "won"), [(0.75, 0.5, False), (0.75, 0.4, True), (0.8, 0.4, True), (0.7, 0.1, False)]
)
def test_what_is_better_on_val_wins(top1: float, loss: float, won: bool):
    old = with_losses([0.5] * 20)
    assert beats(WORK, with_losses([loss] * 20, score=(top1, -loss)), old) == (won, [])


def test_a_lower_loss_that_may_be_chance_does_not_win_and_is_told():
    old, noise = with_losses([0.5] * 20), np.array([0.4, -0.4] * 10)
    # A mean gain of .1 with a deviation of .41 over 20 images: 1.09 standard errors; of .08: .87.
    assert beats(WORK, with_losses(0.4 + noise, score=(0.75, -0.4)), old) == (True, [])
    won, notes = beats(WORK, with_losses(0.42 + noise, score=(0.75, -0.42)), old)
    assert not won and notes == [
        "fine-tuned: val top-1 75.0%, log-loss 0.420 against 75.0% and 0.500 of the fine-tuned "
        "classifier: on 20 "
        "images that may be chance, so it is not kept"
    ]
    # A linear classifier needs no more than to be lower.
    assert beats(WORK, replace(BEST, score=(0.75, -0.42)), old) == (True, [])


def test_a_higher_top1_that_may_be_chance_does_not_win_and_is_told():
    # Two standard errors of the difference: 2 sqrt((.25 + .2) / n) is .05 at n = 720.
    for images, expected in ((719, False), (721, True)):
        new, old = (
            with_losses([0.6] * images, score=(0.8, -0.6)),
            with_losses([0.5] * images, score=(0.75, -0.5)),
        )
        many: Any = SimpleNamespace(rows={"val": np.arange(images)}, labels=LABELS, multilabel=False)
        won, notes = beats(many, new, old)
        assert won is expected and bool(notes) is not expected


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


def test_ctrl_c_before_a_phase_has_anything_keeps_what_stands(monkeypatch: pytest.MonkeyPatch):
    base = linear("linear", "stage1", nll=0.5)
    weights: list[Any] = []
    network: Any = SimpleNamespace(get_weights=list, set_weights=weights.append)
    two = [Phase(name=name, kind=name, features=(), freeze_depth=1) for name in ("linear", "finetune")]
    plan = SimpleNamespace(linear=two[0], phases=two)
    work: Any = SimpleNamespace(plan=plan, extractor=SimpleNamespace(network=network))
    monkeypatch.setattr(candidates, "linear_candidate", lambda *_: base)
    for error, stops in ((KeyboardInterrupt, False), (AtOnce, True)):

        def pressed(*_: Any, error: Any = error) -> Candidate:
            raise error

        monkeypatch.setattr(candidates, "tuned_candidate", pressed)
        if stops:
            with pytest.raises(AtOnce):
                candidates.run_phases(work)
            continue
        first, best = candidates.run_phases(work)
        assert first is base and best.interrupted and best.name == base.name
        assert best.notes[-1].startswith("finetune: interrupted before it was judged")
    assert len(weights) == 1  # the network is what it was
