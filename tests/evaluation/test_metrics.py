import json

import numpy as np
import pytest
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
)

from transferkit.evaluation import metrics

NAMES = [f"class {i}" for i in range(7)]


@pytest.fixture
def split():
    """Seven classes of which number 6 has no images and 5 is never predicted."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 6, 200)
    scores = rng.normal(size=(200, 7))
    scores[np.arange(200), labels] += 1.5
    scores[:, 5] = -9
    odds = np.exp(scores)
    return odds / odds.sum(axis=1, keepdims=True), labels


def test_a_constant_model_over_twenty_classes_gets_five_of_twenty():
    found = metrics.evaluate(np.full((20, 20), 0.05), np.arange(20), [str(i) for i in range(20)])
    assert (found.top1, found.top5) == (1 / 20, 5 / 20)


def test_ties_go_to_the_lowest_class_number():
    p = np.array([[0.2, 0.4, 0.4], [0.3, 0.3, 0.4]])
    assert metrics.rank(p).tolist() == [[1, 2, 0], [2, 0, 1]]
    assert metrics.top_k_hits(p, np.array([2, 1]), 1).tolist() == [False, False]
    assert metrics.top_k_hits(p, np.array([2, 1]), 2).tolist() == [True, False]


@pytest.mark.parametrize("k", [1, 2, 5, 7])
def test_top_k_hits_are_the_labels_among_the_first_k_ranked(split, k):
    p, labels = split
    p = p.round(1)  # many ties
    among = (metrics.rank(p)[:, :k] == labels[:, None]).any(axis=1)
    assert metrics.top_k_hits(p, labels, k).tolist() == among.tolist()


def test_k_is_cut_to_the_number_of_classes():
    assert metrics.top_k_hits(np.array([[0.9, 0.1]]), np.array([1]), 5).tolist() == [True]


def test_float16_gives_the_scores_of_its_values_in_float64(split):
    half = split[0].astype(np.float16)
    found = metrics.evaluate(half, split[1], NAMES)
    assert found == metrics.evaluate(half.astype(np.float64), split[1], NAMES)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_never_hits_and_counts_as_the_worst_answer(bad):
    p = np.array([[0.9, bad], [0.8, 0.2]])
    found = metrics.evaluate(p, np.array([0, 0]), ["a", "b"])
    assert (found.non_finite, found.top1, found.top5) == (1, 0.5, 0.5)
    assert (found.per_class[0].recall, found.confusion.tolist()) == (0.5, [[1, 0], [0, 0]])
    # -ln 1e-12 = 27.631021 and -ln 0.8 = 0.223144; |1 - 0| and |0.8 - 1| for the calibration
    assert found.nll == pytest.approx((27.631021 + 0.223144) / 2)
    assert found.ece == pytest.approx((1.0 + 0.2) / 2)
    assert metrics.predict(p).tolist() == [metrics.NO_PREDICTION, 0]
    assert metrics.rank(p)[0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [  # Newcombe 1998 (Statistics in Medicine 17, 857-872), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_are_those_of_newcombe(hits, n, low, high):
    assert metrics.wilson(hits, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_by_hand():
    # z = 1.959964: middle (0.9 + 0.021341) / 1.042683 = 0.883625,
    # half 1.959964 * sqrt(0.001 + 0.00011856) / 1.042683 = 0.062868
    assert metrics.wilson(81, 90) == pytest.approx((0.820757, 0.946493), abs=2e-6)


def test_wilson_at_the_ends_and_at_another_level():
    assert metrics.wilson(0, 0) == (0.0, 1.0)
    assert metrics.wilson(0, 7)[0] == 0.0
    assert metrics.wilson(7, 7)[1] == 1.0
    assert metrics.wilson(5, 10, level=0.5)[0] > metrics.wilson(5, 10)[0]


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_class_scores_are_those_of_scikit_learn(split):
    p, labels = split
    found = metrics.evaluate(p, labels, NAMES)
    predictions, every = metrics.predict(p), range(7)
    theirs = precision_recall_fscore_support(labels, predictions, labels=every, zero_division=0)
    ours = np.array([(r.precision, r.recall, r.f1, r.n) for r in found.per_class]).T
    np.testing.assert_allclose(ours, np.array(theirs))
    macro = f1_score(labels, predictions, labels=every, average="macro", zero_division=0)
    assert found.macro_f1 == pytest.approx(macro)
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, predictions))
    assert found.nll == pytest.approx(log_loss(labels, p, labels=list(every)))
    assert found.confusion.tolist() == confusion_matrix(labels, predictions, labels=every).tolist()


def test_balanced_accuracy_and_macro_f1_by_hand():
    # Class 0: 3 of 4; class 1: 0 of 1; class 2 never occurs and is never predicted.
    labels, predictions = np.array([0, 0, 0, 0, 1]), np.array([0, 0, 0, 1, 0])
    assert metrics.balanced_accuracy(labels, predictions) == pytest.approx((3 / 4 + 0) / 2)
    assert metrics.macro_f1(labels, predictions, 3) == pytest.approx((6 / 8 + 0 + 0) / 3)


def test_nll_clips_a_certain_mistake():
    assert metrics.nll(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(27.631021)


def test_ece_by_hand():
    # Bins of 1/15: 0.95 twice in the 15th (one hit, gap 0.45), 0.62 in the 10th (hit, gap 0.38),
    # 0.70 in the 11th (miss, gap 0.70): (2 * 0.45 + 0.38 + 0.70) / 4 = 0.495
    p = np.array([[0.95, 0.05], [0.95, 0.05], [0.62, 0.38], [0.70, 0.30]])
    assert metrics.ece(p, np.array([0, 1, 0, 1])) == pytest.approx(0.495)


def test_majority_answers_the_most_frequent_class_of_train():
    assert metrics.majority_top_k(np.array([2, 2, 0]), np.array([2, 0, 0, 0])) == 1 / 4
    assert metrics.majority_top_k(np.array([1, 0, 1, 0]), np.array([0, 0, 1])) == 2 / 3
    # 4 comes three times, 1 twice, then 0 before 2 as the lower number
    train = np.array([4, 4, 4, 1, 1, 2, 0])
    assert metrics.majority_top_k(train, np.array([4, 1, 0, 2, 3]), 3) == 3 / 5


def test_the_entry_of_a_split_survives_json(split):
    found = metrics.evaluate(*split, NAMES)
    entry = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    again = metrics.SplitMetrics.from_dict(entry)
    assert again == found
    assert again.confusion.tolist() == found.confusion.tolist()
    assert entry["top1_ci95"] == list(found.top1_ci95)
    assert set(entry["per_class"][0]) == {"label", "n", "precision", "recall", "f1"}


@pytest.mark.parametrize(
    ("p", "labels", "message"),
    [
        (np.zeros((0, 2)), [], "a split without images has no scores"),
        (
            np.zeros((1, 3)),
            [0],
            "probabilities must be (images, classes) = (1, 2), but got (1, 3)",
        ),
        (np.zeros((1, 2)), [2], "labels must be class numbers 0..1, but got 2..2"),
    ],
)
def test_arguments_that_do_not_belong_together_are_refused(p, labels, message):
    with pytest.raises(ValueError) as caught:
        metrics.evaluate(p, np.array(labels), ["a", "b"])
    assert str(caught.value) == message
