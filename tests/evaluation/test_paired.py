from dataclasses import replace

import numpy as np
import pytest

from transferkit.evaluation.paired import bonett_price, holm, mcnemar, paired


def test_a_hand_worked_mcnemar():
    # Two of ten: twice the chance of two heads or fewer in ten throws: 2 (1 + 10 + 45) / 1024.
    assert mcnemar(2, 8) == mcnemar(8, 2) == pytest.approx(0.109375)
    assert mcnemar(0, 0) == mcnemar(3, 3) == 1.0


def test_two_classifiers_are_compared_on_the_same_images():
    first = np.array([True] * 60 + [False] * 40)
    second = np.array([True] * 55 + [False] * 5 + [True] * 25 + [False] * 15)
    found = paired(first, second)
    assert (found.n, found.only_first, found.only_second) == (100, 5, 25)
    assert found.difference == pytest.approx(0.2) and found.distinguishable
    # Normal approximation: sqrt((.3 - .04) / 100) = .051 either way of 1.96.
    assert found.low == pytest.approx(0.1, abs=0.011) and found.high == pytest.approx(0.3, abs=0.011)


def test_a_small_difference_is_not_told_from_chance():
    found = paired(np.array([True, True, False]), np.array([True, False, True]))
    assert not found.distinguishable and found.difference == 0.0 and found.p == 1.0


def test_runs_that_agree_on_a_few_images_may_differ_on_others():
    found = paired(np.ones(20, bool), np.ones(20, bool))
    # (1 + 1) / 22 for the variance: 1.96 sqrt(.0909 / 22) = .126 either way.
    assert (found.difference, found.low, found.high) == (
        0.0,
        pytest.approx(-0.126, abs=1e-3),
        pytest.approx(0.126, abs=1e-3),
    )
    assert bonett_price(0, 9, 100)[0] > 0.01


def test_what_is_chance_among_several_is_said_to_be_told_apart_alone():
    first, second = np.arange(300) < 12, (np.arange(300) >= 12) & (np.arange(300) < 40)
    alone = paired(first, second)
    assert alone.p == pytest.approx(0.0166, abs=1e-4) and alone.distinguishable and alone.at_odds == ""
    among = replace(alone, p_holm=4 * alone.p)
    assert not among.distinguishable and among.at_odds.startswith("alone it would be told apart")


def test_p_of_several_tests_is_holms():
    # Wright 1992, table 1: the smallest times 4, the next times 3 and so on, never below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([0.03]) == [0.03] and holm([]) == []


def test_what_is_not_paired_is_refused():
    with pytest.raises(ValueError, match="two answers to each image"):
        paired(np.array([True]), np.array([True, False]))
    with pytest.raises(ValueError, match="at least one"):
        paired(np.array([], bool), np.array([], bool))


def test_a_difference_at_the_edge_says_that_test_and_interval_do_not_agree():
    first = np.array([True] * 3 + [False] * 11 + [True] * 86)
    second = np.array([False] * 3 + [True] * 11 + [True] * 86)
    found = paired(first, second)
    assert found.p == pytest.approx(0.0574, abs=1e-4) and found.low > 0
    assert found.at_odds.startswith("at the edge: the interval leaves 0 out")
    assert paired(np.ones(20, bool), np.ones(20, bool)).at_odds == ""
    assert paired(np.zeros(30, bool), np.ones(30, bool)).at_odds == ""
