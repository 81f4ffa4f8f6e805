"""What all that is drawn for an image starts from: a number of (seed, epoch, image) and of nothing else."""

from collections.abc import Sequence
from typing import Any

import numpy as np

# Tells the seed of a batch's mixing from those of its first image.
MIXING = 0x2545F491
# Odd 64-bit constants of splitmix64 (Steele 2014), which spreads every bit over all others.
_STEP, _FIRST, _SECOND = (np.uint64(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def keys_of(images: np.ndarray, seed: int, epoch: int, times: np.ndarray | int = 0) -> np.ndarray:
    """int32 `(n, 2)`: what all draws for these images in this epoch start from.

    Args:
        images: number of each, int64 `(n,)`, see `image_numbers`.
        seed: of the run.
        epoch: from 0.
        times: how often each image came before in this epoch.
    """
    mixed = np.zeros(len(images), np.uint64)
    for part in (seed, epoch, times, images):
        values = np.broadcast_to(np.asarray(part, np.int64), mixed.shape).astype(np.uint64)
        mixed = _spread(mixed + _STEP + values)
    halves = np.stack([mixed >> np.uint64(32), mixed & np.uint64(0xFFFFFFFF)], axis=1)
    keys: np.ndarray = halves.astype(np.uint32).view(np.int32)
    return keys


def mixing_key(keys: Any) -> Any:
    """int32 `(2,)`: what the mixing of a batch of these keys starts from, arrays or tensors.

    It is made of the first, and not that itself: else what the first image drew for itself would say with
    whom it is mixed.
    """
    return keys[0] ^ MIXING


def _spread(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * _FIRST
        values = (values ^ (values >> np.uint64(27))) * _SECOND
    spread: np.ndarray = values ^ (values >> np.uint64(31))
    return spread


def image_numbers(shas: Sequence[str]) -> np.ndarray:
    """int64 `(n,)` by the files' SHA-256: what an image gets does not depend on the images beside it."""
    return np.array([int(sha[:15], 16) for sha in shas], dtype=np.int64)
