"""Cross-validation as numbers: a score for each fold, their mean and how sure it is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """Scores of one strategy over folds.

    Attributes:
        measure: `top1`, or `map` for multi-label data.
        scores: of each fold, 0..1, on images that the fold's classifier has not seen.
        n: images in all folds.
        mean: of the scores.
        ci95: an interval for it by Student's t with K - 1 degrees of freedom, cut to 0..1. The folds
            share train images, so it is an approximation, narrow rather than wide; source: Bengio and
            Grandvalet 2004, which shows that no unbiased one exists.
    """

    measure: str
    scores: tuple[float, ...]
    n: int
    mean: float
    ci95: tuple[float, float]

    def as_dict(self) -> dict[str, Any]:
        """The entry in `metrics.json`."""
        return asdict(self) | {"folds": len(self.scores)}


def summarise(scores: Sequence[float], n: int, measure: str = "top1") -> CrossValidation:
    """The scores of two or more folds with their mean and interval."""
    from scipy.special import stdtrit

    values = np.asarray(scores, np.float64)
    half = stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / np.sqrt(len(values))
    mean = float(values.mean())
    ends = (max(0.0, mean - float(half)), min(1.0, mean + float(half)))
    return CrossValidation(measure=measure, scores=tuple(map(float, values)), n=n, mean=mean, ci95=ends)
