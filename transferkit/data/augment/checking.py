"""What a layer of whom nothing is known may not do to images: it is tried before any work."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from transferkit.data.augment.drawing import Draws
from transferkit.data.augment.layers import Change
from transferkit.data.augment.policy import Step
from transferkit.errors import UsageError

# What a step may be off by rounding.
ROUNDING = 0.01
# Of the range of what goes in, what must be left of it in what comes out: 0..1 would be black.
LEAST_RANGE = 0.05
# Draws by which a layer is tried on each picture.
TRIES = 8


def check_mixers(names: Sequence[str], mixed: Callable[..., Any], size: int) -> None:
    """Refuse layers that cannot mix a batch.

    Args:
        names: of the steps.
        mixed: (images, shares, key) to both blended, not clipped.
        size: S of the images.

    Raises:
        UsageError: they fail, leave 0..255, draw from elsewhere than the batch's key, or labels are shares no
            more.
    """
    name = f"step {', '.join(names)}"
    images = tf.random.stateless_uniform((4, size, size, 3), [1, 2], 0.0, 255.0)
    labels, keys = tf.one_hot(tf.range(4), 4), [tf.constant([number, 2]) for number in range(TRIES)]
    try:
        _built(mixed, images, labels, keys[0])
        runs = [tf.function(mixed) for _ in range(2)]
        found, again = ([[part.numpy() for part in run(images, labels, key)] for key in keys] for run in runs)
    except Exception as error:  # whatever a layer raises that is not made for this
        raise UsageError(f"{name}: its layer fails on a batch: {_cause(error)}") from error
    for (pixels, shares), (others, _) in zip(found, again, strict=True):
        if pixels.shape[1:] != images.shape[1:] or not np.allclose(shares.sum(axis=1), 1, atol=0.01):
            raise UsageError(f"{name}: it must keep the shape of images, and labels that sum to 1.")
        _check_repeats(name, pixels, others)
        _check_range(name, pixels)


def check_layer(step: Step, change: Change, applied: Callable[..., Any], side: int) -> bool:
    """Refuse a layer if it does to images what no step may; whether it cuts them to the input's size.

    Args:
        step: that names it.
        change: what it does to one image.
        applied: (images, keys) to images of the input's size, `change` alone, not clipped.
        side: of the images that go in.

    Raises:
        UsageError: it fails, changes the shape, leaves 0..255 or next to nothing of it, draws from elsewhere
            than the image's key, or cuts some of the images only.
    """
    name = f"step {step.name}"
    grid = np.linspace(0, 255, side, dtype=np.float32)
    across = np.tile(grid, (side, 1))
    ramp = np.stack([across, across.T, np.full((side, side), 99.0)], axis=-1)
    tried = np.stack([ramp, np.zeros_like(ramp), np.full_like(ramp, 255.0)] * TRIES).astype(np.float32)
    keys = tf.constant([[number, 1] for number in range(len(tried))], tf.int32)
    try:
        first = _built(lambda image, key: change(image, Draws(key)), tf.constant(tried[0]), keys[0])
        # As in a run, traced twice: what chooses while it is traced does not choose by the image.
        runs = [tf.function(applied) for _ in range(2)]
        made, again = (run(tf.constant(tried), keys).numpy() for run in runs)
    except Exception as error:  # whatever a layer raises that is not made for this
        raise UsageError(f"{name}: its layer fails on an image: {_cause(error)}") from error
    cuts = bool(first.shape[0] != side)
    if cuts and step.probability < 1:
        raise UsageError(f"{name}: probability: it cuts images to the input's size; only 1 is allowed.")
    _check_repeats(name, made, again)
    _check_range(name, made)
    return cuts


def _built(function: Callable[..., Any], *inputs: Any) -> Any:
    """What it makes of inputs, traced once to be forgotten.

    Some layers make others when they are first called, and draw seeds for these. Not called as it is: outside
    of a function of TensorFlow layers of Keras draw by another backend, if that is in use.
    """
    return tf.function(lambda *given: function(*given))(*inputs)


def _check_repeats(name: str, made: np.ndarray, again: np.ndarray) -> None:
    if made.shape != again.shape or not np.allclose(made, again, atol=ROUNDING):
        raise UsageError(
            f"{name}: it draws other numbers each time it is built, so a run could not be repeated "
            "or gone on with. Steps of transferkit's own do not: 'transferkit augment --steps'."
        )


def _check_range(name: str, found: np.ndarray) -> None:
    low, high = float(found.min()), float(found.max())
    inside = np.isfinite(found).all() and low >= -ROUNDING and high <= 255 + ROUNDING
    if not inside or high - low < LEAST_RANGE * 255:
        raise UsageError(
            f"{name}: it gives values from {low:.4g} to {high:.4g} of images of 0 to 255; 0..255 must "
            "be kept. Has the layer a value_range to set to (0, 255)?"
        )


def _cause(error: Exception) -> str:
    """The line of an error that says what is wrong; Keras and AutoGraph put others around it."""
    inner = getattr(getattr(error, "ag_error_metadata", None), "cause_message", "") or str(error)
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in inner.splitlines()]
    told = [line for line in lines if line and not line.startswith(("Exception encountered", "Arguments"))]
    return told[0] if told else type(error).__name__
