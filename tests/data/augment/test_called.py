from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from transferkit.data.augment.called import Augmentation
from transferkit.errors import UsageError

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 20, 20, 3)).astype(np.uint8)


def test_one_image_gives_one_and_none_gives_none():
    batch, one = Augmentation("light", 16)(IMAGES[:1]), Augmentation("light", 16)(IMAGES[0])
    assert np.array_equal(batch[0], one) and one.shape == (16, 16, 3)
    none = Augmentation("light", 16)(IMAGES[:0])
    assert none.shape == (0, 16, 16, 3) and none.dtype == np.float32
    singly = tf.data.Dataset.from_tensor_slices(IMAGES).map(Augmentation("light", 16))
    assert [image.shape for image in singly] == [(16, 16, 3)] * 3


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (IMAGES[..., 0], r"shape \(3, 20, 20\) is not allowed: RGB images"),
        (IMAGES[..., :1], r"shape \(3, 20, 20, 1\) is not allowed: RGB images"),
        (IMAGES[:, :18], "images of 18 by 20 are not square"),
        (IMAGES[:, :15, :15], "images of 15 px are smaller than the 16 px"),
        (IMAGES / 255, "values up to 1 look like shares of 255"),
        (IMAGES / 127.5 - 1, "values from -1 to 1 are not allowed: pixels of 0..255 are needed"),
        (np.where(IMAGES > 250, np.nan, IMAGES), "values from nan to nan"),
        (IMAGES > 9, "values of type bool are no pixels"),
        (IMAGES.astype(str), "values of type <U3 are no pixels"),
    ],
)
def test_what_are_no_pixels_is_told(images: np.ndarray, told: str):
    with pytest.raises(UsageError, match=told):
        Augmentation("light", 16)(images)


@pytest.mark.parametrize(
    "images", [IMAGES.astype(np.uint32), IMAGES * 1.0, np.zeros((1, 20, 20, 3)), IMAGES // 255]
)
def test_pixels_of_other_types_are_taken(images: np.ndarray):
    found = Augmentation("light", 16)(images)
    assert np.array_equal(found, Augmentation("light", 16)(images.astype(np.uint8)))


def test_one_dark_image_is_taken_with_a_word():
    with pytest.warns(UserWarning, match="look like shares of 255"):
        found = Augmentation("light", 16)(np.full((1, 20, 20, 3), 0.5))
    assert found.shape == (1, 16, 16, 3)


def test_shapes_are_told_in_a_data_set_too():
    unknown = tf.data.Dataset.from_generator(
        lambda: iter(IMAGES), output_signature=tf.TensorSpec((None, None, 3), tf.uint8)
    )
    # TensorFlow makes an error of its own of it.
    with pytest.raises(Exception, match="the side must be known"):
        unknown.map(Augmentation("light", 16))
    with pytest.raises(Exception, match="are not square"):
        tf.data.Dataset.from_tensor_slices(IMAGES[:, :18]).map(Augmentation("light", 16))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"size": "16"}, "size '16' is not allowed"),
        ({"size": (16, 16)}, r"size \(16, 16\) is not allowed"),
        ({"size": 0}, "size 0 is not allowed"),
        ({"size": 16, "seen": 87}, "seen 87 is not allowed"),
        ({"size": 16, "seen": None}, "seen None is not allowed"),
        ({"size": 16, "seed": "x"}, "seed 'x' is not allowed"),
        ({"size": 16, "policy": "auto"}, "policy auto is decided for a data set"),
        ({"size": 16, "policy": ["pca_noise"], "colours": IMAGES[0]}, r"colours of shape \(20, 20, 3\)"),
        ({"size": 16, "policy": ["pca_noise"], "colours": IMAGES / 255}, "look like shares of 255"),
    ],
)
def test_what_cannot_be_made_ready_is_told(values: dict[str, Any], told: str):
    with pytest.raises(UsageError, match=told):
        Augmentation(**({"policy": "light"} | values))


def test_many_of_them_are_no_reason_to_warn(caplog: pytest.LogCaptureFixture):
    for seed in range(30):
        Augmentation("light", 16, seed=seed)(IMAGES)
    assert "retracing" not in caplog.text
