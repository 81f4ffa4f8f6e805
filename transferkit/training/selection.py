"""Which features to keep, by the rows that a linear classifier gives them.

Head2Toe (Evci 2022, arXiv:2201.03529) keeps the features whose rows have the largest norm after training
with a group lasso. Rows of a ridge solution, which takes one product and one Cholesky factor, measured as
well or better on the bank's pooled channels (docs/decision.md), so these are what is ranked by.
"""

import numpy as np

# How far the ridge shrinks the covariance: what the discriminant mostly chooses at few images.
SHRINKAGE = 0.9


def row_norms(scaled: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How much each feature has to say on the classes, float64 `(D,)`, 0 for a constant one.

    The norms of the rows of the ridge regression of the classes' indicators, all brought to one length.

    Args:
        scaled: `(N, D)`, on scales that can be compared.
        labels: class numbers `(N,)`, or a matrix `(N, C)` of 0 and 1.
    """
    from scipy.linalg import cho_factor, cho_solve

    images, channels = scaled.shape
    centred = scaled - scaled.mean(axis=0, dtype=np.float64)
    targets = labels.astype(np.float64) if labels.ndim == 2 else np.eye(int(labels.max()) + 1)[labels]
    targets = targets - targets.mean(axis=0)
    targets /= np.maximum(np.linalg.norm(targets, axis=0), 1e-300)
    trace = float(np.square(centred).sum()) / images
    fewer = images <= channels
    system = (1 - SHRINKAGE) / images * (centred @ centred.T if fewer else centred.T @ centred)
    system[np.diag_indices(len(system))] += (SHRINKAGE * trace / channels) or 1.0
    factor = cho_factor(system, overwrite_a=True, check_finite=False)
    if fewer:
        rows = centred.T @ cho_solve(factor, targets, check_finite=False)
    else:
        rows = cho_solve(factor, centred.T @ targets, check_finite=False)
    return np.asarray(np.linalg.norm(rows, axis=1))


def strongest(scores: np.ndarray, share: float) -> np.ndarray:
    """The places of the highest scores, ascending: that share of them, at least one."""
    count = max(1, round(share * len(scores)))
    return np.sort(np.argsort(-scores, kind="stable")[:count])
