"""What classifiers that have not seen an image say of it: for every image, from the bank."""

import numpy as np

from transferkit.strategies import FeatureSet
from transferkit.training.bank import PooledBank
from transferkit.training.choosing import scaling_of
from transferkit.training.discriminant import fit_discriminant, temperature
from transferkit.training.linear import softmax


def unseen_probabilities(
    bank: PooledBank,
    rows: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    *,
    features: FeatureSet,
    shrinkage: float | None = None,
) -> np.ndarray:
    """Probabilities `(n, C)` of each image by a discriminant fitted without its fold.

    Shrunken as much as it is, a discriminant takes little notice of single wrong labels. One temperature,
    fitted on all images, makes its logits probabilities.

    Args:
        bank: of all images.
        rows: of it, `(n,)`.
        labels: class numbers `(n,)` from 0, each of which occurs outside of every fold.
        folds: of each image.
        features: that are looked at.
        shrinkage: 0..1; None takes Ledoit and Wolf's.
    """
    classes = int(labels.max()) + 1
    logits = np.empty((len(rows), classes))
    for fold in range(int(folds.max()) + 1):
        own = folds == fold
        known = bank.at(features, rows[~own])
        scaling = scaling_of(known, bank.block_widths(features), features)
        fitted = fit_discriminant(known, labels[~own], classes, shrinkage=shrinkage, scaling=scaling)
        logits[own] = bank.at(features, rows[own]) @ fitted.kernel + fitted.bias
    return softmax(temperature(logits, labels) * logits)
