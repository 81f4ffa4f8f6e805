import json

import numpy as np

from tests.toy_report import make_report
from transferkit.evaluation.report import NO_TEST_SPLIT


def test_metrics_json_keeps_its_contract():
    report = make_report(linear_path=({"l2": np.float32(0.5), "val_top1": 0.5, "val_nll": float("nan")},))
    content = json.loads(json.dumps(report.metrics(), allow_nan=False))
    assert list(content) == [
        "schema", "splits", "linear_top1", "majority_top1", "linear_path", "kept",
    ]  # fmt: skip
    assert content["schema"] == 1
    assert content["linear_path"] == [{"l2": 0.5, "val_top1": 0.5, "val_nll": None}]
    wanted = "n top1 top5 top1_ci95 macro_f1 balanced_accuracy nll ece per_class".split()
    assert set(wanted) <= set(content["splits"]["test"])


def test_confused_pairs_come_most_images_first_and_without_the_diagonal():
    # three images a class: class 0 is called 1 twice and 2 once, class 1 is called 0 once
    report = make_report(labels=[0, 0, 0, 1, 1, 1], predicted=[1, 1, 2, 0, 1, 1], classes=3)
    pairs = [(*pair[:3], round(pair.share, 3)) for pair in report.confused("test")]
    assert pairs == [("class 0", "class 1", 2, 0.667), ("class 0", "class 2", 1, 0.333),
                     ("class 1", "class 0", 1, 0.333)]  # fmt: skip
    assert len(report.confused("test", limit=1)) == 1


def test_the_headline_is_val_and_says_so_where_there_is_no_test_split():
    report = make_report()
    assert (report.headline, report.remarks()) == ("test", ())
    alone = make_report(splits=("val",))
    assert (alone.headline, alone.remarks()) == ("val", (NO_TEST_SPLIT,))


def test_probabilities_that_are_not_finite_are_told():
    report = make_report(labels=[0, 1], predicted=[-1, 1], splits=("test",))
    assert report.remarks() == (
        "1 of 2 test images got probabilities that are not finite; they count as wrong",
    )
