from dataclasses import astuple

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from transferkit.evaluation.calibration import (
    adaptive_bins,
    belief,
    brier,
    calibrate,
    fit_temperature,
    tempered,
)
from transferkit.evaluation.metrics import nll


def drawn(temperature: float, n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are too sure (or too modest) by a known temperature, and labels."""
    random = np.random.default_rng(seed)
    honest = random.normal(size=(n, 4)) * 2
    p = np.exp(honest)
    p /= p.sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) < random.random((n, 1))).sum(axis=1)
    return tempered(p, 1 / temperature), labels


@pytest.mark.parametrize(
    ("temperature", "images", "least", "most"), [(1.0, 100, 0.01, 0.1), (1.3, 200, 0.7, 1), (1.5, 60, 0.6, 1)]
)
def test_a_temperature_is_taken_for_chance_one_time_in_twenty_and_where_it_is_needed_mostly(
    temperature: float, images: int, least: float, most: float
):
    taken = [fit_temperature(*drawn(temperature, images, seed)) != 1 for seed in range(200)]
    assert least <= np.mean(taken) <= most


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_spoilt_probabilities_is_found(temperature: float):
    p, labels = drawn(temperature)
    assert fit_temperature(p, labels) == pytest.approx(temperature, rel=0.06)
    assert nll(tempered(p, fit_temperature(p, labels)), labels) <= nll(p, labels)


def test_dividing_logits_is_what_tempered_does():
    logits = np.array([[2.0, -1.0, 0.5]])
    p = np.exp(logits) / np.exp(logits).sum()
    halved = np.exp(logits / 2) / np.exp(logits / 2).sum()
    assert tempered(p, 2.0) == pytest.approx(halved)
    assert tempered(p, 2.0).argmax() == p.argmax()


def test_answers_that_are_all_right_ask_for_no_certainty():
    p = np.array([[0.9, 0.1]] * 40)
    found = tempered(p, fit_temperature(p, np.zeros(40, int)))
    # 40 images and one spread over two classes: 1 - 1/42/2.
    assert found[0, 0] == pytest.approx(1 - 1 / 84, abs=2e-3)
    assert fit_temperature(np.full((2, 2), np.nan), np.array([0, 1])) == 1.0


def test_brier_is_scikit_learns():
    p, labels = drawn(2.0, 300)
    assert brier(p, labels) == pytest.approx(
        brier_score_loss(labels, p, labels=range(4), scale_by_half=False)
    )
    assert brier(np.array([[0.0, 1.0], [np.nan, 0.5]]), np.array([0, 0])) == 2.0


def test_a_hand_worked_calibration_error():
    # Confidences .6, .7 (one of two right) and .8, 1. (both right), ten images of each in two bins:
    # |.65 - .5| and |.9 - 1.|, each half of the images: (.15 + .1) / 2.
    p = np.repeat([[0.6, 0.4], [0.3, 0.7], [0.8, 0.2], [1.0, 0.0]], 10, axis=0)
    labels = np.zeros(40, int)
    found = belief(p, labels, bins=2)
    assert found.adaptive_ece == pytest.approx(0.125)
    # Of equal width the bins are (0, .5] and (.5, 1]: |3.1 - 3| / 4.
    assert found.ece == pytest.approx(0.025)
    assert [(one.images, one.accuracy) for one in found.bins] == [(20, 0.5), (20, 1.0)]


def test_images_of_like_confidence_stand_in_one_bin_whatever_the_order_of_the_rows():
    p, labels = np.full((100, 2), 0.5), np.repeat([0, 1], 50)
    assert belief(p, labels).adaptive_ece == 0 and len(belief(p, labels).bins) == 1
    p, labels = drawn(1.0, 300)
    p = p.round(1) / p.round(1).sum(axis=1, keepdims=True)
    shuffled = np.random.default_rng(0).permutation(300)
    found = belief(p, labels)
    again = belief(p[shuffled], labels[shuffled])
    assert [astuple(one) for one in found.bins] == [pytest.approx(astuple(one)) for one in again.bins]
    sure = [one.confidence for one in found.bins]
    assert sure == sorted(set(sure)) and sum(one.images for one in found.bins) == 300
    # Few apart from many that are the same join their neighbours.
    for few in (1, 8, 92, 99):
        p = np.r_[np.linspace(0.6, 0.9, few), np.ones(100 - few)]
        sizes = [one.images for one in belief(np.c_[p, 1 - p], np.zeros(100, int)).bins]
        assert min(sizes) >= 10 and sum(sizes) == 100


def test_of_few_images_an_honest_model_has_an_error_too_and_that_is_told():
    for images, least, most in ((20, 0.05, 0.12), (100, 0.08, 0.14), (4000, 0.005, 0.025)):
        found = [belief(*drawn(1.0, images, seed)) for seed in range(20)]
        errors = [one.adaptive_ece for one in found]
        told = [one.adaptive_ece_by_chance for one in found]
        assert least < np.mean(told) < most
        # The labels are of these probabilities: what is told is what is found.
        assert np.mean(told) == pytest.approx(np.mean(errors), rel=0.3)
        assert np.mean([one.ece_by_chance for one in found]) == pytest.approx(
            np.mean([one.ece for one in found]), rel=0.2
        )
    assert len(belief(*drawn(1.0, 20)).bins) == 2 and len(belief(*drawn(1.0, 9)).bins) == 1
    p, labels = drawn(3.0, 4000)
    spoilt = belief(p, labels)
    assert (
        spoilt.adaptive_ece_by_chance is not None and spoilt.adaptive_ece > 5 * spoilt.adaptive_ece_by_chance
    )


def test_bins_hold_equally_many_images_and_a_row_without_numbers_is_wrong():
    p, labels = drawn(1.0, 100)
    p[0] = np.nan
    sizes = [one.images for one in adaptive_bins(p, labels, 15)]
    assert sum(sizes) == 100 and len(sizes) == 10 and max(sizes) - min(sizes) <= 1
    assert adaptive_bins(p[:1], labels[:1], 15)[0].confidence == 1.0
    assert adaptive_bins(p[:1], labels[:1], 15)[0].accuracy == 0.0


def test_val_alone_gives_the_temperature():
    p, labels = drawn(3.0)
    other, truth = drawn(1.0)
    found = calibrate({"val": p, "test": other}, {"val": labels, "test": truth})
    assert found.temperature == pytest.approx(3.0, rel=0.06) and found.images == 4000
    assert found.after["val"].nll < found.before["val"].nll
    # What val says is wrong for this test: nobody looked at it.
    assert found.after["test"].nll > found.before["test"].nll
