import numpy as np
import pytest

from transferkit.evaluation.rejection import (
    accepted,
    conformal,
    conformal_sets,
    coverage_curve,
    rejection,
    threshold_for,
)

# Five images, surest first: right, right, wrong, right, wrong.
SURE = np.array([0.95, 0.9, 0.8, 0.7, 0.6])
P = np.stack([SURE, 1 - SURE], axis=1)
LABELS = np.array([0, 0, 1, 0, 1])


def test_the_threshold_is_the_lowest_that_is_precise_enough():
    assert threshold_for(P, LABELS, 1.0) == 0.9
    # At .7 three of four are right.
    assert threshold_for(P, LABELS, 0.75) == 0.7
    assert threshold_for(P, LABELS, 0.6) == 0.6
    assert threshold_for(P, 1 - LABELS, 0.9) is None


def test_equals_are_accepted_together():
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.8, 0.2]])
    assert threshold_for(p, np.array([0, 1, 0]), 1.0) is None
    assert accepted(p, np.array([0, 1, 0]), 0.9).images == 2


def test_what_is_accepted_is_counted_with_its_interval():
    found = accepted(P, LABELS, 0.7)
    assert (found.coverage, found.images, found.precision) == (0.8, 4, 0.75)
    assert found.low < 0.75 < found.high
    nothing = accepted(P, LABELS, 2.0)
    assert nothing.precision is None and nothing.coverage == 0


def test_the_curve_goes_from_all_images_to_the_surest():
    curve = coverage_curve(P, LABELS)
    assert curve[0] == (0.6, 1.0, 0.6) and curve[-1] == (0.95, 0.2, 1.0)
    assert len(coverage_curve(np.random.default_rng(0).random((500, 3)), np.zeros(500, int))) == 60


def test_val_chooses_and_the_other_split_is_judged():
    found = rejection((P, LABELS), (P[:2], np.array([0, 1])), split="test", target=1.0)
    assert found.threshold == 0.9 and found.val is not None and found.val.precision == 1.0
    assert found.judged is not None and found.judged.precision == 0.5 and found.split == "test"


def test_a_row_without_numbers_is_never_accepted():
    p = np.array([[np.nan, np.nan], [0.6, 0.4]])
    assert accepted(p, np.array([0, 0]), 0.5).images == 1


def test_the_sets_of_a_hand_worked_conformal_prediction():
    # Nine images with p(label) .1 ... .9: scores 1 - p, the ceil(10 * .8) = 8th smallest is .8.
    own = np.arange(1, 10) / 10
    val = np.stack([own, 1 - own], axis=1), np.zeros(9, int)
    judged = np.array([[0.15, 0.85], [0.5, 0.5], [0.9, 0.1], [0.25, 0.75]])
    found = conformal(val, (judged, np.array([0, 0, 1, 1])), split="test", target=0.8)
    assert found is not None and found.threshold == pytest.approx(0.2)
    assert conformal_sets(judged, found.threshold) == [[1], [0, 1], [0], [1, 0]]
    assert (found.coverage, found.mean_size, found.single, found.empty) == (0.5, 1.5, 0.5, 0.0)


def test_too_small_a_val_gives_no_sets():
    # ceil(5 * .9) = 5 of four images.
    assert conformal((P[:4], LABELS[:4]), (P, LABELS), split="test", target=0.9) is None


def test_coverage_is_kept_on_images_drawn_alike():
    random = np.random.default_rng(0)
    p = random.dirichlet(np.ones(5), 20_000)
    labels = (p.cumsum(axis=1) < random.random((20_000, 1))).sum(axis=1)
    found = conformal((p[:5000], labels[:5000]), (p[5000:], labels[5000:]), split="test", target=0.9)
    assert found is not None and found.coverage == pytest.approx(0.9, abs=0.015)
