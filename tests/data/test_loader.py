from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transferkit.data.augment.pipeline import pipeline
from transferkit.data.augment.policy import policy_from
from transferkit.data.balance import class_weights
from transferkit.data.decode import DecodePolicy, decode
from transferkit.data.loader import Augmentation, ImageSource, epoch_batches, epoch_order

ROWS, SIDE = 11, 16
PIXELS = np.random.default_rng(0).integers(0, 256, (ROWS, SIDE, SIDE, 3)).astype(np.float32)
LABELS = np.arange(100, 100 + ROWS)


class Kept:
    """Inputs from memory."""

    def take(self, rows: np.ndarray) -> np.ndarray:
        return PIXELS[rows]


def batches(order: np.ndarray, batch_size: int = 4, **options: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    found = epoch_batches(Kept(), LABELS, order, batch_size=batch_size, **options)
    return [(x.numpy(), y.numpy()) for x, y in found]


POLICY = ["horizontal_flip", {"translation": {"x": 0.125, "y": 0.125}}]


def augmentation(steps: Any = POLICY, classes: int = 3) -> Augmentation:
    return Augmentation(pipeline(policy_from(steps), SIDE), np.arange(ROWS) * 977, classes)


def light(batch_size: int = 4, order: np.ndarray | None = None, **options: int) -> dict[int, np.ndarray]:
    """Augmented images of an epoch, by row."""
    order = np.arange(ROWS) if order is None else order
    found = batches(order, batch_size, augment=augmentation(), **options)
    labels = np.concatenate([y for _, y in found])
    return dict(zip(labels - 100, np.concatenate([x for x, _ in found]), strict=True))


def same(a: dict[int, np.ndarray], b: dict[int, np.ndarray]) -> list[bool]:
    return [np.array_equal(a[row], b[row]) for row in range(ROWS)]


def test_an_epoch_has_every_row_once() -> None:
    order = epoch_order(np.arange(ROWS), seed=3, epoch=1)
    labels = np.concatenate([y for _, y in batches(order)])
    assert Counter(labels.tolist()) == Counter(LABELS.tolist())


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    rows = np.arange(50)
    first = epoch_order(rows, seed=3, epoch=1)
    np.random.default_rng().random()  # nothing else has a say
    assert np.array_equal(epoch_order(rows, seed=3, epoch=1), first)
    assert not np.array_equal(epoch_order(rows, seed=3, epoch=2), first)
    assert not np.array_equal(epoch_order(rows, seed=4, epoch=1), first)
    assert not np.array_equal(epoch_order(rows, seed=1, epoch=3), first)


def test_batches_come_in_the_order_asked_for() -> None:
    order = np.array([7, 0, 3, 10, 2])
    labels = np.concatenate([y for _, y in batches(order, 2)])
    assert labels.tolist() == [107, 100, 103, 110, 102]


def test_the_last_batch_is_smaller() -> None:
    found = batches(np.arange(ROWS))
    assert [len(y) for _, y in found] == [4, 4, 3]
    assert [x.shape for x, _ in found] == [(4, 16, 16, 3), (4, 16, 16, 3), (3, 16, 16, 3)]


@pytest.mark.parametrize(("batch_size", "steps"), [(4, 3), (11, 1), (1, 11), (64, 1)])
def test_the_number_of_batches_is_known_beforehand(batch_size: int, steps: int) -> None:
    found = epoch_batches(Kept(), LABELS, np.arange(ROWS), batch_size=batch_size)
    assert int(found.cardinality()) == steps


def test_labels_travel_with_their_images() -> None:
    for x, y in batches(epoch_order(np.arange(ROWS), seed=0, epoch=0)):
        assert np.array_equal(x, PIXELS[y - 100])


def test_labels_travel_with_augmented_images() -> None:
    order = epoch_order(np.arange(ROWS), seed=0, epoch=0)
    found = batches(order, augment=augmentation(["vertical_flip"]), seed=4)
    for image, label in zip(
        np.concatenate([x for x, _ in found]), np.concatenate([y for _, y in found]), strict=True
    ):
        own = PIXELS[label - 100]
        assert np.array_equal(image, own) or np.array_equal(image, own[::-1])


def test_augmentation_does_not_depend_on_the_batch() -> None:
    wide = light(batch_size=8, seed=5, epoch=2)
    narrow = light(batch_size=3, order=np.arange(ROWS)[::-1], seed=5, epoch=2)
    assert all(same(wide, narrow))


@pytest.mark.parametrize("other", [{"seed": 5, "epoch": 3}, {"seed": 6, "epoch": 2}])
def test_augmentation_changes_with_epoch_and_seed(other: dict[str, int]) -> None:
    assert sum(same(light(seed=5, epoch=2), light(**other))) < ROWS // 2


def test_augmentation_differs_from_row_to_row() -> None:
    class Same:
        def take(self, rows: np.ndarray) -> np.ndarray:
            return PIXELS[np.zeros_like(rows)]

    (found,) = epoch_batches(Same(), LABELS, np.arange(ROWS), batch_size=ROWS, augment=augmentation())
    assert len({image.tobytes() for image in found[0].numpy()}) > ROWS // 2


def test_an_image_that_comes_again_is_augmented_anew() -> None:
    (found,) = batches(np.repeat([3, 5], 8), 16, augment=augmentation())
    first, again = (found[0][:8], found[0][8:])
    assert len({image.tobytes() for image in first}) > 4
    assert len({image.tobytes() for image in again}) > 4
    (once,) = batches(np.array([3]), augment=augmentation())
    assert np.array_equal(first[0], once[0][0])


def test_augmented_values_stay_in_range() -> None:
    found = np.stack(list(light().values()))
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 255


def test_the_largest_seed_augments_too() -> None:
    assert len(light(seed=2**31, epoch=99_999)) == ROWS


def test_images_are_decoded_where_none_are_kept(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.png" for n in range(3)]
    for n, path in enumerate(paths):
        Image.fromarray(PIXELS[n].astype(np.uint8)).save(path)
    policy = DecodePolicy(size_px=8)
    found = ImageSource(paths, policy).take(np.array([2, 0]))
    assert found.dtype == np.uint8
    assert np.array_equal(found, np.stack([decode(paths[2], policy), decode(paths[0], policy)]))


@pytest.mark.parametrize("augment", [None, augmentation()])
def test_images_of_bytes_reach_a_step_as_the_same_floats(augment: Augmentation | None) -> None:
    class Bytes:
        def take(self, rows: np.ndarray) -> np.ndarray:
            return PIXELS[rows].astype(np.uint8)

    order = np.arange(ROWS)
    found = epoch_batches(Bytes(), LABELS, order, batch_size=4, augment=augment)
    for (x, _), (own, _) in zip(found, batches(order, augment=augment), strict=True):
        assert x.dtype == np.float32
        assert np.array_equal(x, own)


def test_kept_images_are_not_decoded_again() -> None:
    source = ImageSource([Path("not there")] * ROWS, DecodePolicy(size_px=SIDE), kept=Kept())
    assert np.array_equal(source.take(np.array([4, 2])), PIXELS[[4, 2]])


def test_labels_of_several_classes_come_as_they_are() -> None:
    shares = np.random.default_rng(0).random((ROWS, 3))
    found = list(epoch_batches(Kept(), shares, np.array([7, 0, 3]), batch_size=2))
    assert [y.dtype.name for _, y in found] == ["float32", "float32"]
    assert np.allclose(np.concatenate([y.numpy() for _, y in found]), shares[[7, 0, 3]])


@pytest.mark.parametrize("soft", [False, True])
def test_weights_of_classes_become_weights_of_images(soft: bool) -> None:
    weights, numbers = np.array([0.5, 2.0, 5.0]), np.arange(ROWS) % 3
    labels = 0.8 * np.eye(3)[numbers] + 0.2 * np.eye(3)[0] if soft else numbers
    order = np.array([7, 0, 3, 10, 2])
    found = epoch_batches(Kept(), labels, order, batch_size=2, augment=augmentation(), weights=weights)
    own = weights[numbers[order]]
    assert int(found.cardinality()) == 3
    assert found.element_spec[2].shape.as_list() == [None]
    given = np.concatenate([w.numpy() for _, _, w in found])
    assert np.allclose(given, 0.8 * own + 0.2 * 0.5 if soft else own)


@pytest.mark.parametrize("threads", [1, 8])
def test_threads_do_not_change_what_is_drawn(threads: int) -> None:
    import tensorflow as tf

    repeated = {"keras_cv.RepeatedAugmentation": {"augmenters": [{"keras.RandomFlip": {}}]}}
    steps = ["horizontal_flip", "trivial_augment", {"keras_cv.GridMask": {}}]
    steps += ["mixup", "cutmix", {"keras_cv.FourierMix": {}}, repeated]
    labels, order = np.arange(ROWS) % 3, np.arange(ROWS)
    given = {"batch_size": 2, "augment": augmentation(steps), "seed": 1, "epoch": 2}
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    images = [x for x, _ in epoch_batches(Kept(), labels, order, **given).with_options(options)]
    expected = [x for x, _ in epoch_batches(Kept(), labels, order, **given)]
    assert all(np.array_equal(a, b) for a, b in zip(images, expected, strict=True))


@pytest.mark.parametrize("multilabel", [False, True])
def test_mixed_batches_have_shares_of_classes_and_weights_by_them(multilabel: bool) -> None:
    numbers, weights = np.arange(ROWS) % 3, np.array([0.5, 2.0, 5.0])
    labels = np.eye(3)[numbers] if multilabel else numbers
    mixing = augmentation([{"mixup": {"alpha": 1.0}}])
    (found,) = epoch_batches(
        Kept(), labels, np.arange(ROWS), batch_size=ROWS, augment=mixing, weights=weights
    )
    images, shares, each = (part.numpy() for part in found)
    assert np.allclose(shares.sum(axis=1), 1)
    assert ((shares > 0.01) & (shares < 0.99)).any()
    assert not np.array_equal(images, PIXELS)
    if multilabel:
        assert np.allclose(each, shares @ weights, atol=1e-5)
        return
    plain = epoch_batches(Kept(), labels, np.arange(ROWS), batch_size=ROWS, augment=mixing)
    blends = next(iter(plain))[1].numpy()
    # The loss is -sum w s log p: each class's part of each image weighs what the class does.
    assert np.allclose(each[:, None] * shares, blends * weights, atol=1e-5)


def test_blended_classes_weigh_alike_however_unequal_they_are() -> None:
    numbers = np.array([0] * 9 + [1])
    order = np.tile(np.arange(10), 60)
    mixing = augmentation([{"mixup": {"alpha": 1.0}}])
    batches = epoch_batches(
        Kept(), numbers, order, batch_size=50, augment=mixing, weights=class_weights(np.array([9, 1, 0]))
    )
    mass = sum((each[:, None] * shares).numpy().sum(axis=0) for _, shares, each in batches)
    # Of 600 images 60 are of the rare class: their sum is that of the others but for chance.
    assert mass[0] / mass.sum() == pytest.approx(0.5, abs=0.03)


def test_a_policy_is_traced_once_for_all_epochs():
    augment = augmentation(["rotation", "mixup"])
    for epoch in range(3):
        found = epoch_batches(Kept(), LABELS % 3, np.arange(ROWS), batch_size=4, augment=augment, epoch=epoch)
        assert [len(batch[0]) for batch in found] == [4, 4, 3]
    assert augment.traced.experimental_get_tracing_count() == 1
