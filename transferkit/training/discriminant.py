"""The linear discriminant with a shrunken covariance: a linear classifier that needs no steps.

Classes are taken as clouds of one shape S about their means m_k. The logits are
x S^-1 m_k - m_k S^-1 m_k / 2 + log p_k, so a Dense layer holds it exactly. S is shrunk towards a multiple
of the identity, S' = (1 - s) S + s tr(S)/D, without which few images say nothing of many channels.
Source: Friedman 1989, Regularized Discriminant Analysis; s by Ledoit and Wolf 2004.
"""

from collections.abc import Sequence

import numpy as np

from transferkit.strategies.transferability import ledoit_wolf
from transferkit.training.linear import LinearClassifier, check_finite
from transferkit.training.scaling import Scaling, standard

# Images in one product, so that a large set is never held in double precision.
CHUNK = 8192
# No shrinkage at all cannot be solved where there are fewer images than channels.
LEAST_SHRINKAGE = 1e-4


def fit_discriminant(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    *,
    shrinkage: float | None = None,
    equal_priors: bool = False,
    scaling: Scaling | None = None,
) -> LinearClassifier:
    """The discriminant of some images. Its probabilities mean little before `tempered` by `temperature`.

    Args:
        features: `(N, D)`.
        labels: class numbers `(N,)`, each of which occurs. Where images may have several classes there is
            no discriminant: their clouds overlap by what they share.
        classes: C.
        shrinkage: s, 0..1; None takes Ledoit and Wolf's.
        equal_priors: p_k = 1/C in place of the share of the images.
        scaling: of the features; None standardises them.

    Raises:
        TrainingError: features that are not finite.
    """
    check_finite(features)
    from threadpoolctl import threadpool_limits

    scaling = scaling or standard(features)
    with threadpool_limits(1, user_api="blas"):
        means = _class_means(scaling, features, labels, classes)
        fewer = len(features) <= features.shape[1]
        solve = _solved_by_images if fewer else _solved_by_channels
        kernel, shrunk = solve(scaling, features, labels, means, shrinkage)
    bias = _log_priors(labels, classes, equal_priors) - np.sum(kernel * means.T, axis=0) / 2
    # What all classes have in common changes no answer, and float32 is better off without it.
    kernel, bias = kernel - kernel.mean(axis=1, keepdims=True), bias - bias.mean()
    folded = scaling.folded(kernel, bias)
    return LinearClassifier(*folded, None, (), method="discriminant", shrinkage=shrunk)


def out_of_fold(
    gram: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    channels: int,
    *,
    intensities: Sequence[float | None] = (None,),
    equal_priors: bool = False,
) -> np.ndarray:
    """Logits `(len(intensities), N, C)` of each image, by discriminants that have not seen its fold.

    Inner products are all that is needed of the features, so those of several blocks are added up and
    each combination of blocks costs no more than its Cholesky factors.

    Args:
        gram: inner products of the scaled features `(N, N)`.
        labels: class numbers `(N,)`; each class occurs outside of every fold.
        folds: of each image, from 0.
        channels: D.
        intensities: shrinkages, None for Ledoit and Wolf's.
        equal_priors: see `fit_discriminant`.
    """
    classes = int(labels.max()) + 1
    found = np.empty((len(intensities), len(labels), classes))
    for fold in range(int(folds.max()) + 1):
        judged = np.flatnonzero(folds == fold)
        train = np.flatnonzero(folds != fold)
        inner = _Inner(gram[np.ix_(train, train)], gram[np.ix_(judged, train)], labels[train], classes)
        prior = _log_priors(labels[train], classes, equal_priors)
        for place, shrinkage in enumerate(intensities):
            found[place, judged] = inner.logits(shrinkage, channels) + prior
    return found


class _Inner:
    """A discriminant by inner products: of train images `(n, n)`, and of others with them `(m, n)`."""

    def __init__(self, train: np.ndarray, others: np.ndarray, labels: np.ndarray, classes: int) -> None:
        share = np.zeros((len(labels), classes))
        share[np.arange(len(labels)), labels] = 1 / np.bincount(labels, minlength=classes)[labels]
        with_means = train @ share
        self._means = share.T @ with_means
        within = train - with_means[:, labels]
        # Inner products of residuals, and of residuals with means.
        self._within = within - (share.T @ within)[labels]
        self._residual_means = with_means - self._means[labels]
        self._others, self._other_means = others, others @ share

    def logits(self, shrinkage: float | None, channels: int) -> np.ndarray:
        """`(m, C)`, less the log priors.

        With residuals R, S' = a R^T R + b I, and by Woodbury
        S'^-1 = (I - a R^T (b I + a R R^T)^-1 R) / b: an inverse as large as there are images. What is
        solved sums to 0 within each class, so the others need not be centred on the means.
        """
        solved, a, b = _woodbury(self._within, self._residual_means, shrinkage, channels)
        own = (self._means - a * self._residual_means.T @ solved) / b
        others = (self._other_means - a * self._others @ solved) / b
        return np.asarray(others - np.diag(own) / 2)


