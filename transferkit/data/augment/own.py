"""Steps written by hand: those that no layer of Keras does, or none as it is needed here."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from transferkit.data.augment.drawing import Draws
from transferkit.data.augment.layers import Change, Values
from transferkit.data.decode import CROP_RATIO


def horizontal_flip(image: Any, draws: Draws) -> Any:
    """Mirrored always: the policy draws whether, and RandomFlip would draw once more."""
    return tf.reverse(image, [1])


def vertical_flip(image: Any, draws: Draws) -> Any:
    """As `horizontal_flip`."""
    return tf.reverse(image, [0])


def quarter_turns(image: Any, draws: Draws) -> Any:
    """Turned by a multiple of 90 degrees; the image is square."""
    return tf.ensure_shape(tf.image.rot90(image, draws.whole(4)), image.shape)


def noise(values: Values) -> Change:
    """Gaussian noise; it is clipped with everything else at the end."""
    sigma = 255 * values["sigma"]
    return lambda image, draws: tf.clip_by_value(image + sigma * draws.normal(image.shape), 0.0, 255.0)


def solarize(values: Values) -> Change:
    """Solarization draws its threshold from `threshold_factor[0]` to 255 times `[1]`, so it can have none."""
    return lambda image, draws: tf.where(image < values["threshold"], image, 255.0 - image)


def contrast(values: Values) -> Change:
    """Each channel's distance to its mean times a factor of 1 - strength to 1 + strength, clipped to 0..255.

    What RandomContrast does, whose operations take seven times as long as TensorFlow's one.
    """
    strength = values["strength"]

    def change(image: Any, draws: Draws) -> Any:
        factor = draws.uniform((), 1 - strength, 1 + strength)
        return tf.clip_by_value(tf.image.adjust_contrast(image, factor), 0.0, 255.0)

    return change


def saturation(values: Values) -> Change:
    """The saturation of HSV times a factor of 1 - strength to 1 + strength, at most 1; hue and value stay.

    What RandomSaturation does by way of HSV and back, which took two thirds of the time of `standard`. With
    hue and value fixed, what each channel lacks to the highest is in proportion to the saturation.
    """
    strength = values["strength"]

    def change(image: Any, draws: Draws) -> Any:
        return saturated(image, draws.uniform((), 1 - strength, 1 + strength))

    return change


def saturated(image: Any, factor: Any) -> Any:
    """An image `(H, W, 3)` whose saturation is `factor` times as high, where that is not over 1."""
    red, green, blue = (image[..., at : at + 1] for at in range(3))  # a reduction over three is slower
    value = tf.maximum(tf.maximum(red, green), blue)
    spread = value - tf.minimum(tf.minimum(red, green), blue)
    most = tf.math.divide_no_nan(value, spread)  # of a saturation of 1; grey has none to change
    share = tf.minimum(factor, most)
    return image * share + value * (1 - share)


def pca_noise(values: Values, axes: np.ndarray | None) -> Change:
    """Colour moved along the columns of `axes`, see `colour_axes`.

    Raises:
        ValueError: there are none.
    """
    if axes is None:
        raise ValueError("pca_noise follows the colour axes of some images: give `axes`")

    def change(image: Any, draws: Draws) -> Any:
        shift = tf.linalg.matvec(tf.constant(axes, tf.float32), values["sigma"] * draws.normal((3,)))
        return tf.clip_by_value(image + shift, 0.0, 255.0)

    return change


def colour_axes(images: np.ndarray) -> np.ndarray:
    """Principal axes of the RGB values of some images, float64 `(3, 3)`: a column each.

    They are the eigenvectors times the eigenvalues of the covariance of colours of 0..1, for shifts of
    0..255. Source: Krizhevsky et al. 2012, section 4.1.

    Args:
        images: uint8 or float `(n, H, W, 3)`, 0..255.
    """
    values, vectors = np.linalg.eigh(np.cov(images.reshape(-1, 3) / 255.0, rowvar=False))
    return np.asarray(255 * vectors * np.maximum(values, 0))


def random_crop(values: Values, size: int, seen: float) -> Change:
    """A square whose objects are as large as in evaluation at a scale of 8/7, resized to `size`.

    `seen` is the share of the side that evaluation sees: 7/8 where it cuts the middle out; a padded or
    stretched image is seen whole, so a scale of 8/7 leaves it so.
    """
    low, high = values["scale"]

    def change(image: Any, draws: Draws) -> Any:
        side = seen * CROP_RATIO / draws.uniform((), low, high)
        return _window(image, draws, side, side, size)

    return change


def random_resized_crop(values: Values, size: int, seen: float) -> Change:
    """Area uniform, the logarithm of width by height uniform; where a side would not fit, it is cut."""
    (least, most), (low, high) = values["area"], values["ratio"]

    def change(image: Any, draws: Draws) -> Any:
        area = draws.uniform((), least, most)
        ratio = tf.exp(draws.uniform((), float(np.log(low)), float(np.log(high))))
        return _window(image, draws, tf.sqrt(area / ratio), tf.sqrt(area * ratio), size)

    return change


def _window(image: Any, draws: Draws, height: Any, width: Any, size: int) -> Any:
    """A window with sides of these shares, anywhere; RandomCrop draws one place for a batch.

    By triangles as wide as the pixels that come out, so a window of more pixels than these is averaged and
    not sampled; a smaller one is bilinear.
    """
    height, width = tf.minimum(height, 1.0), tf.minimum(width, 1.0)
    corner = tf.stack([draws.uniform() * (1 - height), draws.uniform() * (1 - width)])
    sides = tf.constant([float(image.shape[0]), float(image.shape[1])])
    scale = size / (sides * tf.stack([height, width]))
    return tf.raw_ops.ScaleAndTranslate(
        images=image[None],
        size=[size, size],
        scale=scale,
        translation=-corner * sides * scale,
        kernel_type="triangle",
        antialias=True,
    )[0]


PLAIN: Mapping[str, Change] = {
    "horizontal_flip": horizontal_flip,
    "vertical_flip": vertical_flip,
    "quarter_turns": quarter_turns,
}
BY_VALUES: Mapping[str, Callable[[Values], Change]] = {
    "contrast": contrast,
    "noise": noise,
    "saturation": saturation,
    "solarize": solarize,
}
CROPS: Mapping[str, Callable[[Values, int, float], Change]] = {
    "random_crop": random_crop,
    "random_resized_crop": random_resized_crop,
}
