"""Layers of keras-cv and Keras as steps: drawn per image, from (seed, epoch, image) alone."""

from typing import Any

import numpy as np
import pytest

from tests.data.augment.steps import COUNT, PICTURES, SIZE, changed, pictures
from transferkit.data.augment.keys import keys_of
from transferkit.data.augment.pipeline import pipeline
from transferkit.data.augment.policy import policy_from
from transferkit.data.decode import CROP_RATIO
from transferkit.errors import UsageError

pytest.importorskip("keras_cv")
SINGLE: list[dict[str, Any]] = [
    {"keras_cv.GridMask": {"ratio_factor": [0.3, 0.5]}},
    {"keras_cv.RandomCutout": {"height_factor": [0.3, 0.6], "width_factor": [0.3, 0.6]}},
    {"keras_cv.RandomChannelShift": {"value_range": [0, 255], "factor": 0.4}},
    {"keras_cv.RandomHue": {"value_range": [0, 255], "factor": 0.4}},
    {"keras.RandomZoom": {"height_factor": 0.3}},
]
FLIPS = {"keras_cv.RepeatedAugmentation": {"augmenters": [
    {"keras_cv.RandomFlip": {}}, {"keras_cv.RandomHue": {"value_range": [0, 255], "factor": 0.4}},
]}}  # fmt: skip
# Layers of Keras within one of keras-cv draw from a counter of their own, if they are let.
MIXED = {"keras_cv.RepeatedAugmentation": {"augmenters": [{"keras.RandomFlip": {}}, {"keras.RandomZoom": {
    "height_factor": 0.3}}]}}  # fmt: skip
BATCHES: list[Any] = [{"keras_cv.FourierMix": {}}, FLIPS, MIXED, {"keras_cv.MixUp": {"alpha": 1.0}}]
# From a larger image to the input's size.
CROPS: list[dict[str, Any]] = [
    {"keras_cv.RandomCropAndResize": {
        "target_size": [SIZE, SIZE], "crop_area_factor": [0.5, 1.0], "aspect_ratio_factor": [0.9, 1.1]}},
    {"keras_cv.JitteredResize": {"target_size": [SIZE, SIZE], "scale_factor": [0.8, 1.25]}},
    {"keras.RandomCrop": {"height": SIZE, "width": SIZE}},
]  # fmt: skip


@pytest.mark.parametrize("step", SINGLE, ids=lambda step: next(iter(step)))
def test_a_layer_draws_for_each_image_by_its_key(step: dict[str, Any]):
    one = np.repeat(PICTURES[:1], COUNT, axis=0)
    found = changed([step], one)
    assert found.shape == one.shape and found.min() >= 0 and found.max() <= 255
    assert len({image.tobytes() for image in found}) > COUNT // 2
    backwards = pipeline(policy_from([step]), SIZE).changed(one, keys_of(np.arange(COUNT)[::-1], 0, 0))
    assert np.array_equal(backwards[::-1], found)


@pytest.mark.parametrize("step", CROPS, ids=lambda step: next(iter(step)))
def test_a_layer_may_cut_the_input_out_of_a_larger_image_and_only_always(step: dict[str, Any]):
    larger = pictures(round(SIZE * CROP_RATIO))
    made = pipeline(policy_from([step]), SIZE)
    found = made.changed(larger, keys_of(np.arange(COUNT), 0, 0))
    assert found.shape == (COUNT, SIZE, SIZE, 3) and found.std() > 1
    # Not the middle, which is what an image gets that no step cuts.
    assert np.abs(found - larger[:, 3:-4, 3:-4]).mean() > 5
    name, values = next(iter(step.items()))
    with pytest.raises(UsageError, match="only 1 is allowed"):
        pipeline(policy_from([{name: values | {"probability": 0.5}}]), SIZE)
    with pytest.raises(UsageError, match=f"one crop is enough; it has random_crop, {name}"):
        pipeline(policy_from([step, "random_crop"]), SIZE)


def test_random_cutout_fills_one_rectangle_of_drawn_sides():
    white = np.full_like(PICTURES, 255)
    step = {"keras_cv.RandomCutout": {"height_factor": [0.25, 0.5], "width_factor": 0.25,
                                      "fill_mode": "constant", "fill_value": 0}}  # fmt: skip
    for image in changed([step], white):
        black = np.argwhere((image == 0).all(axis=-1))
        assert set(np.unique(image)) <= {0, 255} and len(black)
        sides = np.ptp(black, axis=0) + 1
        assert len(black) == sides.prod()  # a whole rectangle, cut off at the border at most
        assert sides[0] <= 0.5 * SIZE + 1 and sides[1] <= 0.25 * SIZE + 1


def test_fourier_mix_takes_of_each_image_the_share_that_its_label_says():
    import tensorflow as tf

    images = tf.repeat(tf.constant([0.0, 200.0])[:, None, None, None], SIZE, axis=1)
    images = tf.tile(images, [3, 1, SIZE, 3])
    made = pipeline(policy_from([{"keras_cv.FourierMix": {}}]), SIZE)
    for number in range(8):
        found, shares = made.mixed(images, tf.one_hot([0, 1] * 3, 2), tf.constant([number, 2]))
        assert np.allclose(found.numpy().mean(axis=(1, 2, 3)) / 200, shares.numpy()[:, 1], atol=0.01)


