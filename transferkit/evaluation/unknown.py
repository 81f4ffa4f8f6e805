"""Images of no class at all: a score of how far they lie from what was trained on, and how well it tells."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from transferkit.evaluation.metrics import Floats, wilson

# Share of known images that shall pass.
PASSING = 0.95
# Images that are named.
NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """How well a score tells images of unknown things from those of the classes.

    Attributes:
        known: images of the classes; `unknown` of none.
        auroc: chance that an unknown image has the higher score, 0..1; .5 is guessing. `auroc_ci95` its
            95 % interval, see `auroc_interval`.
        fpr95: share of unknown images that pass where 95 % of the known do; lower is better. `fpr95_ci95`
            its 95 % Wilson interval at this threshold.
        threshold: the least score that 95 % of the known, or more, do not pass.
        passing: share of the known that does not pass it, all where there are 20 or fewer.
    """

    known: int
    unknown: int
    auroc: float
    auroc_ci95: tuple[float, float]
    fpr95: float
    fpr95_ci95: tuple[float, float]
    threshold: float
    passing: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Strangeness:
    """What a score of strangeness says of images of the classes, and from where on one is strange.

    Attributes:
        threshold: the least score of val that 95 % of it, or more, do not pass.
        val_images: that it was found on; `val_passing` the share of them that does not pass it, all where
            there are 20 or fewer.
        split: of the figures below; `images` of it.
        passing: share of these that stay under; `low` and `high` its 95 % interval.
        strangest: (path, score) of those that lie farthest from what was trained on, the farthest first.
    """

    threshold: float
    val_images: int
    val_passing: float
    split: str
    images: int
    passing: float
    low: float
    high: float
    strangest: tuple[tuple[str, float], ...]


def judge_strangeness(val: Floats, judged: Floats, paths: Sequence[str], split: str) -> Strangeness:
    """From where on an image is strange, and how that does on images that did not say.

    Args:
        val: scores (N,) of its images; higher is stranger.
        judged: likewise (M,) of the split that is reported.
        paths: of its images.
        split: its name.

    Raises:
        ValueError: one of them is empty.
    """
    if not len(val) or not len(judged):
        raise ValueError(f"images of both splits are needed, not {len(val)} of val and {len(judged)}")
    threshold = float(np.quantile(val, PASSING, method="higher"))
    under = int((judged <= threshold).sum())
    low, high = wilson(under, len(judged))
    farthest = np.argsort(-np.asarray(judged), kind="stable")[:NAMED]
    return Strangeness(
        threshold=threshold,
        val_images=len(val),
        val_passing=float((val <= threshold).mean()),
        split=split,
        images=len(judged),
        passing=under / len(judged),
        low=low,
        high=high,
        strangest=tuple((paths[row], float(judged[row])) for row in farthest),
    )


def judge_unknown(known: Floats, unknown: Floats) -> Unknown:
    """How well scores tell two kinds of images apart; higher is stranger.

    Args:
        known: scores (N,) of images of the classes.
        unknown: scores (M,) of images of none.

    Raises:
        ValueError: one of them is empty.
    """
    if not len(known) or not len(unknown):
        raise ValueError(
            f"images of both kinds are needed, not {len(known)} known and {len(unknown)} unknown"
        )
    # Of all pairs, those in which the unknown image is the stranger; ties count half (Mann and Whitney).
    ordered = np.sort(known)
    below = np.searchsorted(ordered, unknown, "left")
    through = np.searchsorted(ordered, unknown, "right")
    threshold = float(np.quantile(known, PASSING, method="higher"))
    area, passed = float((below + through).mean() / 2 / len(known)), int((unknown <= threshold).sum())
    return Unknown(
        known=len(known),
        unknown=len(unknown),
        auroc=area,
        auroc_ci95=auroc_interval(area, len(known), len(unknown)),
        fpr95=passed / len(unknown),
        fpr95_ci95=wilson(passed, len(unknown)),
        threshold=threshold,
        passing=float((known <= threshold).mean()),
    )


def auroc_interval(area: float, known: int, unknown: int) -> tuple[float, float]:
    """The 95 % interval of an area under the curve: those areas that lie 1.96 standard errors away.

    The error is that of the area that is asked about, not of the one that was found, so it has a width
    where all pairs are told apart too. Source: Newcombe 2006, "Confidence intervals for an effect size
    measure based on the Mann-Whitney statistic. Part 2", method 5.

    Args:
        area: that was found, 0..1.
        known: images of one kind.
        unknown: of the other.
    """
    from scipy.optimize import brentq

    less = (known + unknown) / 2 - 1

    def away(asked: float) -> float:
        spread = 1 + less * (1 - asked) / (2 - asked) + less * asked / (1 + asked)
        return abs(area - asked) - 1.959964 * math.sqrt(asked * (1 - asked) * spread / (known * unknown))

    inside = min(max(area, 1e-9), 1 - 1e-9)  # at 0 and 1 themselves nothing is away
    low = brentq(away, 0.0, inside) if away(0.0) > 0 else 0.0
    high = brentq(away, inside, 1.0) if away(1.0) > 0 else 1.0
    return float(low), float(high)


def strangeness(features: Floats, reference: Floats, neighbours: int = 1) -> Floats:
    """How far images lie from those trained on, (N,), 0..2: one less the cosine to the k-th nearest.

    Needs no shape of the classes and no tuning. Source: Sun et al. 2022, "Out-of-distribution detection with
    deep nearest neighbors" (arXiv:2204.06507).

    Args:
        features: (N, D) of the images that are asked about.
        reference: (M, D) of images that were trained on.
        neighbours: k; fewer where there are fewer images. The nearest alone tells as well as the fifth
            (`docs/report.md`).
    """
    near = min(neighbours, len(reference))
    likeness = cosines_to(features, reference)
    return np.asarray(1 - np.partition(likeness, -near, axis=1)[:, -near])


def cosines_to(features: Floats, reference: Floats) -> Floats:
    """Cosine of each image `(N, D)` to each that was trained on `(M, D)`, `(N, M)`."""
    return np.asarray(_unit(features) @ _unit(reference).T)


def _unit(features: Floats) -> Floats:
    found = np.asarray(features, np.float64)
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12))
