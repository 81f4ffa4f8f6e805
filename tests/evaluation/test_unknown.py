import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from transferkit.evaluation.metrics import wilson
from transferkit.evaluation.unknown import auroc_interval, judge_strangeness, judge_unknown, strangeness


def test_the_area_is_scikit_learns_with_ties():
    random = np.random.default_rng(0)
    known, unknown = random.integers(0, 20, 300) / 20, random.integers(6, 26, 200) / 20
    found = judge_unknown(known, unknown)
    truth = np.r_[np.zeros(300), np.ones(200)]
    assert found.auroc == pytest.approx(roc_auc_score(truth, np.r_[known, unknown]))
    assert (known <= found.threshold).mean() >= 0.95
    assert found.fpr95 == pytest.approx((unknown <= found.threshold).mean())
    assert found.fpr95_ci95 == wilson(int((unknown <= found.threshold).sum()), 200)
    assert found.passing == (known <= found.threshold).mean()
    assert judge_unknown(known[:20], unknown).passing == 1  # the highest of 20 is their 95 % point


def test_what_lies_apart_is_told_apart_wholly():
    found = judge_unknown(np.linspace(0, 1, 100), np.linspace(2, 3, 50))
    assert (found.auroc, found.fpr95, found.known, found.unknown) == (1.0, 0.0, 100, 50)


def test_the_interval_of_an_area_holds_the_true_one_and_is_never_without_width():
    from scipy.stats import norm

    random, apart, inside = np.random.default_rng(0), 1.8, 0
    true = norm.cdf(apart / np.sqrt(2))
    for _ in range(400):
        found = judge_unknown(random.normal(0, 1, 20), random.normal(apart, 1, 15))
        inside += found.auroc_ci95[0] <= true <= found.auroc_ci95[1]
    assert 0.93 <= inside / 400 <= 0.985
    low, high = auroc_interval(1.0, 20, 15)
    assert 0.8 < low < 0.95 and high == 1
    assert auroc_interval(0.0, 20, 15) == pytest.approx((0.0, 1 - low))
    assert auroc_interval(0.5, 1, 1)[0] < 0.1


def test_strangeness_is_one_less_the_cosine_to_the_kth_nearest():
    reference = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    asked = np.array([[3.0, 0.0], [0.0, -1.0]])
    assert strangeness(asked, reference, 1) == pytest.approx([0.0, 1.0])
    assert strangeness(asked, reference, 2) == pytest.approx([1 - 0.5**0.5, 1 + 0.5**0.5])
    assert strangeness(asked, reference, 9) == pytest.approx([1.0, 2.0])


def test_both_kinds_are_needed():
    with pytest.raises(ValueError, match="not 1 known and 0 unknown"):
        judge_unknown(np.ones(1), np.ones(0))


def test_val_says_from_where_on_an_image_is_strange_and_test_how_that_does():
    val, test = np.arange(100) / 100, np.array([0.2, 0.99, 0.95, 0.1, 0.97])
    found = judge_strangeness(val, test, list("abcde"), "test")
    # The 96th smallest of 100: the higher of the neighbours of the 95 % point.
    assert (found.threshold, found.val_images, found.val_passing) == (0.95, 100, 0.96)
    assert judge_strangeness(val[:12], test, list("abcde"), "test").val_passing == 1
    assert (found.images, found.passing) == (5, 0.6)
    # Wilson's interval of 3 of 5.
    assert (found.low, found.high) == pytest.approx((0.2307, 0.8824), abs=5e-5)
    assert found.strangest == (("b", 0.99), ("e", 0.97), ("c", 0.95), ("a", 0.2), ("d", 0.1))
    with pytest.raises(ValueError, match="not 0 of val and 5"):
        judge_strangeness(val[:0], test, list("abcde"), "test")
