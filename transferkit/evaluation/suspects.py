"""Labels that may be wrong, by probabilities of classifiers that have not seen the image."""

from dataclasses import dataclass

import numpy as np

from transferkit.evaluation.metrics import Floats, Ints

NEIGHBOURS = 3
# In `fixes.csv`; a report shows the first hundred.
LISTED = 1000


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

    Ranked by p(label) less the highest other probability ("normalized margin", as cleanlab ranks), down to
    those for which no other class is more probable. A threshold for each class, as `doubted` has it, would
    find fewer: of 5 % swapped labels of flowers .60 to .69 instead of what `docs/report.md` tells.

    Args:
        probabilities: (N, C) of each image by a classifier that has not seen it.
        labels: (N,) class numbers.
        features: (N, D), for likeness.
        limit: how many, at most.
    """
    order, margins = ranking(probabilities, labels)
    chosen = [int(row) for row in order if margins[row] < 0][:limit]
    suggested = _others(probabilities, labels).argmax(axis=1)
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    return tuple(
        Suspect(
            row=row,
            label=int(labels[row]),
            suggested=int(suggested[row]),
            p_label=float(probabilities[row, labels[row]]),
            p_suggested=float(probabilities[row, suggested[row]]),
            neighbours=_nearest(unit, row, np.flatnonzero(labels == suggested[row])),
        )
        for row in chosen
    )


def doubted(probabilities: Floats, labels: Ints) -> Ints:
    """The class that each image belongs to if not to its own, (N,); -1 where nothing speaks against a label.

    An image belongs to the most probable of the classes whose probability reaches that class's threshold:
    the mean of it over the images labelled so. So a class that the classifier is never sure of is not held to
    what it is sure of elsewhere, and a mere error is no doubt. Source: Northcutt, Jiang and Chuang 2021
    (arXiv:1911.00068), section 3.1, the confident joint.
    """
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    own = probabilities[np.arange(len(labels)), labels]
    thresholds = np.bincount(labels, weights=own, minlength=classes) / np.maximum(counts, 1)
    reaches = (probabilities >= thresholds) & (counts > 0)
    belongs = np.where(reaches, probabilities, -1.0).argmax(axis=1)
    other = reaches.any(axis=1) & (belongs != labels)
    return np.asarray(np.where(other, belongs, -1))


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
