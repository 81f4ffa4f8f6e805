"""Policies carried out: in tf.data, each image for itself, then batches mixed."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from transferkit.data.augment.checking import check_layer, check_mixers
from transferkit.data.augment.composed import COMPOSED
from transferkit.data.augment.drawing import Draws
from transferkit.data.augment.elastic import elastic
from transferkit.data.augment.layers import (
    LAYERS,
    Change,
    called,
    in_float32,
    layer_change,
    named_change,
    named_layer,
)
from transferkit.data.augment.own import BY_VALUES, CROPS, PLAIN, pca_noise
from transferkit.data.augment.policy import Policy, Step
from transferkit.data.decode import CROP_RATIO
from transferkit.errors import UsageError

# Part of the key of every view: raise it when a change here, or in a step, changes pixels.
AUGMENT_VERSION = 7
# Images that `changed` works on at a time.
BATCH = 32


@dataclass(frozen=True)
class Pipeline:
    """A policy made ready.

    Attributes:
        changes: of one image, each with its probability.
        mixers: of batches: layers.
        size: side S of what comes out.
        side: K of the images that a run gives it, see `canvas.canvas_px`.
        cuts_first: whether the first change is a crop, which takes bytes as they are: less to copy.
        digest: of all that the pixels of one image's views depend on, but for the images it is given.
    """

    changes: Sequence[tuple[float, Change]]
    mixers: Sequence[Any]
    size: int
    side: int = 0
    cuts_first: bool = False
    digest: str = ""

    def image(self, image: Any, key: Any) -> Any:
        """float32 `(S, S, 3)`, 0..255.

        Args:
            image: uint8 or float `(K, K, 3)`, K at least S: what is not cropped is cut to its middle.
            key: int32 `(2,)`, see `drawing.keys_of`.
        """
        return tf.clip_by_value(self._drawn(image, key), 0.0, 255.0)

    def _drawn(self, image: Any, key: Any) -> Any:
        draws = Draws(key)
        bytes_will_do = self.cuts_first and image.dtype == tf.uint8
        found = image if bytes_will_do else tf.cast(image, tf.float32)
        for chance, change in self.changes:
            found = _perhaps(found, change, chance, draws)
        return _middle(found, self.size)

    def images(self, images: Any, keys: Any) -> Any:
        """float32 `(n, S, S, 3)`: each image by its own key."""
        if not self.changes and images.shape[1] == self.size:
            return tf.cast(images, tf.float32)
        return self._each(self.image, images, keys)

    def unclipped(self, images: Any, keys: Any) -> Any:
        """`images`, but what leaves 0..255 is left there."""
        return self._each(self._drawn, images, keys)

    def _each(self, change: Callable[[Any, Any], Any], images: Any, keys: Any) -> Any:
        kind = tf.TensorSpec((self.size, self.size, 3), tf.float32)
        return tf.map_fn(lambda pair: change(*pair), (images, keys), fn_output_signature=kind)

    def changed(self, images: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """`images` of arrays, outside of a data set; compiled once."""
        short = -len(images) % BATCH  # one shape, so that nothing is traced twice
        rows = np.arange(len(images) + short) % len(images)
        with tf.device("CPU"):  # as in tf.data: not every operation has a kernel elsewhere
            parts = [
                self._compiled(images[at], keys[at]).numpy() for at in np.split(rows, len(rows) // BATCH)
            ]
        return np.concatenate(parts)[: len(images)]

    @cached_property
    def _compiled(self) -> Any:
        # TensorFlow counts tracings by code: of methods all policies of a process would be one.
        return tf.function(partial(Pipeline.images, self))

    def blended(self, images: np.ndarray, labels: np.ndarray, key: Any) -> tuple[np.ndarray, np.ndarray]:
        """`mixed` of arrays, outside of a data set, whatever backend Keras computes by."""
        found, shares = tf.function(self.mixed)(images, labels, key)
        return found.numpy(), shares.numpy()

    def mixed(self, images: Any, labels: Any, key: Any) -> tuple[Any, Any]:
        """A batch `(n, S, S, 3)` and its shares `(n, C)`, blended; larger where a layer repeats images."""
        found, shares = self.mixed_unclipped(images, labels, key)
        return tf.clip_by_value(found, 0.0, 255.0), shares

    def mixed_unclipped(self, images: Any, labels: Any, key: Any) -> tuple[Any, Any]:
        """`mixed`, but what leaves 0..255 is left there."""
        draws = Draws(key)
        batch = {"images": images, "labels": tf.cast(labels, tf.float32)}
        for layer in self.mixers:
            batch = called(layer, batch, draws)
        return batch["images"], batch["labels"]


def _perhaps(image: Any, change: Change, chance: float, draws: Draws) -> Any:
    if chance >= 1:
        return change(image, draws)
    drawn = draws.uniform() < chance
    return tf.cond(drawn, lambda: change(image, draws), lambda: image)


def _middle(image: Any, size: int) -> Any:
    rest = image.shape[0] - size
    return image[rest // 2 : rest // 2 + size, rest // 2 : rest // 2 + size] if rest else image


def pipeline(
    policy: Policy,
    size: int,
    axes: np.ndarray | None = None,
    *,
    seen: float = 1 / CROP_RATIO,
    side: int | None = None,
) -> Pipeline:
    """A policy made ready for images whose networks take `size` pixels.

    Args:
        policy: named steps.
        size: side of the result.
        axes: of the colours of train, see `own.colour_axes`; needed for `pca_noise`.
        seen: share of the side of the images that evaluation sees, see `DecodePolicy.seen`.
        side: of the images, in pixels; that of `DecodePolicy.canvas` unless it is given.

    Raises:
        UsageError: a layer that there is not, or that would leave the range or the shape of images.
    """
    changes = [(step.probability, _change(step, size, axes, seen)) for step in policy.own]
    drawn_from = b"" if axes is None or not policy.has("pca_noise") else np.round(axes, 6).tobytes()
    made_by = f"{AUGMENT_VERSION} {_versions(policy)} {seen:.6f} {policy.digest}".encode()
    digest = hashlib.sha256(made_by + drawn_from).hexdigest()[:16]
    usual = round(size / seen)
    mixers, cuts_first = [_mixer(step) for step in policy.mixing], policy.cuts_first
    made = Pipeline(changes, mixers, size, side or usual, cuts_first, digest)
    crops = [step.name for step in policy.own if step.spec.crops]
    for step, (_, change) in zip(policy.own, changes, strict=True):
        if not step.layer:
            continue
        alone = Pipeline([(1.0, change)], [], size)
        if check_layer(step, change, alone.unclipped, usual):
            crops.append(step.name)
    if len(crops) > 1:
        raise UsageError(f"policy {policy.name}: one crop is enough; it has {', '.join(crops)}.")
    if any(step.layer for step in policy.mixing):
        check_mixers([step.name for step in policy.mixing], made.mixed_unclipped, size)
    return made


def _versions(policy: Policy) -> str:
    """Of the packages whose layers take part."""
    found = [f"keras {keras.__version__}"]
    if any(step.package == "keras_cv" for step in policy.steps):
        import keras_cv

        found.append(f"keras-cv {keras_cv.__version__}")
    return ", ".join(found)


def _change(step: Step, size: int, axes: np.ndarray | None, seen: float) -> Change:
    name, values = step.name, dict(step.parameters)
    if step.layer:
        return named_change(step, size)
    if name == "pca_noise":
        return pca_noise(values, axes)
    if name == "color_jitter":
        return _jitter(values)
    if name in PLAIN:
        return PLAIN[name]
    if name in CROPS:
        return CROPS[name](values, size, seen)
    for table in (BY_VALUES, COMPOSED, {"elastic": elastic}):
        if name in table:
            return table[name](values)
    return layer_change(name, values)


def _jitter(values: dict[str, Any]) -> Change:
    """What is asked of it, one after another; no layer for what is 0.

    RandomColorJitter gives all four one value range, which the saturation of HSV cannot have.
    """
    parts = [
        BY_VALUES.get(key, partial(layer_change, key))({"strength": value})
        for key, value in values.items()
        if value
    ]

    def change(image: Any, draws: Draws) -> Any:
        for part in parts:
            image = part(image, draws)
        return image

    return change


def _mixer(step: Step) -> Any:
    return named_layer(step) if step.layer else in_float32(LAYERS[step.name](dict(step.parameters)))
