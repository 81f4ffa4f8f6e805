"""A policy as one object to call: on arrays, or inside `tf.data.Dataset.map`."""

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
    """A policy that changes batches of images, each image for itself, as `finetune --augment` does.

    To be used as `keras.layers.Pipeline` is: called on a batch, or given to `Dataset.map` behind `batch`;
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
            has `pca_noise` without colours.
    """

    def __init__(
        self,
        policy: str | list[Any],
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
        self.size, self.seed = size, seed
        if colours is None and self.policy.has("pca_noise"):
            raise UsageError(
                "pca_noise follows the colour axes of the training images: give some of them as colours, "
                "an array (N, K, K, 3), 0..255."
            )
        axes = None if colours is None else colour_axes(np.asarray(colours))
        self._pipeline = pipeline(self.policy, size, axes, seen=seen)
        self._calls = 0
        self._random = tf.random.Generator.from_seed(seed)

    def __call__(self, images: Any) -> Any:
        """float32 `(N, size, size, 3)`, 0..255, of images `(N, K, K, 3)`, 0..255, K at least `size`."""
        if tf.is_symbolic_tensor(images):
            # The state outlives an iterator: a seeded op would begin anew, and give every epoch the same.
            keys = self._random.uniform([tf.shape(images)[0], 2], maxval=tf.int32.max, dtype=tf.int32)
            return self._pipeline.images(images, keys)
        keys = keys_of(np.arange(len(images)), self.seed, self._calls)
        self._calls += 1
        return self._pipeline.changed(np.asarray(images), keys)

    def __repr__(self) -> str:
        return f"Augmentation({self.policy.name!r}, size={self.size}, seed={self.seed})"
