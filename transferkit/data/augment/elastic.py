"""Elastic deformation by hand: Keras' moves rows and columns by one field, so along a diagonal alone."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from transferkit.data.augment.drawing import Draws
from transferkit.data.augment.layers import GREY, Change, Values

# At strength 1, as Keras' layer has them: deviation of the field's smoothing by the side, and the factor by
# the side that white noise, once smoothed and brought back to 1 / (2 sqrt(pi)) of its deviation, is moved by.
SMOOTHING, MOVING = 0.05, 0.1


def elastic(values: Values) -> Change:
    """Each pixel taken from beside itself, by smooth noise for rows and another for columns.

    Source: Simard, Steinkraus and Platt 2003, "Best practices for convolutional neural networks applied to
    visual document analysis", section 2.
    """
    strength, fill = values["strength"], values["fill"]

    def change(image: Any, draws: Draws) -> Any:
        side = image.shape[0]
        moved = MOVING * strength * side * _smooth_noise(side, SMOOTHING * strength * side, draws)
        grid = tf.stack(tf.meshgrid(tf.range(side), tf.range(side), indexing="ij"), -1)
        return taken_from(image, tf.cast(grid, tf.float32) + moved, fill)

    return change


def _smooth_noise(side: int, sigma: float, draws: Draws) -> Any:
    """Two fields `(side, side, 2)` of deviation 1 / (2 sqrt(pi)), smoothed by a Gaussian of sigma pixels."""
    reach = max(1, math.ceil(3 * sigma))
    weights = np.exp(-np.square(np.arange(-reach, reach + 1)) / (2 * max(sigma, 0.3) ** 2))
    # Of white noise it leaves a deviation of 1 in each pass.
    kernel = tf.constant(np.repeat(weights[:, None], 2, 1) / np.sqrt(np.square(weights).sum()), tf.float32)
    field = draws.normal((1, side + 2 * reach, side + 2 * reach, 2))
    for shape in ((-1, 1, 2, 1), (1, -1, 2, 1)):
        field = tf.nn.depthwise_conv2d(field, tf.reshape(kernel, shape), (1, 1, 1, 1), "VALID")
    return field[0] / (2 * math.sqrt(math.pi))


def taken_from(image: Any, places: Any, fill: str) -> Any:
    """An image `(S, S, 3)` at places `(S, S, 2)` of rows and columns, bilinear.

    Args:
        image: float32.
        places: float32, in pixels; may lie outside.
        fill: what lies outside: `reflect`, `nearest`, `wrap` or `constant` (grey).
    """
    side = image.shape[0]
    below = tf.floor(places)
    share = places - below
    found = tf.zeros_like(image)
    for row in (0, 1):
        for column in (0, 1):
            at = tf.cast(below, tf.int32) + tf.constant([row, column])
            weight = (share[..., 0] if row else 1 - share[..., 0]) * (
                share[..., 1] if column else 1 - share[..., 1]
            )
            pixels = tf.gather_nd(image, _inside(at, side, fill))
            if fill == "constant":
                within = tf.reduce_all((at >= 0) & (at < side), axis=-1, keepdims=True)
                pixels = tf.where(within, pixels, GREY)
            found += weight[..., None] * pixels
    return found


def _inside(at: Any, side: int, fill: str) -> Any:
    """Whole places brought into 0..side - 1."""
    if fill == "wrap":
        return tf.math.floormod(at, side)
    if fill == "reflect":  # the edge itself is repeated: dcba|abcd|dcba
        at = tf.math.floormod(at, 2 * side)
        return tf.minimum(at, 2 * side - 1 - at)
    return tf.clip_by_value(at, 0, side - 1)
