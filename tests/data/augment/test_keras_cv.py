"""Layers of keras-cv and Keras as steps: drawn per image, from (seed, epoch, image) alone."""

from typing import Any

import numpy as np
import pytest

from tests.data.augment.steps import COUNT, PICTURES, SIZE, changed
from transferkit.data.augment.keys import keys_of
from transferkit.data.augment.pipeline import pipeline
from transferkit.data.augment.policy import policy_from
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
BATCHES: list[Any] = [{"keras_cv.FourierMix": {}}, FLIPS, {"keras_cv.MixUp": {"alpha": 1.0}}]


@pytest.mark.parametrize("step", SINGLE, ids=lambda step: next(iter(step)))
def test_a_layer_draws_for_each_image_by_its_key(step: dict[str, Any]):
    one = np.repeat(PICTURES[:1], COUNT, axis=0)
    found = changed([step], one)
    assert found.shape == one.shape and found.min() >= 0 and found.max() <= 255
    assert len({image.tobytes() for image in found}) > COUNT // 2
    backwards = pipeline(policy_from([step]), SIZE).changed(one, keys_of(np.arange(COUNT)[::-1], 0, 0))
    assert np.array_equal(backwards[::-1], found)


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


@pytest.mark.parametrize(
    "step",
    [
        {"keras_cv.RandomJpegQuality": {"factor": [20, 80]}},
        {"keras_cv.AugMix": {"value_range": [0, 255], "severity": 0.5}},
    ],
)
def test_layers_that_lose_shapes_or_draw_many_numbers_at_once_are_steps(step: dict[str, Any]):
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
        ({"keras_cv.Rescaling": {"scale": 2.0}}, "it gives values from 0 to 510; 0..255 must be kept"),
        ({"keras.Rescaling": {"scale": 1.0, "offset": -9.0}}, "it gives values from -9 to 246"),
        ({"keras.CenterCrop": {"height": 9, "width": 9}}, "it makes images (9, 9, 3) of (48, 48, 3)"),
        ({"keras.Dense": {}}, "step keras.Dense: its layer does not take"),
        ({"keras.Flatten": {}}, "the shape must be kept"),
        ({"keras.AugMix": {"value_range": [0, 255]}}, "it draws other numbers each time it is built"),
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
