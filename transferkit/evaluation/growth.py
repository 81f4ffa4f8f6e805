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
        curve: (training images in all, cross-validated top-1), fewest first.
        classes: C.
        trained: training images that there are.
        more: images that are thought of, in all.
        now: top-1 that the fitted curve gives for the images there are.
        then: likewise with `more`; `low` and `high` its 95 % interval by what chance makes of the curve.
    """

    curve: tuple[tuple[float, float], ...]
    classes: int
    trained: int
    more: int
    now: float
    then: float
    low: float
    high: float

    @property
    def sentence(self) -> str:
        """What to expect."""
        gain, low, high = (100 * (each - self.now) for each in (self.then, self.low, self.high))
        words = (
            f"A quick linear classifier on the {self.trained:,} training images should be right on "
            f"{self.now:.1%}; going on like this, {self.more} more images of all classes together bring "
            f"{gain:+.1f} points ({low:+.1f} to {high:+.1f})"
        )
        return f"{words}: {'worth it' if low >= 0.5 else 'little, or not certain'}."


def grow(
    curve: Sequence[tuple[float, float]], *, judged: int, trained: int, classes: int, more: int = MORE
) -> Growth | None:
    """The curve carried on by a power law: error = a n^-b, b at least 0.

    Power laws fit learning curves of transfer well (Hestness et al. 2017, arXiv:1712.00409; Mahmood et al.
    2022, arXiv:2207.01725); with so few points there is none to spare for a floor of the error, so far ahead
    the forecast is too bright. More images are taken to be of the classes as those that there are. The points
    are drawn as if each had images of its own; they share them, so the interval is rather too wide.

    Args:
        curve: (training images in all, top-1 on images that were not seen), at least three points.
        judged: images that each top-1 was counted on.
        trained: training images that there are, from where the curve is carried on.
        classes: C.
        more: images in all that are thought of.

    Returns:
        None where there are fewer than three points, or nothing is left to learn.
    """
    counts = np.array([count for count, _ in curve], np.float64)
    reached = np.array([top1 for _, top1 in curve], np.float64)
    if len(counts) < 3 or (reached >= 1).all():
        return None
    ends = (float(trained), float(trained + more))
    now, then = _carried(counts, reached, judged, ends)
    random = np.random.default_rng(0)
    drawn = [_carried(counts, random.binomial(judged, reached) / judged, judged, ends) for _ in range(DRAWS)]
    low, high = np.percentile([after - before for before, after in drawn], [2.5, 97.5])
    return Growth(
        curve=tuple((float(n), float(t)) for n, t in curve),
        classes=classes,
        trained=trained,
        more=more,
        now=now,
        then=then,
        low=now + float(low),
        high=now + float(high),
    )


def _carried(
    counts: np.ndarray, reached: np.ndarray, judged: int, at: tuple[float, float]
) -> tuple[float, float]:
    """Top-1 by the fitted power law for two numbers of images."""
    # An error of none counts as half an image, or its logarithm would rule the fit.
    error = np.maximum(1 - reached, 0.5 / judged)
    slope, level = np.polyfit(np.log(counts), np.log(error), 1)
    slope = min(slope, 0.0)
    level = float(np.mean(np.log(error) - slope * np.log(counts)))
    first, second = (1 - math.exp(level + slope * math.log(count)) for count in at)
    return max(0.0, first), max(0.0, second)
