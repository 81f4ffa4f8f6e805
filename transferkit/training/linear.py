"""The linear classifier: multinomial logistic regression on bank features."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transferkit.errors import TrainingError
from transferkit.progress import task

# L2 strengths on standardised features, as the penalty's weight against the summed log-loss.
WEAKEST, STRONGEST = 1e-1, 1e5


@dataclass(frozen=True)
class Tried:
    """One strength on the way: `l2`, and what it gave on val."""

    l2: float
    val_top1: float
    val_nll: float


@dataclass(frozen=True)
class LinearClassifier:
    """`softmax(features @ kernel + bias)`.

    Attributes:
        kernel: float32 `(D, C)` on raw features: the standardisation is folded in.
        bias: float32 `(C,)`.
        l2: the chosen strength; `path` all that were tried, strongest first.
    """

    kernel: np.ndarray
    bias: np.ndarray
    l2: float
    path: tuple[Tried, ...]

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """float32 `(N, C)` for features `(N, D)`; computed as the saved model computes it."""
        return softmax(features @ self.kernel + self.bias)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Rows of logits as probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def fit_linear(
    train: tuple[np.ndarray, np.ndarray],
    val: tuple[np.ndarray, np.ndarray],
    classes: int,
    strengths: int,
) -> LinearClassifier:
    """Logistic regression with the L2 strength that is best on val.

    Best is the lowest log-loss among the strengths whose top-1 is within one standard error of the
    highest: on a small val set a single image decides the highest, and a strength far too strong may
    have it, with probabilities that mean nothing.

    Args:
        train: features `(N, D)` and class numbers `(N,)`; each class occurs.
        val: likewise.
        classes: C.
        strengths: how many, log-spaced from 1e5 to 0.1.

    Raises:
        TrainingError: features that are not finite.
    """
    features, labels = train
    if not (np.isfinite(features).all() and np.isfinite(val[0]).all()):
        raise TrainingError(
            "the backbone gives features that are not finite (NaN or infinite). Are these weights "
            "for this backbone? Try --precision float32."
        )
    from threadpoolctl import threadpool_limits

    problem = _Problem(features, labels, classes)
    weights = np.zeros((problem.rotated.shape[1] + 1, classes))
    solved = []
    # One thread: products this small lose more to waking threads (seen: 14 times) than they gain.
    with threadpool_limits(1, user_api="blas"), task("linear", strengths, "strengths") as bar:
        for l2 in np.geomspace(STRONGEST, WEAKEST, strengths):
            weights = problem.solve(float(l2), weights, tolerance=1e-5)
            solved.append((problem.tried(float(l2), weights, val), weights))
            bar.advance()
        place = choose([tried for tried, _ in solved], len(val[1]))
        # The path is walked with loose steps; what is kept is brought to its minimum.
        chosen, weights = solved[place]
        weights = problem.solve(chosen.l2, weights, tolerance=1e-7)
    path = [tried for tried, _ in solved]
    path[place] = problem.tried(chosen.l2, weights, val)
    return LinearClassifier(*problem.folded(weights), chosen.l2, tuple(path))


def choose(path: Sequence[Tried], images: int) -> int:
    """The place in the path that is taken; see `fit_linear`.

    Args:
        path: what was tried.
        images: in val. The standard error of a top-1 p of n images is sqrt(p (1 - p) / n).
    """
    best = max(tried.val_top1 for tried in path)
    enough = best - math.sqrt(best * (1 - best) / images)
    near = [place for place, tried in enumerate(path) if tried.val_top1 >= enough]
    return min(near, key=lambda place: path[place].val_nll)


class _Problem:
    """Penalised logistic regression on standardised features along their principal axes."""

    def __init__(self, features: np.ndarray, labels: np.ndarray, classes: int) -> None:
        self._mean, self._scale = _standard(features)
        self.rotated, self._axes = _rotate((features - self._mean) / self._scale)
        self._narrow = self.rotated.astype(np.float32)
        self._targets = np.eye(classes, dtype=np.float32)[labels]
        self._curvature = (1 - 1 / classes) / classes

    def solve(self, l2: float, start: np.ndarray, *, tolerance: float) -> np.ndarray:
        """Weights `(r + 1, C)`, the bias last, of least summed log-loss + l2/2 |kernel|^2.

        By L-BFGS. Features lie along principal axes, so the Hessian is nearly diagonal, h s^2 + l2 with
        s^2 the axis' sum of squares and h = (1 - 1/C)/C the curvature of a uniform softmax; scaling by
        its root lets L-BFGS arrive in tens of steps instead of hundreds.

        Args:
            l2: the strength.
            start: weights to begin with.
            tolerance: the relative fall of the loss at which to stop.
        """
        from scipy.optimize import minimize

        squares = self._curvature * np.square(self.rotated).sum(axis=0)[:, None] + l2
        last = np.full((1, 1), self._curvature * len(self.rotated))
        scale = 1 / np.sqrt(np.concatenate([squares, last]))
        arguments = (self._narrow, self._targets, l2, scale)
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
        return Tried(l2, *score(softmax(val[0] @ kernel + bias), val[1]))


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
    scaled: np.ndarray, features: np.ndarray, targets: np.ndarray, l2: float, scale: np.ndarray
) -> tuple[float, np.ndarray]:
    """Penalised log-loss and its gradient, in the scaled parameters of `_Problem.solve`."""
    weights = scaled.reshape(scale.shape[0], -1) * scale
    kernel, bias = weights[:-1], weights[-1]
    logits = features @ kernel.astype(np.float32) + bias.astype(np.float32)
    logits -= logits.max(axis=1, keepdims=True)
    powers = np.exp(logits)
    sums = powers.sum(axis=1, keepdims=True)
    each = np.log(sums[:, 0]) - np.sum(logits * targets, axis=1)
    loss = float(each.sum(dtype=np.float64)) + l2 / 2 * float(np.sum(kernel**2))
    errors = powers / sums - targets
    slope = (features.T @ errors).astype(np.float64) + l2 * kernel
    gradient = np.concatenate([slope, errors.sum(0, keepdims=True, dtype=np.float64)])
    return loss, (gradient * scale).ravel()


def score(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Top-1 and mean log-loss of probabilities `(N, C)` against class numbers `(N,)`."""
    top1 = float(np.mean(probabilities.argmax(axis=1) == labels))
    likely = probabilities[np.arange(len(labels)), labels]
    return top1, float(-np.log(np.clip(likely, 1e-12, None)).mean())
