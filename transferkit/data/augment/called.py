"""A policy as one object to call: on arrays, or inside `tf.data.Dataset.map`."""

import warnings
from typing import Any

import numpy as np
import tensorflow as tf

from transferkit.data.augment.keys import keys_of
from transferkit.data.augment.own import colour_axes
from transferkit.data.augment.pipeline import pipeline
from transferkit.data.augment.policy import load_policy
from transferkit.data.decode import CROP_RATIO
from transferkit.errors import UsageError


class Augmentation:
    """A policy that changes RGB images, each for itself, as `finetune --augment` does.

    To be used as `keras.layers.Pipeline` is: called on a batch or on one image, or given to `Dataset.map`;
    never as part of a model that is saved. Called on arrays, the n-th call with a seed gives what it always
    gives.

    Args:
        policy: `light`, `standard`, `strong`, a YAML file of steps, or the steps.
        size: side of what comes out, in pixels. Give it larger images: `finetune` cuts `light` out of some of
            8/7 of that, `standard` and `strong` of up to 15/7.
        seed: of what is drawn.
        seen: share of the images' side that evaluation sees: 7/8 where it cuts out their middle, as
            `finetune` does; 1 for images that are padded or stretched. Crops are that much smaller.
        colours: images `(N, K, K, 3)`, 0..255, whose colour axes `pca_noise` follows: some of train.

    Raises:
        UsageError, RecipeError: no such policy, or it has faults; or it mixes the images of a batch, or
            has `pca_noise` without colours; or a size that is none.
    """

    def __init__(
        self,
        policy: str | list[Any] | dict[str, Any],
        size: int,
        *,
        seed: int = 0,
        seen: float = 1 / CROP_RATIO,
        colours: np.ndarray | None = None,
    ) -> None:
        self.policy = load_policy(policy)
        if self.policy.mixing:
            raise UsageError(
                f"{self.policy.mixing[0].name} mixes the labels of a batch too, and this changes images "
                "alone. Leave it out, and use a layer such as keras.layers.MixUp behind it."
            )
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise UsageError(f"size {size!r} is not allowed: one whole number of pixels, from 1, is needed.")
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise UsageError(f"seed {seed!r} is not allowed: a whole number is needed.")
        if not isinstance(seen, (int, float)) or not 0 < seen <= 1:
            raise UsageError(f"seen {seen!r} is not allowed: a share over 0 and up to 1 is needed.")
        self.size, self.seed = int(size), seed
        if colours is None and self.policy.has("pca_noise"):
            raise UsageError(
                "pca_noise follows the colour axes of the training images: give some of them as colours, "
                "an array (N, K, K, 3), 0..255."
            )
        if colours is not None:
            colours = np.asarray(colours)
            if colours.ndim != 4 or not len(colours):
                raise UsageError(f"colours of shape {colours.shape}: some images (N, K, K, 3) are needed.")
            _check_shape(colours.shape, 1)
            _check_values(colours)
        axes = None if colours is None else colour_axes(colours)
        self._pipeline = pipeline(self.policy, self.size, axes, seen=seen)
        self._calls = 0
        self._random = tf.random.Generator.from_seed(seed)

    def __call__(self, images: Any) -> Any:
        """float32 `(N, size, size, 3)`, 0..255.

        Args:
            images: RGB `(N, K, K, 3)`, or one `(K, K, 3)`, which gives one; 0..255, K at least `size`.

        Raises:
            UsageError: another shape, or values of arrays that are none of 0..255. Out of `Dataset.map` it
                comes as TensorFlow's StagingError, with the message in it.
        """
        if tf.is_symbolic_tensor(images):
            return self._traced(images)
        pixels = np.asarray(images)
        _check_shape(pixels.shape, self.size)
        _check_values(pixels, dark=pixels.ndim == 3 or len(pixels) == 1)
        batch = pixels[None] if pixels.ndim == 3 else pixels
        if not len(batch):
            return np.zeros((0, self.size, self.size, 3), np.float32)
        keys = keys_of(np.arange(len(batch)), self.seed, self._calls)
        self._calls += 1
        changed = self._pipeline.changed(batch, keys)
        return changed[0] if pixels.ndim == 3 else changed

    def _traced(self, images: Any) -> Any:
        _check_shape(tuple(images.shape) if images.shape.rank is not None else (), self.size)
        batch = images[None] if images.shape.rank == 3 else images
        # The state outlives an iterator: a seeded op would begin anew, and give every epoch the same.
        keys = self._random.uniform([tf.shape(batch)[0], 2], maxval=tf.int32.max, dtype=tf.int32)
        changed = self._pipeline.images(batch, keys)
        return changed[0] if images.shape.rank == 3 else changed

    def __repr__(self) -> str:
        return f"Augmentation({self.policy.name!r}, size={self.size}, seed={self.seed})"


def _check_shape(shape: tuple[int | None, ...], size: int) -> None:
    """Whether these are square RGB images that `size` pixels can be cut out of."""
    if len(shape) not in (3, 4) or shape[-1] != 3:
        raise UsageError(
            f"shape {shape} is not allowed: RGB images (N, K, K, 3), or one (K, K, 3), are needed. Grey ones "
            "become RGB by np.repeat(images[..., None], 3, axis=-1)."
        )
    height, width = shape[-3:-1]
    if height is None or width is None:
        raise UsageError(
            f"shape {shape}: the side must be known. Resize first, such as by image_size=(256, 256) of "
            "keras.utils.image_dataset_from_directory."
        )
    if height != width:
        raise UsageError(
            f"images of {height} by {width} are not square, and would be squashed. Cut or pad them first, "
            "such as by crop_to_aspect_ratio=True of keras.utils.image_dataset_from_directory."
        )
    if height < size:
        raise UsageError(f"images of {height} px are smaller than the {size} px that come out.")


def _check_values(pixels: np.ndarray, *, dark: bool = False) -> None:
    """Whether these may be pixels of 0..255; one image that was resized may be `dark` all over."""
    if pixels.dtype.kind not in "uif":
        raise UsageError(f"values of type {pixels.dtype} are no pixels: 0..255 is needed.")
    if pixels.dtype == np.uint8 or not pixels.size:
        return
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 255):  # so that what is no number is told too
        raise UsageError(
            f"values from {low:g} to {high:g} are not allowed: pixels of 0..255 are needed, before any "
            "preprocessing. Where resizing overshot, np.clip(images, 0, 255) first."
        )
    if pixels.dtype.kind == "f" and high <= 1 and (pixels % 1).any():
        told = (
            f"values up to {high:g} look like shares of 255: pixels of 0..255 are needed. Give 255 * images."
        )
        if not dark:
            raise UsageError(told)
        warnings.warn(told, stacklevel=3)
