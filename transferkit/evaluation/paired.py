"""Whether one classifier is better than another on the same images, or only luckier."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transferkit.evaluation.metrics import Bools

RESAMPLES = 10_000
# Below it a difference is no chance.
LEVEL = 0.05
FEW = 10


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Two classifiers on the same images.

    Attributes:
        n: images of both.
        only_first: that the first alone has right; `only_second` the second alone.
        difference: top-1 of the second less that of the first; `low` and `high` its 95 % interval, by a
            bootstrap over images, or where fewer than ten differ by Bonett and Price's formula.
        p: of McNemar's exact test: the chance of a split as uneven if both were equally good.
        p_holm: where several are compared with the first, that by Holm's method over all of them, which
            decides then; None where there is one comparison.
    """

    n: int
    only_first: int
    only_second: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float | None = None

    @property
    def distinguishable(self) -> bool:
        """Whether the difference is more than chance would bring."""
        return (self.p if self.p_holm is None else self.p_holm) < LEVEL

    @property
    def at_odds(self) -> str:
        """What to say where the exact test and the interval do not agree; "" where they do."""
        apart = self.low > 0 or self.high < 0
        if apart == self.distinguishable:
            return ""
        if self.p < LEVEL and not self.distinguishable:
            return "alone it would be told apart; among so many comparisons it may be chance"
        if apart:
            return (
                "at the edge: the interval leaves 0 out, the exact test allows chance, and the test decides"
            )
        return "at the edge: the interval holds 0, the exact test, which decides, leaves chance out"


@dataclass(frozen=True, kw_only=True)
class Against:
    """The model beside an earlier run's, on the test images that both have.

    Attributes:
        name: of the earlier run; `backbone` its.
        top1: of it on these images, 0..1; `own_top1` of this model.
        top5: of it likewise; None where there are not more classes than five.
        paired: image by image; the earlier run is the first.
    """

    name: str
    backbone: str
    top1: float
    own_top1: float
    paired: Paired
    top5: float | None = None


def paired(first: Bools, second: Bools) -> Paired:
    """Two classifiers compared.

    Args:
        first: whether it has each image right, (N,).
        second: likewise on the same images.

    Raises:
        ValueError: no images, or not as many.
    """
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.shape != second.shape or not len(first):
        raise ValueError(f"two answers to each image are needed, at least one: {first.shape}, {second.shape}")
    n, lost, won = len(first), int((first & ~second).sum()), int((~first & second).sum())
    # A mean of -1, 0 and 1 over images: its resamples are multinomial draws. Seed 0, for a report made anew.
    drawn = np.random.default_rng(0).multinomial(n, [won / n, lost / n, (n - won - lost) / n], RESAMPLES)
    low, high = np.percentile((drawn[:, 0] - drawn[:, 1]) / n, [2.5, 97.5])
    if lost + won < FEW:  # resamples of hardly any difference have hardly any spread
        low, high = bonett_price(lost, won, n)
    return Paired(
        n=n,
        only_first=lost,
        only_second=won,
        difference=(won - lost) / n,
        low=float(low),
        high=float(high),
        p=mcnemar(lost, won),
    )


def bonett_price(only_first: int, only_second: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a difference of paired shares, with one more image of each kind.

    Source: Bonett and Price 2012, "Adjusted Wald confidence interval for a difference of binomial proportions
    based on paired data", formula 3.
    """
    lost, won = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    half = 1.959964 * math.sqrt((lost + won - (won - lost) ** 2) / (n + 2))
    return max(-1.0, won - lost - half), min(1.0, won - lost + half)


def mcnemar(only_first: int, only_second: int) -> float:
    """The p of McNemar's exact two-sided test: a fair coin among the images that one alone has right.

    Source: McNemar 1947; exact form as in Fagerland, Lydersen and Laake 2013, section "exact conditional".
    """
    from scipy.stats import binomtest

    images = only_first + only_second
    return float(binomtest(only_first, images, 0.5).pvalue) if images else 1.0


def holm(chances: Sequence[float]) -> list[float]:
    """The p of several tests such that one of them is below a level by chance no oftener than that.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    adjusted, least = [0.0] * len(chances), 0.0
    for place, number in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        least = max(least, min(1.0, (len(chances) - place) * chances[number]))
        adjusted[number] = least
    return adjusted
