"""Weights between the start of fine-tuning and its end.

Fine-tuned from a fitted classifier, both ends lie in one valley of the loss, and what lies between them is
often better than either: it keeps of the pretrained features what few images cannot teach. Source: Wortsman
2022, robust fine-tuning of zero-shot models, WiSE-FT (arXiv:2109.01903); measured in `docs/decision.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transferkit.strategies.cost import BLENDS
from transferkit.training.job import Job, measure
from transferkit.training.stopping import Standing, beats

SHARES = tuple(number / BLENDS for number in range(1, BLENDS + 1))


@dataclass(frozen=True)
class Blend:
    """Weights on the way, and how they do on val.

    Attributes:
        share: of the end, in 0..1; 1 is the end.
        standing: on val.
        weights: of the model.
    """

    share: float
    standing: Standing
    weights: list[np.ndarray]


def between(first: Sequence[np.ndarray], last: Sequence[np.ndarray], share: float) -> list[np.ndarray]:
    """`(1 - share) first + share last`; what is equal in both stays so to the byte."""
    return [
        old if np.array_equal(old, new) else ((1 - share) * old + share * new).astype(old.dtype)
        for old, new in zip(first, last, strict=True)
    ]


def best_blend(
    job: Job, first: Sequence[np.ndarray], last: Sequence[np.ndarray], start: Standing
) -> Blend | None:
    """The blend of the lowest val loss (or the highest mAP) of those that beat the start; None without.

    Args:
        job: its model is left with any of the weights.
        first: weights of the start.
        last: of the end.
        start: how the start does on val.
    """
    best: Blend | None = None
    for share in SHARES:
        weights = between(first, last, share)
        job.model.set_weights(weights)
        _, loss, reached = measure(job, job.val)
        new = Standing(reached, loss)
        if not beats(new, start, len(job.val), ranked=job.multilabel):
            continue
        better = best is None or (
            new.score > best.standing.score if job.multilabel else new.loss < best.standing.loss
        )
        if better:
            best = Blend(share, new, weights)
    return best
