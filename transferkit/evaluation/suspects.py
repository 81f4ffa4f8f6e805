"""Labels that may be wrong, by probabilities of classifiers that have not seen the image."""

from dataclasses import dataclass

import numpy as np

from transferkit.evaluation.metrics import Floats, Ints

NEIGHBOURS = 3
# Of the list that a report shows and `fixes.csv` holds: no more than a person looks through.
LISTED = 100


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """An image whose label others of its kind speak against.

    Attributes:
        row: of the images that were judged.
        label: its class number; `suggested` the one that is most probable.
        p_label: probability of its label, 0..1; `p_suggested` of the other.
        neighbours: rows of the images of the suggested class that look most like it.
    """

    row: int
    label: int
    suggested: int
    p_label: float
    p_suggested: float
    neighbours: tuple[int, ...]


def suspects(
    probabilities: Floats, labels: Ints, features: Floats, limit: int = LISTED
) -> tuple[Suspect, ...]:
    """The images whose label is least believed, those first whose other class is surest.

    Ranked by p(label) less the highest other probability ("normalized margin"; source: Northcutt, Jiang
    and Chuang 2021, arXiv:1911.00068, and cleanlab's ranking); only images for which another class is more
    probable than their own are suspects.

    Args:
        probabilities: (N, C) of each image by a classifier that has not seen it.
        labels: (N,) class numbers.
        features: (N, D), for likeness.
        limit: how many, at most.
    """
    order, margins = ranking(probabilities, labels)
    chosen = [int(row) for row in order[:limit] if margins[row] < 0]
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    others = _others(probabilities, labels).argmax(axis=1)
    return tuple(
        Suspect(
            row=row,
            label=int(labels[row]),
            suggested=int(others[row]),
            p_label=float(probabilities[row, labels[row]]),
            p_suggested=float(probabilities[row, others[row]]),
            neighbours=_nearest(unit, row, np.flatnonzero(labels == others[row])),
        )
        for row in chosen
    )


def ranking(probabilities: Floats, labels: Ints) -> tuple[Ints, Floats]:
    """(rows, the least believed label first; margin of each row, -1..1)."""
    own = probabilities[np.arange(len(labels)), labels]
    margins = own - _others(probabilities, labels).max(axis=1)
    return np.argsort(margins, kind="stable"), margins


def _others(probabilities: Floats, labels: Ints) -> Floats:
    """The probabilities without those of the labels."""
    others = np.array(probabilities, np.float64)
    others[np.arange(len(labels)), labels] = -1.0
    return others


def _nearest(unit: Floats, row: int, among: Ints) -> tuple[int, ...]:
    among = among[among != row]
    likeness = unit[among] @ unit[row]
    return tuple(int(among[at]) for at in np.argsort(-likeness, kind="stable")[:NEIGHBOURS])
