"""The linear classifier: logistic regression on bank features.

Multinomial where an image has one class (labels are class numbers `(N,)`), else one binary regression
a class under a common penalty (labels are a matrix `(N, C)` of 0 and 1).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from transferkit.data.balance import sample_weights
from transferkit.errors import TrainingError
from transferkit.evaluation.multilabel import bce, mean_average_precision
from transferkit.progress import task

# L2 strengths on standardised features, as the penalty's weight against the summed log-loss.
WEAKEST, STRONGEST = 1e-1, 1e5

_LogLoss = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Tried:
    """One strength on the way: `l2`, and what it gave on val, see `score`."""

    l2: float
    val_score: float
    val_nll: float


@dataclass(frozen=True)
class LinearClassifier:
    """`softmax(features @ kernel + bias)`, or the sigmoid of it.

    Attributes:
        kernel: float32 `(D, C)` on raw features: the standardisation is folded in.
        bias: float32 `(C,)`.
        l2: the chosen strength; `path` all that were tried, strongest first.
        activation: `softmax`, or `sigmoid` where an image may have several classes.
    """

    kernel: np.ndarray
    bias: np.ndarray
    l2: float
    path: tuple[Tried, ...]
    activation: str = "softmax"

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """float32 `(N, C)` for features `(N, D)`; computed as the saved model computes it."""
        return activate(features @ self.kernel + self.bias, self.activation)


def activate(logits: np.ndarray, activation: str) -> np.ndarray:
    """Logits `(N, C)` as probabilities, by `softmax` or `sigmoid`."""
    return sigmoid(logits) if activation == "sigmoid" else softmax(logits)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Each logit as a probability."""
    from scipy.special import expit

    return np.asarray(expit(logits))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Rows of logits as probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def fit_linear(
    train: tuple[np.ndarray, np.ndarray],
    val: tuple[np.ndarray, np.ndarray],
    classes: int,
    strengths: int,
    *,
    weights: np.ndarray | None = None,
) -> LinearClassifier:
    """Logistic regression with the L2 strength that is best on val.

    Best is the lowest log-loss among the strengths whose top-1 is within one standard error of the
    highest: on a small val set a single image decides the highest, and a strength far too strong may
    have it, with probabilities that mean nothing. Where images may have several classes it is the
    lowest binary cross-entropy.

    Args:
        train: features `(N, D)` and labels: class numbers `(N,)`, each of which occurs, or a matrix
            `(N, C)` of 0 and 1.
        val: likewise.
        classes: C.
        strengths: how many, log-spaced from 1e5 to 0.1.
        weights: of the classes `(C,)`, see `data.balance`. They weigh the images' losses in train, not
            in val: a rare class may have one image there, which would choose the strength alone
            (measured: macro-F1 as high, calibration error .06 against .15 with val weighted too).
            Their mean over train should be 1, so that a strength means what it means without them.

    Raises:
        TrainingError: features that are not finite.
    """
    if not (np.isfinite(train[0]).all() and np.isfinite(val[0]).all()):
        raise TrainingError(
            "the backbone gives features that are not finite (NaN or infinite). Are these weights "
            "for this backbone? Try --precision float32."
        )
    from threadpoolctl import threadpool_limits

    problem = _Problem(*train, classes, weights)
    found = np.zeros((problem.rotated.shape[1] + 1, classes))
    solved = []
    # One thread: products this small lose more to waking threads (seen: 14 times) than they gain.
    with threadpool_limits(1, user_api="blas"), task("linear", strengths, "strengths") as bar:
        for l2 in np.geomspace(STRONGEST, WEAKEST, strengths):
            found = problem.solve(float(l2), found, tolerance=1e-5)
            solved.append((problem.tried(float(l2), found, val), found))
            bar.advance()
        place = problem.choose([tried for tried, _ in solved], val[1])
        # The path is walked with loose steps; what is kept is brought to its minimum.
        chosen, found = solved[place]
        found = problem.solve(chosen.l2, found, tolerance=1e-7)
    path = [tried for tried, _ in solved]
    path[place] = problem.tried(chosen.l2, found, val)
    return LinearClassifier(*problem.folded(found), chosen.l2, tuple(path), problem.activation)


