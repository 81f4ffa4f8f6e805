"""Batches for training, as tf.data: the one place of the data side that imports TensorFlow."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from transferkit.data.augment.keys import keys_of, mixing_key
from transferkit.data.balance import sample_weights, weighted_shares
from transferkit.data.decode import DecodePolicy, decode_batch


class Source(Protocol):
    """Something that gives the inputs of rows of an index."""

    def take(self, rows: np.ndarray) -> np.ndarray:
        """`(len(rows), H, W, channels)`: uint8 of images, float32 of activations."""


@dataclass(frozen=True)
class ImageSource:
    """Images: from where they are kept decoded, else decoded anew each time they are asked for.

    Attributes:
        paths: of all rows of the index.
        policy: how they are decoded.
        kept: gives decoded images by row; None for sets too large to keep.
    """

    paths: list[Path]
    policy: DecodePolicy
    kept: Source | None = None

    def take(self, rows: np.ndarray) -> np.ndarray:
        """uint8 `(len(rows), S, S, 3)`, RGB."""
        if self.kept is not None:
            return self.kept.take(rows)
        return decode_batch([self.paths[row] for row in rows], self.policy)


def warm_up() -> None:
    """Import TensorFlow, which takes seconds, at a time of the caller's choosing."""
    import tensorflow  # noqa: F401


def epoch_order(rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """The rows in the order of one epoch: a function of seed and epoch and of nothing else."""
    return np.random.default_rng((seed, epoch)).permutation(rows)


def epoch_batches(
    source: Source,
    labels: np.ndarray,
    order: np.ndarray,
    *,
    batch_size: int,
    augment: "Augmentation | None" = None,
    seed: int = 0,
    epoch: int = 0,
    weights: np.ndarray | None = None,
) -> Any:
    """One epoch as a tf.data.Dataset of (inputs float32, labels), or of these and images' weights.

    Args:
        source: gives inputs by row.
        labels: of each row of the index, class numbers `(N,)` (given as int32) or shares `(N, C)`
            (given as float32).
        order: rows of this epoch; one may come several times.
        batch_size: the last batch may be smaller.
        augment: changes the images; what it draws depends on (seed, epoch, image, how often it came
            before), so that threads do not matter. Labels are shares `(n, C)` where it mixes batches.
        seed: of the augmentation.
        epoch: likewise.
        weights: of the classes `(C,)`; an image's own is found from its labels, and where images of one class
            each are blended the labels are too, see `weighted_shares`.
    """
    import tensorflow as tf

    numbers = augment.numbers[order] if augment else order
    keys = keys_of(numbers, seed, epoch, times_before(numbers))
    batches = _batches(source, labels, order, keys, batch_size)
    if augment:
        batches = batches.map(augment.traced, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    steps = -(-len(order) // batch_size)
    pairs = batches.map(lambda x, y, keys: (tf.cast(x, tf.float32), y))
    if weights is not None:
        blended = augment is not None and augment.mixes and labels.ndim == 1
        weighted = _blends_of if blended else _weights_of
        pairs = pairs.map(lambda x, y: (x, *weighted(y, weights)))
    return pairs.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2)


def _batches(source: Source, labels: np.ndarray, order: np.ndarray, keys: np.ndarray, batch_size: int) -> Any:
    """A tf.data.Dataset of (inputs as the source has them, labels, keys)."""
    import tensorflow as tf

    first = source.take(order[:1])
    kind = tf.int32 if labels.ndim == 1 else tf.float32

    def generate() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            yield (
                source.take(rows),
                labels[rows].astype(kind.as_numpy_dtype),
                keys[start : start + batch_size],
            )

    signature = (
        # Bytes travel as bytes: a quarter of the memory, up to where each image is changed for itself.
        tf.TensorSpec((None, *first.shape[1:]), tf.as_dtype(first.dtype)),
        tf.TensorSpec((None, *labels.shape[1:]), kind),
        tf.TensorSpec((None, 2), tf.int32),
    )
    return tf.data.Dataset.from_generator(generate, output_signature=signature)


@dataclass(frozen=True)
class Augmentation:
    """What happens to training images between their source and a step.

    Attributes:
        pipeline: see `data.augment.pipeline`.
        numbers: int64 `(N,)` of each row, see `data.augment.drawing.image_numbers`.
        classes: C.
    """

    pipeline: Any
    numbers: np.ndarray
    classes: int

    @property
    def mixes(self) -> bool:
        """Whether labels become shares of several classes."""
        return bool(self.pipeline.mixers)

    @cached_property
    def traced(self) -> Any:
        """`batch`, traced once for all epochs: some policies take seconds to trace."""
        import tensorflow as tf

        return tf.function(self.batch)

    def batch(self, images: Any, labels: Any, keys: Any) -> tuple[Any, Any, Any]:
        """A batch changed: each image by its own key, what mixes by one made of the first."""
        import tensorflow as tf

        images = self.pipeline.images(images, keys)
        if self.mixes:
            shares = tf.one_hot(labels, self.classes) if labels.shape.rank == 1 else labels
            images, labels = self.pipeline.mixed(images, shares, mixing_key(keys))
        return images, labels, keys


def times_before(order: np.ndarray) -> np.ndarray:
    """How often the row at each place of an order came before, int64."""
    places = np.argsort(order, kind="stable")
    _, first, counts = np.unique(order[places], return_index=True, return_counts=True)
    times = np.empty(len(order), np.int64)
    times[places] = np.arange(len(order)) - np.repeat(first, counts)
    return times


def _weights_of(labels: Any, weights: np.ndarray) -> tuple[Any, Any]:
    """The labels, and float32 `(batch,)` by `sample_weights`."""
    import tensorflow as tf

    def found(targets: np.ndarray) -> np.ndarray:
        return sample_weights(targets, weights).astype(np.float32)

    return labels, tf.ensure_shape(tf.numpy_function(found, [labels], tf.float32), (None,))


def _blends_of(shares: Any, weights: np.ndarray) -> tuple[Any, Any]:
    """float32 `(batch, C)` and `(batch,)` by `weighted_shares`."""
    import tensorflow as tf

    def found(given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        own, each = weighted_shares(given, weights)
        return own.astype(np.float32), each.astype(np.float32)

    own, each = tf.numpy_function(found, [shares], (tf.float32, tf.float32))
    return tf.ensure_shape(own, (None, len(weights))), tf.ensure_shape(each, (None,))
