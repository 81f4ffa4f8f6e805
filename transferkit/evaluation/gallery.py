"""Which images of a split are worth a look: the surest mistakes, and the right answers least sure."""

from dataclasses import dataclass

import numpy as np

from transferkit.evaluation.metrics import Floats, Ints, predict
from transferkit.evaluation.rejection import confidence_of

MISTAKES, UNSURE = 12, 8


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image as a report shows it.

    Attributes:
        path: of its file, as in `splits.csv`.
        split: it belongs to.
        label: its class.
        answer: the class that the model, or whoever speaks of it here, takes it for.
        p: probability of `answer`, 0..1; `p_label` of the label.
        thumbnail: file of the picture in the run folder; "" where there is none.
        heat: likewise of the picture with what spoke for the answer laid over it.
        like: files of pictures of the answer's class that it resembles.
        neighbours: paths of the images of the answer's class that it resembles most, drawn or not, the
            nearest first.
    """

    path: str
    split: str
    label: str
    answer: str
    p: float
    p_label: float
    thumbnail: str = ""
    heat: str = ""
    like: tuple[str, ...] = ()
    neighbours: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Images of the headline's split.

    Attributes:
        mistakes: the surest wrong answers, the surest first.
        wrong: how many images are wrong in all.
        unsure: the right answers least sure, the least sure first.
    """

    mistakes: tuple[Picture, ...]
    wrong: int
    unsure: tuple[Picture, ...]


def surest_mistakes(probabilities: Floats, labels: Ints, limit: int = MISTAKES) -> list[int]:
    """Rows whose answer is wrong, the surest first. Rows that are not finite have no answer."""
    wrong = (predict(probabilities) != labels) & np.isfinite(probabilities).all(axis=1)
    return _ordered(-confidence_of(probabilities), wrong)[:limit]


def least_sure(probabilities: Floats, labels: Ints, limit: int = UNSURE) -> list[int]:
    """Rows whose answer is right, the least sure first."""
    return _ordered(confidence_of(probabilities), predict(probabilities) == labels)[:limit]


def _ordered(by: Floats, among: np.ndarray) -> list[int]:
    rows = np.flatnonzero(among)
    return [int(row) for row in rows[np.argsort(by[rows], kind="stable")]]
