"""The 14 operations that automatic policies choose from, each of a given strength.

Keras' layers draw their strengths themselves, and its RandAugment computes all its layers for each image to
keep one of them; its AugMix chooses while it is traced, the same for all images. So the policies of
`composed` draw here, and only what was drawn is computed. Definitions: Pillow's, as AutoAugment used them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from transferkit.data.augment.drawing import Draws
from transferkit.data.augment.layers import GREY, layer_change

# float32 `(H, W, 3)` and a strength, to an image of the same shape; the range is kept in `apply`.
Operation = Callable[[Any, Any], Any]


def _moved(image: Any, matrix: list[Any]) -> Any:
    """Each place (x, y) of the result taken from `matrix` times (x, y, 1), about the middle; grey outside."""
    height, width = image.shape[0], image.shape[1]
    a, b, c, d, e, f = (tf.cast(value, tf.float32) for value in matrix)
    x, y = (width - 1) / 2, (height - 1) / 2
    rows = [a, b, c + x - a * x - b * y, d, e, f + y - d * x - e * y, 0.0, 0.0]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=tf.stack([tf.cast(value, tf.float32) for value in rows])[None],
        output_shape=[height, width],
        fill_value=GREY,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[0]


def _turned(image: Any, degrees: Any) -> Any:
    angle = degrees * 3.14159265 / 180
    cos, sin = tf.cos(angle), tf.sin(angle)
    return _moved(image, [cos, -sin, 0.0, sin, cos, 0.0])


def _grey(image: Any) -> Any:
    return tf.image.rgb_to_grayscale(image)


def _blended(image: Any, other: Any, strength: Any) -> Any:
    """Pillow's ImageEnhance with the factor 1 + strength: -1 is `other`, 0 the image."""
    return other + (1 + strength) * (image - other)


_SMOOTH = [[1, 1, 1], [1, 5, 1], [1, 1, 1]]


def _smoothed(image: Any) -> Any:
    """Pillow's ImageFilter.SMOOTH; the outermost pixels stay."""
    kernel = tf.tile(tf.reshape(tf.constant(_SMOOTH, tf.float32) / 13, (3, 3, 1, 1)), (1, 1, 3, 1))
    inner = tf.nn.depthwise_conv2d(image[None], kernel, [1, 1, 1, 1], "VALID")[0]
    middle = tf.pad(tf.ones_like(inner[..., :1]), [[1, 1], [1, 1], [0, 0]])
    return tf.where(middle > 0, tf.pad(inner, [[1, 1], [1, 1], [0, 0]]), image)


def _posterized(image: Any, bits: Any) -> Any:
    step = tf.pow(2.0, 8 - tf.round(tf.cast(bits, tf.float32)))
    return tf.floor(image / step) * step


def _equalized(image: Any) -> Any:
    """Pillow's ImageOps.equalize: each colour by a table, from how many pixels are darker."""
    values = tf.cast(tf.round(image), tf.int32)

    def one(channel: Any) -> Any:
        counts = tf.math.bincount(tf.reshape(channel, [-1]), minlength=256, maxlength=256)
        brightest = tf.gather(counts, tf.reduce_max(channel))
        step = (tf.reduce_sum(counts) - brightest) // 255
        table = (step // 2 + tf.cumsum(counts, exclusive=True)) // tf.maximum(step, 1)
        return tf.where(step > 0, tf.gather(tf.minimum(table, 255), channel), channel)

    return tf.cast(tf.stack([one(values[..., number]) for number in range(3)], axis=-1), tf.float32)


def _layer(name: str) -> Operation:
    change = layer_change(name, {})
    # These layers draw nothing.
    return lambda image, strength: change(image, Draws(tf.zeros((2,), tf.int32)))


def operations() -> Mapping[str, Operation]:
    """By name; in the order in which they are numbered.

    Shears are tangents, translations shares of the side, rotations degrees; the four enhancements as
    `_blended`; posterize bits; solarize the threshold.
    """
    return {
        "identity": lambda image, strength: image,
        "shear_x": lambda image, s: _moved(image, [1.0, s, 0.0, 0.0, 1.0, 0.0]),
        "shear_y": lambda image, s: _moved(image, [1.0, 0.0, 0.0, s, 1.0, 0.0]),
        "translate_x": lambda image, s: _moved(image, [1.0, 0.0, s * image.shape[1], 0.0, 1.0, 0.0]),
        "translate_y": lambda image, s: _moved(image, [1.0, 0.0, 0.0, 0.0, 1.0, s * image.shape[0]]),
        "rotate": _turned,
        "brightness": lambda image, s: _blended(image, 0.0, s),
        "color": lambda image, s: _blended(image, _grey(image), s),
        "contrast": lambda image, s: _blended(image, tf.reduce_mean(_grey(image)), s),
        "sharpness": lambda image, s: _blended(image, _smoothed(image), s),
        "posterize": _posterized,
        "solarize": lambda image, threshold: tf.where(image < threshold, image, 255.0 - image),
        "autocontrast": _layer("autocontrast"),
        "equalize": lambda image, strength: _equalized(image),
        "invert": lambda image, strength: 255.0 - image,
    }


NAMES = tuple(operations())
# Whose strength goes both ways.
SIGNED = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate",
          "brightness", "color", "contrast", "sharpness")  # fmt: skip


class Operations:
    """Carries out operations by number."""

    def __init__(self) -> None:
        self.functions = list(operations().values())
        # One function that is called, not written out anew at each of AugMix's nine places: a third of the
        # time until the first image, the same pixels at the same rate.
        self._called = tf.function(self._apply, experimental_attributes={"_noinline": True})

    def apply(self, number: Any, image: Any, strength: Any) -> Any:
        """One operation; values outside 0..255 are cut.

        Args:
            number: place in `NAMES`, int32 scalar.
            image: float32 `(H, W, 3)`.
            strength: float32 scalar.
        """
        return tf.ensure_shape(self._called(number, image, strength), image.shape)

    def _apply(self, number: Any, image: Any, strength: Any) -> Any:
        branches = [lambda f=f: tf.ensure_shape(f(image, strength), image.shape) for f in self.functions]
        return tf.clip_by_value(tf.switch_case(number, branches), 0.0, 255.0)
