from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.conftest import indexed
from transferkit.api import linear_candidates
from transferkit.api.linear_candidates import fit, seen
from transferkit.recipe import Recipe
from transferkit.strategies import STRATEGIES, Phase, Setting
from transferkit.timing import Stopwatch
from transferkit.training import sample as sample_module
from transferkit.training.bank import Extractor, pooled_bank
from transferkit.training.choosing import TriedClassifier
from transferkit.training.linear import fit_linear
from transferkit.training.sample import Sample

STAGES = ("stage1", "stage2", "stage3")
TRAIN, VAL = np.flatnonzero(np.arange(60) % 4 > 0), np.arange(0, 60, 4)


@pytest.fixture
def work(extractor: Extractor, photos: Path) -> Any:
    index = indexed(photos, extractor.cache)
    return SimpleNamespace(
        bank=pooled_bank(extractor, index, Stopwatch()),
        index=index,
        labels=np.arange(60) // 20,
        class_names=["blue", "green", "red"],
        recipe=Recipe(),
        class_weights=None,
        multilabel=False,
        views=0,
    )


def last_phase(strategy: str, **asked: str) -> Phase:
    return STRATEGIES[strategy](Setting(stages=STAGES, train_images=45, classes=3, **asked))[-1]


def test_the_plain_classifier_is_logistic_regression_on_means_and_nothing_else(work: Any):
    fitted, tried = fit(work, last_phase("multistage", classifier="logistic", features="means"), TRAIN, VAL)
    train, val = ((work.bank.at(STAGES, rows), work.labels[rows]) for rows in (TRAIN, VAL))
    expected = fit_linear(train, val, 3, 17)
    assert tried == () and fitted.l2 == expected.l2 and fitted.path == expected.path
    assert np.array_equal(fitted.kernel, expected.kernel) and np.array_equal(fitted.bias, expected.bias)


@pytest.mark.parametrize("strategy", ["linear", "multistage"])
def test_what_cross_validation_prefers_is_fitted(work: Any, strategy: str):
    phase = last_phase(strategy)
    fitted, tried = fit(work, phase, TRAIN, VAL)
    assert (fitted.method, fitted.features) == (tried[0].method, tried[0].features)
    assert {one.features for one in tried} == set(phase.choices)
    assert tried[0].nll == min(one.nll for one in tried)
    assert np.mean(fitted.probabilities(seen(work, fitted, VAL)).argmax(1) == work.labels[VAL]) > 0.8


@pytest.mark.parametrize("classifier", ["logistic", "discriminant"])
def test_a_selection_is_rows_of_zeros(work: Any, classifier: str):
    phase = last_phase("multistage", classifier=classifier, features="selected")
    fitted, tried = fit(work, phase, TRAIN, VAL)
    used = np.count_nonzero(np.abs(fitted.kernel).sum(axis=1))
    assert fitted.method == classifier and len(fitted.kernel) == 36 * 6
    assert used == round(tried[0].share * 36 * 6)


def test_val_and_test_have_no_say_in_the_choice(work: Any, monkeypatch: pytest.MonkeyPatch):
    asked: list[np.ndarray] = []
    real = linear_candidates.choose_classifier

    def choosing_from(bank: Any, sample: Sample, *rest: Any) -> Any:
        asked.append(sample.rows)
        return real(bank, sample, *rest)

    monkeypatch.setattr(linear_candidates, "choose_classifier", choosing_from)
    fit(work, last_phase("linear"), TRAIN, VAL)
    assert len(asked) == 1 and np.array_equal(asked[0], TRAIN)


def test_val_tempers_a_discriminant_whose_choice_saw_a_part_of_train(
    work: Any, monkeypatch: pytest.MonkeyPatch
):
    phase = last_phase("linear", classifier="discriminant")
    whole = fit(work, phase, TRAIN, VAL)[0]
    monkeypatch.setattr(sample_module, "MOST_IMAGES", 30)
    part, tried = fit(work, phase, TRAIN, VAL)
    logits = seen(work, part, VAL) @ part.kernel + part.bias
    assert linear_candidates.temperature(logits, work.labels[VAL]) == pytest.approx(1, rel=1e-2)
    assert tried[0].features in phase.choices and whole.method == part.method == "discriminant"


def test_a_class_of_one_picture_does_not_take_the_choice_from_the_others(work: Any):
    few = np.concatenate([TRAIN[TRAIN < 40], TRAIN[-1:]])
    phase = last_phase("multistage")
    fitted, tried = fit(work, phase, few, VAL)
    assert {one.features for one in tried} == set(phase.choices)
    assert fitted.kernel.shape[1] == 3 and np.isfinite(fitted.kernel).all()


def test_weights_stay_with_their_classes_where_one_is_left_out(work: Any):
    work.class_weights = np.array([9.0, 1.0, 4.0])
    few = np.concatenate([TRAIN[:1], TRAIN[TRAIN >= 20]])
    sample = linear_candidates.sample_of(work, few)
    assert list(sample.weights) == [1.0, 4.0] and set(sample.labels) == {0, 1}
    assert np.array_equal(work.labels[sample.rows], sample.labels + 1)


@pytest.mark.parametrize(("strategy", "stages"), [("linear", STAGES[-1:]), ("multistage", STAGES)])
def test_where_nothing_can_be_cross_validated_the_phase_sees_what_it_is_for(
    work: Any, strategy: str, stages: tuple[str, ...]
):
    phase = last_phase(strategy)
    fitted, tried = fit(work, phase, np.array([1, 21, 41]), VAL)
    assert tried == () and fitted.features.stages == stages
    (note,) = linear_candidates._untold(phase, fitted)
    assert note.startswith(f"{strategy}: too few images of each class to cross-validate on train; ")


def test_views_that_cross_validation_takes_train_the_classifier(work: Any, monkeypatch: pytest.MonkeyPatch):
    phase, images = last_phase("linear", classifier="discriminant"), len(work.labels)
    plain, (tried, *_) = fit(work, phase, TRAIN, VAL)
    # The images themselves as their views: each twice.
    doubled = work.bank.places
    places = type(doubled)(doubled.shards, np.tile(doubled.shard, 2), np.tile(doubled.row, 2))
    work.bank, work.views = replace(work.bank, places=places), 1
    asked: list[np.ndarray] = []
    real = linear_candidates.fit_discriminant

    def fitting(features: np.ndarray, labels: np.ndarray, *rest: Any, **more: Any) -> Any:
        asked.append(features)
        assert np.array_equal(labels, np.tile(work.labels[TRAIN], len(features) // len(TRAIN)))
        return real(features, labels, *rest, **more)

    monkeypatch.setattr(linear_candidates, "fit_discriminant", fitting)
    taken = replace(tried, views=1)
    linear_candidates.fit_tried(work, taken, TRAIN, VAL)
    (features,) = asked
    assert len(features) == 2 * len(TRAIN) and images == 60
    assert np.array_equal(features[: len(TRAIN)], features[len(TRAIN) :])
    assert {one.views for one in fit(work, phase, TRAIN, VAL)[1]} == {0, 1}


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("discriminant", "without the views, which were no better, best of 2"),
        ("logistic", "without the views (with discriminant they were no better; with logistic they would"),
    ],
)
def test_what_was_not_tried_with_views_is_not_called_worse(method: str, told: str):
    phase = last_phase("linear")
    taken = TriedClassifier(phase.choices[0], method, None, None, 0.9, 0.3)
    other = replace(taken, method="discriminant", nll=0.4, views=4)
    assert told in linear_candidates._told(phase, (taken, other), False)