def _woodbury(
    within: np.ndarray, sides: np.ndarray, shrinkage: float | None, channels: int
) -> tuple[np.ndarray, float, float]:
    """(b I + a R R^T)^-1 of some sides, with a and b, see `_Inner.logits`."""
    from scipy.linalg import cho_factor, cho_solve

    images = len(within)
    lengths = np.diag(within)
    trace = float(lengths.sum()) / images
    amount = shrinkage
    if amount is None:
        squares = float(np.sum(np.square(within))) / images**2
        amount = ledoit_wolf(trace, squares, float(np.sum(np.square(lengths))), images, channels)
    amount = max(amount, LEAST_SHRINKAGE)
    a, b = (1 - amount) / images, amount * trace / channels
    # Classes whose images are all alike leave no spread to divide by.
    b = b or 1.0
    system = a * within
    system[np.diag_indices(images)] += b
    factor = cho_factor(system, overwrite_a=True, check_finite=False)
    return cho_solve(factor, sides, check_finite=False), a, b


def _solved_by_images(
    scaling: Scaling, features: np.ndarray, labels: np.ndarray, means: np.ndarray, shrinkage: float | None
) -> tuple[np.ndarray, float]:
    """S'^-1 m_k as `(D, C)`, where there are fewer images than channels."""
    residuals = scaling.apply(features) - means[labels]
    solved, a, b = _woodbury(residuals @ residuals.T, residuals @ means.T, shrinkage, features.shape[1])
    return (means.T - a * residuals.T @ solved) / b, 1 - a * len(features)


def _solved_by_channels(
    scaling: Scaling, features: np.ndarray, labels: np.ndarray, means: np.ndarray, shrinkage: float | None
) -> tuple[np.ndarray, float]:
    """Likewise, where there are more."""
    from scipy.linalg import cho_factor, cho_solve

    images, channels = features.shape
    covariance, fourth = np.zeros((channels, channels)), 0.0
    for start in range(0, images, CHUNK):
        part = slice(start, start + CHUNK)
        residuals = scaling.apply(features[part]) - means[labels[part]]
        covariance += residuals.T @ residuals / images
        fourth += float(np.sum(np.square(np.square(residuals).sum(axis=1))))
    trace = float(np.trace(covariance))
    amount = shrinkage
    if amount is None:
        squares = float(np.square(covariance).sum())
        amount = ledoit_wolf(trace, squares, fourth, images, channels)
    amount = max(amount, LEAST_SHRINKAGE)
    covariance *= 1 - amount
    covariance[np.diag_indices(channels)] += (amount * trace / channels) or 1.0
    factor = cho_factor(covariance, overwrite_a=True, check_finite=False)
    return cho_solve(factor, means.T, check_finite=False), amount


def _class_means(scaling: Scaling, features: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """float64 `(C, D)` of the scaled features."""
    of = [features[labels == label].mean(axis=0, dtype=np.float64) for label in range(classes)]
    return scaling.apply(np.stack(of))


def _log_priors(labels: np.ndarray, classes: int, equal: bool) -> np.ndarray:
    if equal:
        return np.zeros(classes)
    return np.asarray(np.log(np.bincount(labels, minlength=classes) / len(labels)))


def temperature(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The factor for logits that gives the lowest log-loss.

    A discriminant of few images is far too sure of itself; its answers are right more often than its
    probabilities. One number mends that. Source: Guo 2017 (arXiv:1706.04599), temperature scaling. One
    image's worth of the targets is spread over all classes, since answers that are all right would ask
    for certainty (Platt 1999, as for his sigmoid).

    Args:
        logits: `(N, C)` of images that the classifier has not seen.
        labels: class numbers `(N,)`.
        weights: of the images `(N,)`, or None.
    """
    from scipy.optimize import minimize_scalar

    logits = logits - logits.max(axis=1, keepdims=True)
    spread = 1 / (len(labels) + 2)
    wanted = (1 - spread) * logits[np.arange(len(labels)), labels] + spread * logits.mean(axis=1)

    def loss(power: float) -> float:
        factor = np.exp(power)
        sums = np.log(np.exp(factor * logits).sum(axis=1))
        return float(np.average(sums - factor * wanted, weights=weights))

    # Seen: 0.005 at 5 images a class and 10,000 features; 1 where there are more images than features.
    return float(np.exp(minimize_scalar(loss, bounds=(-12, 4), method="bounded").x))
