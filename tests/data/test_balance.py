import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from transferkit.data.balance import (
    balanced_order,
    class_counts,
    class_weights,
    imbalance_ratio,
    sample_weights,
)

LABELS = np.repeat([0, 1, 2], [20, 7, 3])
RARE = np.array([[1, 0], [1, 0], [1, 0], [1, 1], [0, 1], [0, 0]], float)


def test_weights_are_those_of_scikit_learn_and_one_on_average():
    weights = class_weights(class_counts(LABELS, 3))
    assert weights == pytest.approx(compute_class_weight("balanced", classes=np.arange(3), y=LABELS))
    # 30 images, 3 classes: 30 / (3 * 20), 30 / (3 * 7), 30 / (3 * 3).
    assert weights == pytest.approx([0.5, 30 / 21, 10 / 3])
    assert sample_weights(LABELS, weights).mean() == pytest.approx(1)


def test_a_class_without_images_shifts_no_other():
    weights = class_weights(np.array([20, 0, 7, 3]))
    assert weights[[0, 2, 3]] == pytest.approx(class_weights(np.array([20, 7, 3])))
    assert weights[1] == 10  # 30 / (3 * 1): as if it had one


def test_no_images_have_finite_weights():
    assert class_weights(np.zeros(2)).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("counts", "ratio"), [([20, 7, 3], 20 / 3), ([5, 5], 1), ([8, 0, 2], 4), ([0, 0], 1)]
)
def test_imbalance_is_the_largest_class_over_the_smallest(counts: list[int], ratio: float):
    assert imbalance_ratio(np.array(counts)) == pytest.approx(ratio)


def test_counts_of_a_matrix_are_its_columns():
    assert class_counts(RARE, 2).tolist() == [4, 2]


def test_an_image_weighs_the_mean_of_its_classes_by_their_shares():
    # Weights 1 and 4: half each is 2.5 though scaled to any sum, .9 and .1 is 1.3, none is 1.
    targets = np.array([[1, 0], [1, 1], [0.5, 0.5], [0.9, 0.1], [0, 0]])
    assert sample_weights(targets, np.array([1.0, 4.0])) == pytest.approx([1, 2.5, 2.5, 1.3, 1])


def test_class_numbers_and_their_shares_weigh_the_same():
    weights = np.array([0.5, 2.0, 3.0])
    assert np.array_equal(sample_weights(LABELS, weights), sample_weights(np.eye(3)[LABELS], weights))


@pytest.mark.parametrize("epoch", range(5))
def test_classes_are_drawn_equally_often_and_images_within_a_class_too(epoch: int):
    rows = np.arange(1, 30)  # 19, 7 and 3 images
    order = balanced_order(rows, LABELS, seed=1, epoch=epoch)
    times = np.bincount(order, minlength=30)
    assert sorted(class_counts(LABELS[order], 3)) == [9, 10, 10]
    assert times[0] == 0
    assert all(np.ptp(times[rows][LABELS[rows] == label]) <= 1 for label in range(3))


def test_the_order_is_mixed_and_a_function_of_seed_and_epoch():
    rows = np.arange(30)
    first = balanced_order(rows, LABELS, seed=3, epoch=1)
    np.random.default_rng().random()  # nothing else has a say
    assert np.array_equal(balanced_order(rows, LABELS, seed=3, epoch=1), first)
    assert not np.array_equal(balanced_order(rows, LABELS, seed=3, epoch=2), first)
    assert not np.array_equal(balanced_order(rows, LABELS, seed=4, epoch=1), first)
    assert np.count_nonzero(np.diff(LABELS[first])) > 8


def test_all_images_of_a_large_class_come_in_time():
    orders = [balanced_order(np.arange(30), LABELS, seed=0, epoch=epoch) for epoch in range(20)]
    assert set(np.concatenate(orders)) == set(range(30))


def test_images_of_several_classes_are_drawn_by_weight_rounded_up_or_down():
    # 6 class entries: classes weigh 6 / (2 * 4) and 6 / (2 * 2), both together 1.125, none 1.
    weights = np.array([0.75, 0.75, 0.75, 1.125, 1.5, 1.0])
    expected = 6 * weights / weights.sum()
    orders = [balanced_order(np.arange(6), RARE, seed=0, epoch=epoch) for epoch in range(2000)]
    times = np.array([np.bincount(order, minlength=6) for order in orders])
    assert (np.abs(times - expected) < 1).all()
    assert times.mean(axis=0) == pytest.approx(expected, abs=0.05)
