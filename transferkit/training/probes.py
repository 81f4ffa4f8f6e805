"""Quick linear classifiers, cross-validated: how well features tell the classes apart.

Not what a run ships (that is `training.linear`), but close to it and many times faster, so that every
stage can be tried: the linear discriminant with Ledoit and Wolf's shrinkage, which needs no strength to be
chosen; where images have several classes, ridge regression with the same shrinkage.
"""

from collections.abc import Iterator

import numpy as np

# Here, not where it is used: a limit on BLAS threads holds for libraries that are loaded when it is set.
from scipy.linalg import cho_factor, cho_solve

from transferkit.evaluation.multilabel import average_precisions
from transferkit.strategies.transferability import ledoit_wolf

FOLDS = 5


def stratified_folds(
    labels: np.ndarray, folds: int, seed: int, units: np.ndarray | None = None
) -> np.ndarray:
    """The fold of each image, int `(N,)` in 0..folds-1: whole units, each class dealt out evenly.

    Args:
        labels: class numbers `(N,)`, or a matrix `(N, C)`, which is dealt without regard to classes.
        folds: how many.
        seed: of the shuffling.
        units: number `(N,)` of what never parts, such as copies of one picture; None: each image alone.
    """
    alone = np.arange(len(labels)) if units is None else units
    _, first, member = np.unique(alone, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(first))
    if labels.ndim == 1:
        order = order[np.argsort(labels[first][order], kind="stable")]
    fold = np.empty(len(first), dtype=np.int64)
    fold[order] = np.arange(len(first)) % folds
    return np.asarray(fold[member])


def compact(features: np.ndarray) -> np.ndarray:
    """Standardised features `(N, D)`, or with N < D what has the same inner products, `(N, N)`.

    Distances and angles are all a shrunken covariance knows of its channels, so the smaller matrix gives
    the same classifier.
    """
    scaled = np.asarray(features, dtype=np.float64) - features.mean(axis=0, dtype=np.float64)
    deviation = np.sqrt(np.square(scaled).mean(axis=0))
    scaled /= np.where(deviation > 0, deviation, 1.0)
    if len(scaled) >= scaled.shape[1]:
        return np.asarray(scaled)
    gram = scaled @ scaled.T
    # Centred rows leave one direction empty, which a Cholesky factor cannot have.
    gram[np.diag_indices_from(gram)] += 1e-8 * np.trace(gram) / len(gram) + 1e-12
    return np.asarray(np.linalg.cholesky(gram))


def out_of_fold(
    features: np.ndarray, labels: np.ndarray, folds: np.ndarray, channels: int, *, inverted: bool = False
) -> np.ndarray:
    """Scores `(N, C)` of each image by classifiers that have not seen it.

    Args:
        features: from `compact`.
        labels: class numbers `(N,)` or a matrix `(N, C)`.
        folds: of each image.
        channels: D, before `compact`.
        inverted: train on one fold and judge the others, for a classifier of few images. An image gets
            the scores of each classifier that has not seen it: `(N, folds - 1, C)`.
    """
    classes = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1
    count = int(folds.max()) + 1
    found = np.empty((len(labels), count, classes))
    for fold in range(count):
        train = (folds == fold) if inverted else (folds != fold)
        kernel, bias = _fit(features[train], labels[train], classes, channels)
        found[~train, fold] = features[~train] @ kernel + bias
    held = folds[:, None] == np.arange(count)
    if inverted:
        return np.asarray(found[~held].reshape(len(labels), count - 1, classes))
    return np.asarray(found[held])


def _fit(
    features: np.ndarray, labels: np.ndarray, classes: int, channels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel `(d, C)` and bias `(C,)` of the discriminant, or of the ridge regression."""
    mean = features.mean(axis=0)
    centred = features - mean
    if labels.ndim == 2:
        rates = labels.mean(axis=0)
        sides = centred.T @ (labels - rates) / len(labels)
    else:
        counts = np.bincount(labels, minlength=classes)
        means = np.eye(classes)[labels].T @ centred / np.maximum(counts, 1)[:, None]
        centred = centred - means[labels]
        sides = means.T
    shrunk = _shrunken_covariance(centred, channels)
    kernel = cho_solve(cho_factor(shrunk, check_finite=False), sides, check_finite=False)
    if labels.ndim == 2:
        return kernel, rates - mean @ kernel
    # A class that train does not have is never the answer.
    prior = np.log(np.maximum(counts, 1e-300) / len(labels))
    return kernel, prior - (sides * kernel).sum(axis=0) / 2 - mean @ kernel


def _shrunken_covariance(centred: np.ndarray, channels: int) -> np.ndarray:
    images = len(centred)
    covariance = centred.T @ centred / images
    trace, fourth = np.trace(covariance), float(np.sum(np.square(np.square(centred).sum(axis=1))))
    amount = ledoit_wolf(float(trace), float(np.square(covariance).sum()), fourth, images, channels)
    # Images that are all alike leave nothing to invert.
    amount = max(amount, 1e-6)
    shrunk = (1 - amount) * covariance
    shrunk[np.diag_indices_from(shrunk)] += amount * trace / channels + 1e-12
    return np.asarray(shrunk)


def judged(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What the mean is taken of: right or wrong by image `(N,)`, or the average precision by class.

    The mean is the top-1, or the mAP where images have several classes; from the spread comes its
    standard error. Classes without an image are left out.
    """
    if labels.ndim == 2:
        return np.array([each for each in average_precisions(scores, labels) if each is not None])
    return np.asarray(scores.argmax(axis=1) == labels, dtype=np.float64)


def gaps_of_chosen(others: np.ndarray, last: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """What the best of several rivals is ahead, `(N,)`, judged where it was not chosen.

    The best of many noisy means is too high by itself, and the error of one pair does not tell how much. So
    on each group stands the rival that is best on all the other groups; of equals the first.

    Args:
        others: what `judged` says of each rival, `(K, N)`.
        last: of the one they are compared with, `(N,)`.
        groups: number of the group of each image or class, `(N,)`; a single one chooses for itself.
    """
    found = np.empty(len(last))
    for group in np.unique(groups):
        held = groups == group
        best = others[:, ~held if held.sum() < len(held) else held].mean(axis=1).argmax()
        found[held] = others[best, held] - last[held]
    return found


def learning_curve(
    features: np.ndarray, labels: np.ndarray, channels: int, seed: int, units: np.ndarray | None = None
) -> Iterator[tuple[float, float]]:
    """(share of the images that trained, top-1 or mAP of the others): a quarter, then a half.

    A share of fewer than two images is left out.

    Args:
        features: from `compact`.
        labels: class numbers `(N,)` or a matrix `(N, C)`.
        channels: D, before `compact`.
        seed: of the shares.
        units: see `stratified_folds`.
    """
    for parts in (4, 2):
        if (len(labels) if units is None else len(np.unique(units))) < 2 * parts:
            continue
        folds = stratified_folds(labels, parts, seed, units)
        scores = out_of_fold(features, labels, folds, channels, inverted=True)
        each = [judged(scores[:, i], labels).mean() for i in range(parts - 1)]
        yield 1 / parts, float(np.mean(each))
