import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, log_loss, precision_score, recall_score

from transferkit.evaluation.multilabel import (
    MultiLabelMetrics,
    MultiLabelRow,
    average_precisions,
    bce,
    choose_threshold,
    evaluate_multilabel,
    multilabel_predictions_frame,
    predict_labels,
)

NAMES = ["ant", "bee", "cat"]
# ant: ranked yes, no, yes, no; bee: no, no, yes, no; cat: in no image.
TARGETS = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 0], [0, 0, 0]], float)
P = np.array([[0.9, 0.8, 0.1], [0.8, 0.6, 0.2], [0.7, 0.5, 0.6], [0.1, 0.2, 0.3]])


def drawn(images: int = 200, classes: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities with many ties, and targets that they say something of."""
    random = np.random.default_rng(seed)
    p = random.random((images, classes)).round(1)
    return p, (random.random((images, classes)) < p * np.linspace(0.1, 1, classes)).astype(float)


def evaluated(p: Any = P, targets: np.ndarray = TARGETS, threshold: float = 0.55) -> MultiLabelMetrics:
    names = [f"{number}" for number in range(targets.shape[1])]
    return evaluate_multilabel(np.asarray(p), targets, names, threshold)


def test_golden_numbers():
    found = evaluate_multilabel(P, TARGETS, NAMES, 0.55)
    # Predicted at .55: ant in 3 images, 2 rightly of 2; bee in 2, 0 of 1; cat in 1, 0 of 0.
    assert found.per_class == (
        # Average precision of ant: half each of 1/1 and 2/3; of bee: its one image comes third.
        MultiLabelRow(label="ant", n=2, ap=pytest.approx(5 / 6), precision=2 / 3, recall=1.0, f1=0.8),
        MultiLabelRow(label="bee", n=1, ap=pytest.approx(1 / 3), precision=0.0, recall=0.0, f1=0.0),
        MultiLabelRow(label="cat", n=0, ap=None, precision=0.0, recall=0.0, f1=0.0),
    )
    assert found.map == pytest.approx((5 / 6 + 1 / 3) / 2)
    assert found.macro_f1 == pytest.approx(0.8 / 3)
    assert found.micro_f1 == pytest.approx(2 * 2 / (6 + 3))
    assert found.exact_match == 0.25  # the last image alone
    assert (found.n, found.threshold, found.non_finite) == (4, 0.55, 0)


def test_the_numbers_are_those_of_scikit_learn():
    p, targets = drawn()
    found, predicted = evaluated(p, targets), p >= 0.55
    aps = average_precision_score(targets, p, average=None)
    assert [row.ap for row in found.per_class] == pytest.approx(aps)
    assert found.map == pytest.approx(average_precision_score(targets, p, average="macro"))
    for name, score in {"precision": precision_score, "recall": recall_score, "f1": f1_score}.items():
        expected = score(targets, predicted, average=None, zero_division=0)
        assert [getattr(row, name) for row in found.per_class] == pytest.approx(expected)
    assert found.macro_f1 == pytest.approx(f1_score(targets, predicted, average="macro", zero_division=0))
    assert found.micro_f1 == pytest.approx(f1_score(targets, predicted, average="micro"))
    assert found.exact_match == pytest.approx((predicted == targets).all(axis=1).mean())


def test_cross_entropy_is_the_mean_log_loss_of_the_classes():
    p, targets = drawn()
    p, weights = p.clip(0.05, 0.95), np.linspace(1, 3, len(p))
    for chosen in (None, weights):
        each = [
            log_loss(t, q, labels=[0, 1], sample_weight=chosen) for t, q in zip(targets.T, p.T, strict=True)
        ]
        assert bce(p, targets, chosen) == pytest.approx(np.mean(each))


def test_one_confident_mistake_does_not_cost_infinity():
    # -log 1e-12 = 27.6 nats for the one of two that is wrong.
    assert bce(np.array([[1.0, 1.0]], np.float32), np.array([[1, 0]])) == pytest.approx(27.63 / 2, abs=0.01)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_is_wrong_wherever_it_counts(bad: float):
    p = P.copy()
    p[1, 2], p[3, 0] = bad, bad
    found = evaluated(p)
    assert found.non_finite == 2
    assert not predict_labels(p, 0.0)[[1, 3]].any()
    assert found.exact_match == 0  # though images 1 and 3 have no class, and none is predicted
    # Images 1 and 3 go before all others: ant's come third and fourth, bee's fourth.
    assert average_precisions(p, TARGETS)[:2] == [pytest.approx((1 / 3 + 2 / 4) / 2), 0.25]
    assert found.bce > evaluated().bce + 10


def test_an_image_of_a_class_whose_row_is_not_finite_comes_last():
    p = P.copy()
    p[0, 1] = np.nan
    # ant: image 1 (no), 2 (yes), 3 (no), 0 (yes).
    assert average_precisions(p, TARGETS)[0] == pytest.approx((1 / 2 + 2 / 4) / 2)


@pytest.mark.parametrize("levels", [3, 1000])
def test_average_precision_is_scikit_learns_with_and_without_ties(levels: int):
    random = np.random.default_rng(levels)
    p, targets = random.integers(0, levels, (200, 6)) / levels, random.random((200, 6)) < 0.3
    assert average_precisions(p, targets) == pytest.approx(average_precision_score(targets, p, average=None))
    targets[:, 2] = False
    assert average_precisions(p, targets)[2] is None


def test_no_positive_at_all_gives_zeros_and_not_nan():
    found = evaluated(P, np.zeros_like(TARGETS))
    assert (found.map, found.macro_f1, found.micro_f1) == (0, 0, 0)
    assert [row.ap for row in found.per_class] == [None] * 3
    assert choose_threshold(P, np.zeros_like(TARGETS)) == 0.5


def test_one_class_is_enough():
    found = evaluated(P[:, :1], TARGETS[:, :1])
    assert (found.map, found.micro_f1, found.exact_match) == (pytest.approx(5 / 6), 0.8, 0.75)


def test_metrics_survive_json():
    found = evaluated()
    assert MultiLabelMetrics.from_dict(json.loads(json.dumps(found.as_dict()))) == found
    assert set(found.as_dict()) == set(asdict(found))


@pytest.mark.parametrize("seed", range(4))
def test_the_threshold_has_the_highest_micro_f1(seed: int):
    p, targets = drawn(60, 4, seed)
    every = np.linspace(0.01, 0.99, 99)
    best = max(evaluated(p, targets, t).micro_f1 for t in every)
    assert evaluated(p, targets, choose_threshold(p, targets)).micro_f1 == pytest.approx(best)


@pytest.mark.parametrize(
    ("p", "truth", "threshold"),
    [
        ([0.9, 0.6, 0.2], [1, 1, 0], 0.5),  # all of (.2, .6] are best
        ([0.9, 0.8, 0.6], [1, 1, 0], 0.7),  # (.6, .8]: its middle
        ([0.4, 0.3, 0.1], [1, 0, 0], 0.35),
        ([0.4, 0.3], [1, 1], 0.15),  # all are predicted
        ([0.9, 0.7, 0.3, 0.2, 0.15, 0.1], [1, 0, 0, 1, 1, 0], 0.125),  # all 3 among 5 beat 1 alone
        # Two cuts of F1 2/3: one of one out of (.8, .9], all of four above .1; .85 is nearer.
        ([0.9, 0.8, 0.2, 0.1], [1, 0, 0, 1], 0.85),
        ([0.99, 0.9, 0.6, 0.55, 0.52], [1, 0, 0, 1, 0], 0.535),
        # Equal ones go together: 1 of 4 and then 2 of 5, not 1 of 1.
        ([0.56, 0.56, 0.56, 0.56, 0.3, 0.1], [1, 0, 0, 0, 1, 0], 0.2),
    ],
)
def test_the_threshold_lies_in_the_gap_nearest_to_a_half(p: list[float], truth: list[int], threshold: float):
    assert choose_threshold(np.array([p]).T, np.array([truth]).T) == pytest.approx(threshold)


def test_an_image_whose_row_is_not_finite_is_missed_at_every_threshold():
    p, truth = np.array([[0.52, 0.51, 0.4, 0.3, 0.1, np.nan]]).T, np.array([[1, 0, 0, 1, 0, 1]]).T
    # 1 of 1 and 2 of 4 are as good where there are 2 to find, but 2/4 against 4/7 where there are 3.
    assert choose_threshold(p[:5], truth[:5]) == pytest.approx(0.515)
    assert choose_threshold(p, truth) == pytest.approx(0.2)


def test_the_threshold_is_compared_in_full_precision():
    # As float32 the two are one number, and the first would be predicted.
    p = np.array([[0.3]], np.float32)
    assert not predict_labels(p, float(p[0, 0]) + 1e-9).any()
    assert predict_labels(p, float(p[0, 0])).all()


@pytest.mark.parametrize(
    ("p", "targets", "message"),
    [
        (P[:0], TARGETS[:0], "a split without images has no scores"),
        (P[:, :2], TARGETS, "probabilities and targets must be (images, classes) = (4, 3), "
         "but got (4, 2) and (4, 3)"),
        (P, TARGETS / 2, "targets must be 0 or 1, but got 0.5"),
    ],
)  # fmt: skip
def test_what_does_not_belong_together_is_refused(p: np.ndarray, targets: np.ndarray, message: str):
    with pytest.raises(ValueError) as error:
        evaluate_multilabel(p, targets, NAMES, 0.5)
    assert str(error.value) == message


def frame(p: np.ndarray, names: list[str]) -> Any:
    paths = [f"{number}.jpg" for number in range(len(p))]
    return multilabel_predictions_frame(
        paths, TARGETS[: len(p), : p.shape[1]], "val", probabilities=p, class_names=names, threshold=0.55
    )


def test_a_row_names_all_classes_there_and_predicted():
    table = frame(P, NAMES)
    assert table.columns.tolist() == ["path", "label", "split", "pred", "p", "top5"]
    assert table.iloc[2].tolist() == ["2.jpg", "ant|bee", "val", "ant|cat", 0.7, "ant|cat|bee"]
    assert table.iloc[3].tolist() == ["3.jpg", "", "val", "", 0.3, "cat|bee|ant"]


def test_a_row_that_is_not_finite_predicts_nothing():
    table = frame(np.array([[np.nan, 0.9, 0.1]]), NAMES)
    assert table.loc[0, ["pred", "top5"]].tolist() == ["", ""]
    assert np.isnan(table["p"][0])


def test_a_bar_inside_a_name_is_told_from_the_bar_between_names():
    table = frame(P, ["a|b", "c\\", "d"])
    assert table["label"][2] == "a\\|b|c\\\\"
    assert table["pred"][2] == "a\\|b|d"
