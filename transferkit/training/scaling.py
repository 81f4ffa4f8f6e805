"""Scales of features: what a penalty or a shrinkage compares them by. Folded into the head at the end."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scaling:
    """Features as `(x - mean) / scale`; both float64 `(D,)`."""

    mean: np.ndarray
    scale: np.ndarray

    def apply(self, features: np.ndarray) -> np.ndarray:
        """float64 `(N, D)`."""
        return np.asarray((features - self.mean) / self.scale)

    def folded(self, kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """float32 kernel `(D, C)` and bias `(C,)` on features as they come, from those on scaled ones."""
        kernel = kernel / self.scale[:, None]
        bias = bias - self.mean @ kernel
        return kernel.astype(np.float32), bias.astype(np.float32)

    def columns(self, kept: np.ndarray | slice) -> "Scaling":
        """The scaling of some of the features."""
        return Scaling(self.mean[kept], self.scale[kept])


def standard(features: np.ndarray) -> Scaling:
    """Mean 0 and deviation 1 for each feature `(N, D)`."""
    mean = features.mean(axis=0, dtype=np.float64)
    scale = features.std(axis=0, dtype=np.float64)
    # A channel that is constant but for rounding carries nothing; dividing by that would be noise.
    scale[scale <= 1e-6 * np.abs(mean)] = 1.0
    return Scaling(mean, scale)


def by_block(features: np.ndarray, widths: Sequence[int]) -> Scaling:
    """Mean 0 for each feature, and a scale that trusts neither quiet channels nor wide blocks.

    A channel that is nearly silent in few training images is not silent in the next; dividing by its
    own deviation there makes it shout. So no feature is divided by less than its block's median
    deviation. And a block of D features speaks with sqrt(D), not D times the weight of one, so that the
    1280 channels of a last stage leave the others a say. Measured on 11 data sets and two backbones at 5
    and 10 images per class with the discriminant: the first gains 2 to 3 points of test top-1, the
    second .5 (docs/decision.md).

    Args:
        features: `(N, D)`.
        widths: of the blocks, one kind of one stage each; their sum is D.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    scale = features.std(axis=0, dtype=np.float64)
    # So that the features' squares still sum to about D, and a strength means what it meant.
    level = sum(widths) / sum(width**0.5 for width in widths)
    start = 0
    for width in widths:
        block = scale[start : start + width]
        block[:] = np.maximum(block, np.median(block)) * (width**0.25 / level**0.5)
        start += width
    scale[scale <= 1e-6 * np.abs(mean)] = 1.0
    return Scaling(mean, scale)
