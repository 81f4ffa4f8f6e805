import math

import numpy as np

from tests.toy_report import make_full_report, make_report
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
    assert belief is not None and belief.split == "test" and len(belief.before) == len(belief.after)
    assert kept is not None and kept.coverage[0] == 1.0 and kept.target == 0.95
    more = figures.growth_curve(report)
    assert more is not None and more.images == [100.0, 200.0, 400.0] and more.ahead[0] == 500 + 200
