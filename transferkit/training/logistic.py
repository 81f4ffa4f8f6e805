"""Penalised logistic regression, solved along the principal axes of the features.

Multinomial where an image has one class (labels are class numbers `(N,)`), else one binary regression
a class under a common penalty (labels are a matrix `(N, C)` of 0 and 1).
"""

from collections.abc import Callable

import numpy as np

from transferkit.data.balance import sample_weights

_LogLoss = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


class Regression:
    """Logistic regression on features along their principal axes.

    Args:
        rotated: features `(N, r)`, scaled; see `rotate`.
        labels: class numbers `(N,)` or a matrix `(N, C)` of 0 and 1.
        classes: C.
        weights: of the classes `(C,)`, or None.
    """

    def __init__(
        self, rotated: np.ndarray, labels: np.ndarray, classes: int, weights: np.ndarray | None
    ) -> None:
        self._rotated, self._narrow = rotated, rotated.astype(np.float32)
        several = labels.ndim == 2
        self._activation = "sigmoid" if several else "softmax"
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

        squares = self._curvature * (self._weights @ np.square(self._rotated))[:, None] + l2
        last = np.full((1, 1), self._curvature * self._weights.sum())
        scale = 1 / np.sqrt(np.concatenate([squares, last]))
        log_loss = _binary if self._activation == "sigmoid" else _multinomial
        arguments = (log_loss, self._narrow, self._targets, self._weights, l2, scale)
        options = {"maxcor": 20, "maxiter": 1000, "gtol": 1e-3, "ftol": tolerance}
        first = (start / scale).ravel()
        found = minimize(_objective, first, arguments, "L-BFGS-B", jac=True, options=options)
        return np.asarray(found.x.reshape(start.shape) * scale)


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


def rotate(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
    """Penalised log-loss and its gradient, in the scaled parameters of `Regression.solve`."""
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
    from scipy.special import expit

    powers = np.exp(-np.abs(logits))
    each = np.maximum(logits, 0) - logits * targets + np.log1p(powers)
    return each.sum(axis=1), expit(logits) - targets
