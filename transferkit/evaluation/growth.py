"""Would more images help? The learning curve of the quick classifier, carried on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Curves that are drawn from what chance would make of the one that was measured.
DRAWS = 500
MORE = 200


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How a linear classifier gets better with images.

    Attributes:
        curve: (training images per class, cross-validated top-1), fewest first.
        classes: C.
        more: images that are thought of, in all.
        now: top-1 that the fitted curve gives for the images there are.
        then: likewise with `more`; `low` and `high` its 95 % interval by what chance makes of the curve.
    """

    curve: tuple[tuple[float, float], ...]
    classes: int
    more: int
    now: float
    then: float
    low: float
    high: float

    @property
    def sentence(self) -> str:
        """What to expect."""
        count, reached = self.curve[-1]
        gain, low, high = (100 * (each - self.now) for each in (self.then, self.low, self.high))
        words = (
            f"With {count:.0f} training images per class the quick linear classifier reaches {reached:.1%} "
            f"in cross-validation; going on like this, {self.more} more images of all classes together bring "
            f"{gain:+.1f} points ({low:+.1f} to {high:+.1f})"
        )
        return f"{words}: {'worth it' if low >= 0.5 else 'little, or not certain'}."


def grow(
    curve: Sequence[tuple[float, float]], *, images: int, classes: int, more: int = MORE
) -> Growth | None:
    """The curve carried on by a power law: error = a n^-b, b at least 0.

    Power laws fit learning curves of transfer well (Hestness et al. 2017, arXiv:1712.00409; Mahmood et al.
    2022, arXiv:2207.01725); with so few points there is none to spare for a floor of the error, so far ahead
    the forecast is too bright.

    Args:
        curve: (images per class, top-1 on images that were not seen), at least three points.
        images: that each top-1 was counted on.
        classes: C.
        more: images in all that are thought of.

    Returns:
        None where there are fewer than three points, or nothing is left to learn.
    """
    counts = np.array([count for count, _ in curve], np.float64)
    reached = np.array([top1 for _, top1 in curve], np.float64)
    if len(counts) < 3 or (reached >= 1).all():
        return None
    ahead = counts[-1] + more / classes
    now, then = _carried(counts, reached, images, (counts[-1], ahead))
    random = np.random.default_rng(0)
    drawn = [
        _carried(counts, random.binomial(images, reached) / images, images, (counts[-1], ahead))
        for _ in range(DRAWS)
    ]
    low, high = np.percentile([after - before for before, after in drawn], [2.5, 97.5])
    return Growth(
        curve=tuple((float(n), float(t)) for n, t in curve),
        classes=classes,
        more=more,
        now=now,
        then=then,
        low=now + float(low),
        high=now + float(high),
    )


def _carried(
    counts: np.ndarray, reached: np.ndarray, images: int, at: tuple[float, float]
) -> tuple[float, float]:
    """Top-1 by the fitted power law for two numbers of images."""
    # An error of none counts as half an image, or its logarithm would rule the fit.
    error = np.maximum(1 - reached, 0.5 / images)
    slope, level = np.polyfit(np.log(counts), np.log(error), 1)
    slope = min(slope, 0.0)
    level = float(np.mean(np.log(error) - slope * np.log(counts)))
    first, second = (1 - math.exp(level + slope * math.log(count)) for count in at)
    return max(0.0, first), max(0.0, second)
