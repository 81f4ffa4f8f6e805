import math
from dataclasses import replace

import numpy as np
import pytest

from tests.toy_report import make_full_report, make_report
from transferkit.evaluation.comparison import Compared, Comparison
from transferkit.reports import figures


def test_epochs_are_numbered_across_phases():
    info = figures.learning_curve(make_report())
    assert info.epochs == [1, 2, 3]
    assert info.phases == [("head", 1), ("thaw", 3)]
    assert info.val_score == [0.5, 0.6, 0.7]
    assert info.score == [0.9, 0.9, 0.9]
    assert (info.linear_val_score, info.measure) == (0.5, "top-1")


def test_what_was_not_measured_is_nan():
    info = figures.learning_curve(make_report(history=({"phase": "head", "loss": 1.0},)))
    assert info.loss == [1.0]
    assert math.isnan(info.val_loss[0])


def test_rows_of_the_matrix_add_up_to_one_or_nothing():
    report = make_report(labels=[0, 0, 0, 1], predicted=[0, 0, 1, 1], classes=3)
    info = figures.confusion_figure(report, "test")
    assert info.counts == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(info.shares, [[2 / 3, 1 / 3, 0], [0, 1, 0], [0, 0, 0]])


def test_strengths_are_sorted():
    path = tuple({"l2": l2, "val_top1": l2 / 10, "val_nll": 1.0} for l2 in (1.0, 0.0, 0.1))
    info = figures.strength_curve(make_report(linear_path=path))
    assert info.l2 == [0.0, 0.1, 1.0]
    assert info.val_score == [0.0, 0.01, 0.1]
    assert (info.measure, info.loss) == ("top-1", "log-loss")


def test_classes_that_are_confused_stand_beside_each_other():
    # Pairs (0, 19), (1, 18), ... are taken for each other half of the time.
    counts = np.zeros((20, 20), int)
    for number in range(20):
        counts[number, number] = counts[number, 19 - number] = 5
    order = figures.clustered(counts)
    assert sorted(order) == list(range(20))
    assert all(abs(order.index(n) - order.index(19 - n)) == 1 for n in range(10))
    # A few keep their own order, and so does what is never confused.
    assert figures.clustered(counts[:4, :4]) == [0, 1, 2, 3]
    assert figures.clustered(np.eye(20, dtype=int)) == list(range(20))


def test_names_and_counts_follow_the_order_of_the_matrix():
    labels, predicted = list(range(20)), [19 - n for n in range(20)]
    info = figures.confusion_figure(make_report(labels=labels, predicted=predicted, classes=20), "test")
    assert [info.names[place] for place in range(20)] == [f"class {n}" for n in info.order]
    for row, number in enumerate(info.order):
        assert info.counts[row][info.order.index(19 - number)] == 1


def test_attempts_that_were_given_up_are_no_part_of_the_way():
    rows = [
        {"phase": "finetune (exploded)", "epoch": 1, "loss": 9.0},
        {"phase": "finetune", "epoch": 1, "loss": 1.0},
    ]
    assert figures.learning_curve(make_report(history=tuple(rows))).loss == [1.0]


def test_what_was_not_probed_has_no_curve():
    report = make_report(stage_probes={"stage1": 0.5, "stage2": 0.7, "all": 0.8})
    assert figures.stage_probes(report) == (["stage1", "stage2"], [0.5, 0.7], 0.8, "top-1")
    assert figures.stage_probes(make_report()).stages == []
    assert figures.reliability(make_report()) is None and figures.coverage(make_report()) is None
    assert figures.growth_curve(make_report()) is None


def test_the_numbers_of_trust_are_those_of_the_headline():
    report = make_full_report()
    belief, kept = figures.reliability(report), figures.coverage(report)
    assert belief is not None and belief.split == "test"
    for drawn, told in ((belief.before, report.calibration.before), (belief.after, report.calibration.after)):
        bins = told["test"].bins
        assert [point[:2] for point in drawn] == [(one.confidence, one.accuracy) for one in bins]
        assert [point[2:] for point in drawn] == [(one.low, one.high) for one in bins]
        sizes = [one.images for one in bins]
        assert np.average([point[1] for point in drawn], weights=sizes) == pytest.approx(report.score("test"))
    assert kept is not None and kept.target == 0.95 and kept.split == "test"
    # All images get an answer at first; each step takes some back, and what is right of all is top-1.
    assert kept.coverage[0] == 1.0 and kept.precision[0] == pytest.approx(report.score("test"))
    assert all(np.diff(kept.coverage) < 0) and len(kept.precision) == len(kept.coverage)
    judged = report.rejection.judged
    assert kept.chosen == ((judged.coverage, judged.precision) if judged.precision is not None else None)
    more = figures.growth_curve(report)
    assert more is not None and more.images == [100.0, 200.0, 400.0] and more.ahead[0] == 500 + 200
    # Of the epochs 1 and 2; epoch 0 is a linear classifier.
    assert figures.learning_curve(report).rate == [0.00075 / 2, 0.00075 / 3]


def test_a_run_whose_cost_is_not_known_has_no_place_beside_the_others():
    known = Compared(
        name="a", backbone="toy", strategy="linear", kept="linear", top1=0.5, low=0.4, high=0.6,
        macs=2 * 10**6, parameters=9, file_bytes=9, against_first=None,
    )  # fmt: skip
    both = Comparison(runs=(known, replace(known, name="b", macs=None)), images=9, split="test", left_out=0)
    assert figures.cost_points(both) == [("a", 2.0, 0.5, 0.4, 0.6)]