def choose(path: Sequence[Tried], images: int) -> int:
    """The place in the path that is taken where an image has one class; see `fit_linear`.

    Args:
        path: what was tried.
        images: in val. The standard error of a top-1 p of n images is sqrt(p (1 - p) / n).
    """
    best = max(tried.val_score for tried in path)
    enough = best - math.sqrt(best * (1 - best) / images)
    near = [place for place, tried in enumerate(path) if tried.val_score >= enough]
    return min(near, key=lambda place: path[place].val_nll)


class _Problem:
    """Penalised logistic regression on standardised features along their principal axes."""

    def __init__(
        self, features: np.ndarray, labels: np.ndarray, classes: int, weights: np.ndarray | None
    ) -> None:
        self._mean, self._scale = _standard(features)
        self.rotated, self._axes = _rotate((features - self._mean) / self._scale)
        self._narrow = self.rotated.astype(np.float32)
        several = labels.ndim == 2
        self.activation = "sigmoid" if several else "softmax"
        self._curvature = 0.25 if several else (1 - 1 / classes) / classes
        self._targets = _attainable(labels) if several else np.eye(classes, dtype=np.float32)[labels]
        each = np.ones(len(labels)) if weights is None else sample_weights(labels, weights)
        self._weights = each.astype(np.float32)

    def solve(self, l2: float, start: np.ndarray, *, tolerance: float) -> np.ndarray:
        """Weights `(r + 1, C)`, the bias last, of least summed log-loss + l2/2 |kernel|^2.

        By L-BFGS. Features lie along principal axes, so the Hessian is nearly diagonal, h s^2 + l2 with
        s^2 the axis' weighted sum of squares and h the curvature of logits that are all zero, (1 - 1/C)/C
        of a softmax and 1/4 of a sigmoid; scaling by its root lets L-BFGS arrive in tens of steps instead
        of hundreds.

        Args:
            l2: the strength.
            start: weights to begin with.
            tolerance: the relative fall of the loss at which to stop.
        """
        from scipy.optimize import minimize

        squares = self._curvature * (self._weights @ np.square(self.rotated))[:, None] + l2
        last = np.full((1, 1), self._curvature * self._weights.sum())
        scale = 1 / np.sqrt(np.concatenate([squares, last]))
        log_loss = _binary if self.activation == "sigmoid" else _multinomial
        arguments = (log_loss, self._narrow, self._targets, self._weights, l2, scale)
        options = {"maxcor": 20, "maxiter": 1000, "gtol": 1e-3, "ftol": tolerance}
        first = (start / scale).ravel()
        found = minimize(_objective, first, arguments, "L-BFGS-B", jac=True, options=options)
        return np.asarray(found.x.reshape(start.shape) * scale)

    def folded(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """float32 kernel `(D, C)` and bias `(C,)` on raw features."""
        kernel = (self._axes @ weights[:-1]) / self._scale[:, None]
        bias = weights[-1] - self._mean @ kernel
        return kernel.astype(np.float32), bias.astype(np.float32)

    def tried(self, l2: float, weights: np.ndarray, val: tuple[np.ndarray, np.ndarray]) -> Tried:
        """What weights give on val."""
        kernel, bias = self.folded(weights)
        probabilities = activate(val[0] @ kernel + bias, self.activation)
        return Tried(l2, *score(probabilities, val[1]))

    def choose(self, path: Sequence[Tried], labels: np.ndarray) -> int:
        """The place in the path that is taken, given the labels of val."""
        if self.activation == "sigmoid":
            return min(range(len(path)), key=lambda place: path[place].val_nll)
        return choose(path, len(labels))


def _attainable(labels: np.ndarray) -> np.ndarray:
    """The matrix as float32, with half an image where a class has none or all.

    The bias is not penalised, and without the half that of such a class would run off to infinity.
    Given it the rate is (0 + 1/2) / (N + 1), Jeffreys' estimate, and the features have no say.
    """
    targets = labels.astype(np.float32)
    least = 0.5 / (len(targets) + 1)
    rates = targets.mean(axis=0)
    targets[:, rates == 0] = least
    targets[:, rates == 1] = 1 - least
    return targets


def _standard(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = features.mean(axis=0, dtype=np.float64)
    scale = features.std(axis=0, dtype=np.float64)
    # A channel that is constant but for rounding carries nothing; dividing by that would be noise.
    scale[scale <= 1e-6 * np.abs(mean)] = 1.0
    return mean, scale


def _rotate(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features along their principal axes `(N, r)`, and the matrix `(D, r)` that brings a kernel back.

    The L2-penalised solution is a combination of the training rows, so dropping the axes that no row
    reaches is exact; with fewer images than channels that makes the problem many times smaller.
    """
    from scipy.linalg import eigh

    images, channels = features.shape
    if images < channels:
        values, left = eigh(features @ features.T)
        keep = values > 1e-10 * values[-1]
        axes = features.T @ (left[:, keep] / np.sqrt(values[keep]))
    else:
        values, right = eigh(features.T @ features)
        axes = right[:, values > 1e-10 * values[-1]]
    return features @ axes, axes


def _objective(
    scaled: np.ndarray,
    log_loss: _LogLoss,
    features: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    l2: float,
    scale: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Penalised log-loss and its gradient, in the scaled parameters of `_Problem.solve`."""
    parameters = scaled.reshape(scale.shape[0], -1) * scale
    kernel, bias = parameters[:-1], parameters[-1]
    each, errors = log_loss(features @ kernel.astype(np.float32) + bias.astype(np.float32), targets)
    errors *= weights[:, None]
    loss = float(np.sum(each * weights, dtype=np.float64)) + l2 / 2 * float(np.sum(kernel**2))
    slope = (features.T @ errors).astype(np.float64) + l2 * kernel
    gradient = np.concatenate([slope, errors.sum(0, keepdims=True, dtype=np.float64)])
    return loss, (gradient * scale).ravel()


def _multinomial(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-loss of each image `(N,)`, and its slope by the logits."""
    logits = logits - logits.max(axis=1, keepdims=True)
    powers = np.exp(logits)
    sums = powers.sum(axis=1, keepdims=True)
    return np.log(sums[:, 0]) - np.sum(logits * targets, axis=1), powers / sums - targets


def _binary(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cross-entropy of each image `(N,)`, summed over the classes, and its slope by the logits."""
    powers = np.exp(-np.abs(logits))
    each = np.maximum(logits, 0) - logits * targets + np.log1p(powers)
    return each.sum(axis=1), sigmoid(logits) - targets


def score(
    probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, float]:
    """How good probabilities `(N, C)` are: (top-1, mean log-loss), or (mAP, mean cross-entropy).

    Args:
        probabilities: `(N, C)`.
        labels: class numbers `(N,)`; or a matrix `(N, C)` of 0 and 1, for mAP and the binary
            cross-entropy, a mean over images and classes.
        weights: of the classes `(C,)`. They weigh the images in every mean but mAP, which is a mean over
            classes. The weighted top-1 is the balanced accuracy if weights are of these labels' counts.
    """
    each = None if weights is None else sample_weights(labels, weights)
    if labels.ndim == 2:
        return mean_average_precision(probabilities, labels), bce(probabilities, labels, each)
    top1 = float(np.average(probabilities.argmax(axis=1) == labels, weights=each))
    likely = probabilities[np.arange(len(labels)), labels]
    return top1, float(np.average(-np.log(np.clip(likely, 1e-12, None)), weights=each))
