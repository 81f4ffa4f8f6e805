"""Scores of how well features fit labels, computed without training: LogME and H-score.

Both see pooled features `(N, D)` and take milliseconds for a thousand images, whichever of N and D is larger.
"""

import numpy as np

# Ratios of the two precisions that LogME looks at, relative to the largest squared singular value.
WEAKEST, STRONGEST = 1e-10, 1e6
GRID, ZOOMS = 49, 4


def logme(features: np.ndarray, labels: np.ndarray) -> float:
    """The log marginal likelihood an image of Bayesian linear regression, a mean over the classes.

    Each class is a target y of 0 and 1: y = features w + noise, with a normal prior of precision alpha on
    w and noise of precision beta, both chosen so that y is as likely as it can be, w integrated out.
    Higher is better; the number has no unit and no upper bound, so compare it between features of the
    same images only. At the best beta only the ratio t = alpha / beta is free, and a search over it finds
    what the published iteration converges to.

    Args:
        features: `(N, D)`, neither centred nor scaled: as published.
        labels: class numbers `(N,)`, or a matrix `(N, C)` of 0 and 1, where images may have several
            classes. Classes that no image or every image has say nothing and are left out.

    Returns:
        The mean over classes; NaN where no class is left.

    Source: You 2021, LogME (arXiv:2102.11005), algorithm 1.
    """
    targets = _one_hot(labels)
    targets = targets[:, (targets.min(axis=0) == 0) & (targets.max(axis=0) == 1)]
    if not targets.shape[1]:
        return float("nan")
    vectors, squares = _left_axes(np.asarray(features, dtype=np.float64))
    along = np.square(vectors.T @ targets)  # (r, C)
    outside = np.maximum(np.square(targets).sum(axis=0) - along.sum(axis=0), 0.0)
    return float(_best_evidence(squares, along, outside, len(targets)).mean()) / len(targets)


def h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """How much of the features' variance lies between the classes, in all directions alike.

    tr(C^-1 (1 - s) B): C is the covariance of the features with Ledoit and Wolf's shrinkage s, B that of
    their class means. From 0 (the classes have one mean) to the smaller of D and classes - 1.

    Args:
        features: `(N, D)`.
        labels: class numbers `(N,)`. Where images have several classes there is no mean of a class apart
            from the others, and the score is not defined.

    Raises:
        ValueError: a matrix of labels.

    Source: Bao 2019 (doi:10.1109/ICIP.2019.8803726); with shrinkage Ibrahim 2021 (arXiv:2110.06893),
    without which it is meaningless where N < D.
    """
    if labels.ndim != 1:
        raise ValueError(f"H-score is defined where an image has one class; got labels {labels.shape}")
    centred = np.asarray(features, dtype=np.float64) - features.mean(axis=0, dtype=np.float64)
    images, channels = centred.shape
    vectors, squares = _left_axes(centred)
    if not len(squares):
        return 0.0
    variances = squares / images
    fourth = float(np.sum(np.square(np.square(centred).sum(axis=1))))
    shrinkage = ledoit_wolf(variances.sum(), np.square(variances).sum(), fourth, images, channels)
    # Class means along the principal axes; B has no part outside of them.
    targets = _one_hot(labels)
    counts = targets.sum(axis=0)
    means = (targets.T @ vectors)[counts > 0] * np.sqrt(squares) / counts[counts > 0, None]
    between = (counts[counts > 0, None] * np.square(means)).sum(axis=0) / images
    shrunk = (1 - shrinkage) * variances + shrinkage * variances.sum() / channels
    return float(np.sum((1 - shrinkage) * between / shrunk))


def ledoit_wolf(trace: float, squares: float, fourth: float, images: int, channels: int) -> float:
    """How far to shrink a covariance S `(D, D)` towards tr(S)/D times the identity, 0..1.

    Args:
        trace: of S, which divides by N.
        squares: sum of the squared entries of S.
        fourth: sum over the images of the fourth power of the length of the centred row.
        images: N.
        channels: D.

    Source: Ledoit and Wolf 2004 (doi:10.1016/S0047-259X(03)00096-4), lemma 3.3 and section 3.3.
    """
    spread = squares - trace**2 / channels
    noise = (fourth / images - squares) / images
    return float(min(max(noise, 0.0), spread) / spread) if spread > 0 else 0.0


def _one_hot(labels: np.ndarray) -> np.ndarray:
    """float64 `(N, C)` of 0 and 1."""
    if labels.ndim == 2:
        return np.asarray(labels, dtype=np.float64)
    return np.asarray(np.eye(int(labels.max()) + 1)[labels])


def _left_axes(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Left singular vectors `(N, r)` and squared singular values `(r,)`, by the smaller Gram matrix."""
    from scipy.linalg import eigh

    images, channels = features.shape
    gram = features @ features.T if images <= channels else features.T @ features
    squares, vectors = eigh(gram, overwrite_a=True, check_finite=False, driver="evd")
    keep = squares > max(1e-10 * squares[-1], 0.0)
    squares, vectors = squares[keep], vectors[:, keep]
    if images > channels:
        vectors = features @ vectors / np.sqrt(squares)
    return np.asarray(vectors), np.asarray(squares)


def _best_evidence(squares: np.ndarray, along: np.ndarray, outside: np.ndarray, images: int) -> np.ndarray:
    """The highest log evidence of each class `(C,)` over the ratio t, by a grid that is made finer."""
    scale = squares[-1] if len(squares) else 1.0
    low = np.full(len(outside), np.log(WEAKEST * scale))
    high = np.full(len(outside), np.log(STRONGEST * scale))
    for _ in range(ZOOMS):
        grid = np.linspace(low, high, GRID)  # (G, C)
        found = np.stack([_evidence(np.exp(row), squares, along, outside, images) for row in grid])
        best = np.clip(found.argmax(axis=0), 1, GRID - 2)
        columns = np.arange(len(outside))
        low, high = grid[best - 1, columns], grid[best + 1, columns]
    return np.asarray(found.max(axis=0))


def _evidence(
    ratio: np.ndarray, squares: np.ndarray, along: np.ndarray, outside: np.ndarray, images: int
) -> np.ndarray:
    """The log likelihood of y for each class `(C,)` for its ratio t, at the best noise precision.

    y is normal with covariance (I + F F' / t) / beta; the best beta is N / (y' (I + F F' / t)^-1 y).
    """
    stretch = 1 + squares[:, None] / ratio  # (r, C)
    residual = (along / stretch).sum(axis=0) + outside
    noise = images / np.maximum(residual, np.finfo(float).tiny)
    half = images / 2
    return np.asarray(half * (np.log(noise) - 1 - np.log(2 * np.pi)) - np.log(stretch).sum(axis=0) / 2)