def test_grid_mask_is_a_grid_of_black():
    white = np.full_like(PICTURES[:8], 255)
    found = changed([{"keras_cv.GridMask": {"ratio_factor": [0.5, 0.5], "rotation_factor": 0.0}}], white)
    assert set(np.unique(found)) == {0, 255}
    assert 0.05 < np.mean(found == 0) < 0.6


def test_channel_shift_moves_whole_channels():
    flat = np.full_like(PICTURES, 127)
    found = changed([{"keras_cv.RandomChannelShift": {"value_range": [0, 255], "factor": 0.4}}], flat)
    assert np.ptp(found, axis=(1, 2)).max() == 0
    assert np.abs(found[:, 0, 0] - 127).max() > 40


@pytest.mark.parametrize("step", BATCHES, ids=lambda step: next(iter(step)))
def test_a_layer_that_mixes_is_a_function_of_its_key(step: Any):
    import tensorflow as tf

    images, labels = tf.constant(PICTURES[:6]), tf.one_hot(tf.range(6), 6)

    def mixed(key: list[int]) -> tuple[np.ndarray, np.ndarray]:
        run = tf.function(pipeline(policy_from([step]), SIZE).mixed)
        return tuple(part.numpy() for part in run(images, labels, tf.constant(key)))

    first, again, other = mixed([1, 2]), mixed([1, 2]), mixed([1, 3])
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert np.allclose(first[1].sum(axis=1), 1, atol=1e-5)
    assert first[0].min() >= 0 and first[0].max() <= 255


def test_repeated_augmentation_makes_the_batch_larger():
    import tensorflow as tf

    made = pipeline(policy_from([FLIPS]), SIZE)
    images, labels = made.mixed(tf.constant(PICTURES[:4]), tf.one_hot([0, 1, 0, 1], 2), tf.constant([1, 2]))
    assert images.shape == (8, SIZE, SIZE, 3)
    assert labels.numpy().sum(axis=0).tolist() == [4, 4]


def test_a_layer_that_draws_many_numbers_at_once_is_a_step():
    step = {"keras_cv.AugMix": {"value_range": [0, 255], "severity": 0.5}}
    found = changed([step], PICTURES[:4])
    assert found.shape == (4, SIZE, SIZE, 3) and np.array_equal(found, changed([step], PICTURES[:4]))


def test_what_draws_for_others_is_what_it_was_before():
    import tensorflow as tf

    own = tf.random.uniform
    changed([SINGLE[0]], PICTURES[:1])
    assert tf.random.uniform is own


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({"keras_cv.GridMusk": {}}, "unknown layer 'keras_cv.GridMusk'. Did you mean 'keras_cv.GridMask'"),
        (
            {"keras_cv.GridMask": {"ratio": 1}},
            "parameter of keras_cv.GridMask 'ratio'. Did you mean 'ratio_factor'",
        ),
        (
            {"keras_cv.Rescaling": {"scale": 2.0}},
            "it gives values from 0 to 510 of images of 0 to 255; 0..255 must be kept",
        ),
        ({"keras.Rescaling": {"scale": 1.0, "offset": -9.0}}, "it gives values from -9 to 246"),
        ({"keras_cv.Rescaling": {"scale": 1 / 255}}, "it gives values from 0 to 1 of images of 0 to 255"),
        (
            {"keras.CenterCrop": {"height": 9, "width": 9}},
            "it makes images (9, 9, 3) of (55, 55, 3); the shape must be kept, or become (48, 48, 3)",
        ),
        ({"keras.Dense": {}}, "step keras.Dense: its layer does not take"),
        ({"keras.Flatten": {}}, "the shape must be kept"),
        ({"keras.AugMix": {"value_range": [0, 255]}}, "it draws other numbers each time it is built"),
        (
            {"keras_cv.RepeatedAugmentation": {"augmenters": [{"keras.AugMix": {"value_range": [0, 255]}}]}},
            "it draws other numbers each time it is built",
        ),
        (
            {"keras_cv.RepeatedAugmentation": {"augmenters": [{"keras_cv.Rescaling": {"scale": 2}}]}},
            "0..255 must be kept",
        ),
    ],
)
def test_a_layer_that_cannot_be_a_step_is_refused(step: dict[str, Any], told: str):
    with pytest.raises(UsageError) as caught:
        pipeline(policy_from([step]), SIZE)
    assert told in str(caught.value)


def test_a_package_that_is_not_there_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "keras_cv", None)
    monkeypatch.setitem(__import__("sys").modules, "keras_cv.layers", None)
    with pytest.raises(UsageError, match="pip install 'transferkit\\[kerascv\\]'"):
        pipeline(policy_from([{"keras_cv.GridMask": {}}]), SIZE)
