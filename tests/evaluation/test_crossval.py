import json

import pytest

from transferkit.evaluation.crossval import summarise


@pytest.mark.parametrize(
    ("scores", "mean", "low", "high"),
    [
        # standard deviation 0.1; t of 2 degrees of freedom is 4.302653; 4.302653 * 0.1 / sqrt(3) = 0.248414
        ([0.6, 0.7, 0.8], 0.7, 0.451586, 0.948414),
        # standard deviation sqrt(0.001 / 4) = 0.0158114; t of 4 is 2.776445; the half width 0.0196324
        ([0.80, 0.81, 0.82, 0.83, 0.84], 0.82, 0.8003676, 0.8396324),
    ],
)
def test_the_interval_is_that_of_students_t(scores, mean, low, high):
    found = summarise(scores, 50)
    assert found.mean == pytest.approx(mean)
    assert found.ci95 == pytest.approx((low, high), abs=1e-6)


def test_two_folds_far_apart_say_little_and_never_leave_0_to_1():
    # t of 1 degree of freedom is 12.7062; 12.7062 * 0.05 = 0.63531
    assert summarise([0.8, 0.9], 20).ci95 == pytest.approx((0.21469, 1.0), abs=1e-5)
    assert summarise([0.1, 0.2], 20).ci95 == pytest.approx((0.0, 0.78531), abs=1e-5)


def test_folds_that_agree_leave_no_doubt():
    assert summarise([0.5, 0.5, 0.5], 9).ci95 == (0.5, 0.5)


def test_the_entry_in_metrics_json_is_plain():
    entry = summarise([0.5, 0.5], 10, "map").as_dict()
    assert json.loads(json.dumps(entry)) == {
        "measure": "map", "scores": [0.5, 0.5], "n": 10, "mean": 0.5, "ci95": [0.5, 0.5], "folds": 2,
    }  # fmt: skip
