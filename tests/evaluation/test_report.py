import json
from dataclasses import replace

import numpy as np
import pytest

from tests.toy_report import make_multilabel_report, make_report
from transferkit.evaluation.crossval import summarise
from transferkit.evaluation.report import NO_TEST_SPLIT


def content_of(report):
    return json.loads(json.dumps(report.metrics(), allow_nan=False))


def test_metrics_json_keeps_its_contract():
    report = make_report(linear_path=({"l2": np.float32(0.5), "val_top1": 0.5, "val_nll": float("nan")},))
    content = content_of(report)
    assert list(content) == [
        "schema", "splits", "linear_top1", "majority_top1", "linear_path", "kept", "cross_validation",
        "intersections", "diagnosis",
    ]  # fmt: skip
    assert content["schema"] == 1
    assert (content["linear_top1"]["val"], content["majority_top1"]["val"]) == (0.5, 0.2)
    assert content["linear_path"] == [{"l2": 0.5, "val_top1": 0.5, "val_nll": None}]
    wanted = "n top1 top5 top1_ci95 macro_f1 balanced_accuracy nll ece per_class".split()
    assert set(wanted) <= set(content["splits"]["test"])


def test_metrics_json_of_multilabel_data_names_its_task_and_threshold_and_no_top1():
    content = content_of(make_multilabel_report())
    assert list(content) == [
        "schema", "splits", "task", "threshold", "linear_map", "baseline_map", "linear_path", "kept",
        "cross_validation", "intersections", "diagnosis",
    ]  # fmt: skip
    assert (content["schema"], content["task"], content["threshold"]) == (1, "multi-label", 0.35)
    assert (content["linear_map"]["test"], content["baseline_map"]["test"]) == (0.55, 0.25)
    assert content["splits"]["test"]["map"] == 0.625
    assert "top1" not in json.dumps(content)


def test_metrics_json_holds_the_folds_and_what_the_splits_share():
    content = content_of(make_report(cross_validation={"linear": summarise([0.5, 0.5], 8)}))
    assert content["cross_validation"] == {
        "linear": {
            "measure": "top1", "scores": [0.5, 0.5], "n": 8, "mean": 0.5, "ci95": [0.5, 0.5], "folds": 2,
        }
    }  # fmt: skip
    assert content["intersections"]["content"] == {"train & val": 0, "train & test": 0, "val & test": 0}


def test_scores_that_do_not_belong_to_the_measure_are_refused():
    single, several = make_report(), make_multilabel_report()
    with pytest.raises(ValueError, match="^val: top1 needs SplitMetrics, not MultiLabelMetrics$"):
        replace(single, splits=several.splits)
    with pytest.raises(ValueError, match="^val: map needs MultiLabelMetrics, not SplitMetrics$"):
        replace(several, splits=single.splits)
    with pytest.raises(ValueError, match="^a report's measure is one of top1, map, not 'auc'$"):
        replace(single, measure="auc")


def test_images_of_several_classes_are_not_counted_from_their_classes():
    several = make_multilabel_report()
    assert make_report().data.totals() == {"train": 30, "val": 30, "test": 30}
    assert several.data.totals() == {"train": 4, "val": 4, "test": 4}
    with pytest.raises(ValueError, match="need Data.images"):
        replace(several, data=replace(several.data, images={}))


def test_the_score_is_that_of_the_measure():
    report = make_report(labels=[0, 0, 0, 1], predicted=[0, 0, 1, 1], classes=2)
    assert report.score("test") == 0.75
    # sea: 1 of the 2 at 0.9 has it, and so 2 of all 4: 1/2; sky: first at 0.9, then 2 of all 4: 1/2 + 1/4
    assert make_multilabel_report().score("test") == pytest.approx((1 / 2 + 3 / 4) / 2)


def test_confused_pairs_come_most_images_first_and_without_the_diagonal():
    # three images a class: class 0 is called 1 twice and 2 once, class 1 is called 0 once
    report = make_report(labels=[0, 0, 0, 1, 1, 1], predicted=[1, 1, 2, 0, 1, 1], classes=3)
    pairs = [(*pair[:3], round(pair.share, 3)) for pair in report.confused("test")]
    assert pairs == [("class 0", "class 1", 2, 0.667), ("class 0", "class 2", 1, 0.333),
                     ("class 1", "class 0", 1, 0.333)]  # fmt: skip
    assert len(report.confused("test", limit=1)) == 1


@pytest.mark.parametrize("make", [make_report, make_multilabel_report])
def test_the_headline_is_val_and_says_so_where_there_is_no_test_split(make):
    report = make()
    assert (report.headline, report.remarks()) == ("test", ())
    alone = make(splits=("val",))
    assert (alone.headline, alone.remarks()) == ("val", (NO_TEST_SPLIT,))


def test_probabilities_that_are_not_finite_are_told():
    report = make_report(labels=[0, 1], predicted=[-1, 1], splits=("test",))
    assert report.remarks()[2:] == (
        "1 of 2 test images got probabilities that are not finite; they count as wrong",
    )


def test_classes_of_which_nothing_was_recognised_are_named():
    assert make_report(labels=[0, 0, 1, 2], predicted=[0, 1, 1, 1], classes=4).remarks()[1:] == (
        "no test image of 1 of 3 classes was recognised (1 of each): class 2; with every class counted the "
        "same 50.0% are right",
    )
    # Seven of eight, which have 1 to 2 images.
    (told,) = make_report(labels=[0, 1, 2, 3, 4, 5, 6, 7, 7], predicted=[0] * 9, classes=8).remarks()
    assert told.startswith(
        "no test image of 7 of 8 classes was recognised (1 to 2 of each): class 1, class 2, "
    )
    assert "class 5 and others; with every class counted the same 12.5%" in told


def test_splits_that_share_something_are_told_first():
    report = make_report()
    found = {"content": {"train & val": 0, "train & test": 2}, "group": {"val & test": 1}}
    leaking = replace(report, data=replace(report.data, intersections=found))
    assert leaking.remarks() == (
        "SPLITS ARE NOT APART, so the figures are optimistic "
        "(content in train and test: 2; group in val and test: 1)",
        "images of one group count as independent in all intervals, so they are too narrow where images of a "
        "group resemble each other",
    )
