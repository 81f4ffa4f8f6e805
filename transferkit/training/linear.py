"""The linear classifier, by logistic regression on bank features; `discriminant` has the other kind."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from transferkit.data.balance import sample_weights
from transferkit.errors import TrainingError
from transferkit.evaluation.multilabel import bce, mean_average_precision
from transferkit.progress import task
from transferkit.strategies import FeatureSet
from transferkit.training.logistic import Regression, rotate
from transferkit.training.scaling import Scaling, standard

# L2 strengths on standardised features, as the penalty's weight against the summed log-loss.
WEAKEST, STRONGEST = 1e-1, 1e5


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
        kernel: float32 `(D, C)` on features as the bank gives them: scales are folded in.
        bias: float32 `(C,)`.
        l2: the chosen strength; None for what has none. `path`: all that were tried, strongest first.
        activation: `softmax`, or `sigmoid` where an image may have several classes.
        method: `logistic` or `discriminant`.
        features: what the kernel is for; None: the means of the stages the caller knows of.
        shrinkage: of a discriminant, 0..1.
    """

    kernel: np.ndarray
    bias: np.ndarray
    l2: float | None
    path: tuple[Tried, ...]
    activation: str = "softmax"
    method: str = "logistic"
    features: FeatureSet | None = None
    shrinkage: float | None = None

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """float32 `(N, C)` for features `(N, D)`; computed as the saved model computes it."""
        return activate(features @ self.kernel + self.bias, self.activation)

    def tempered(self, factor: float) -> "LinearClassifier":
        """The same with logits times a factor: other probabilities, the same answers."""
        narrow = np.float32(factor)
        return replace(self, kernel=self.kernel * narrow, bias=self.bias * narrow)

    def spread(self, kept: np.ndarray | slice, width: int) -> "LinearClassifier":
        """A classifier fitted on some features as one on all `width` of them: rows of zeros elsewhere."""
        kernel = np.zeros((width, self.kernel.shape[1]), np.float32)
        kernel[kept] = self.kernel
        return replace(self, kernel=kernel)


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
    l2: float | None = None,
    weights: np.ndarray | None = None,
    scaling: Scaling | None = None,
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
        l2: the one to take instead of all these; val is told of then, and chooses nothing.
        weights: of the classes `(C,)`, see `data.balance`. They weigh the images' losses in train, not
            in val: a rare class may have one image there, which would choose the strength alone
            (measured: macro-F1 as high, calibration error .06 against .15 with val weighted too).
            Their mean over train should be 1, so that a strength means what it means without them.
        scaling: of the features, under which they are penalised alike; None standardises them.

    Raises:
        TrainingError: features that are not finite.
    """
    check_finite(train[0], val[0])
    from threadpoolctl import threadpool_limits

    scaling = scaling or standard(train[0])
    rotated, axes = rotate(scaling.apply(train[0]))
    problem = Regression(rotated, train[1], classes, weights)
    activation = "sigmoid" if train[1].ndim == 2 else "softmax"

    def judged(l2: float, found: np.ndarray) -> Tried:
        kernel, bias = scaling.folded(axes @ found[:-1], found[-1])
        return Tried(l2, *score(activate(val[0] @ kernel + bias, activation), val[1]))

    found = np.zeros((rotated.shape[1] + 1, classes))
    solved = []
    # One thread: products this small lose more to waking threads (seen: 14 times) than they gain.
    tried = np.geomspace(STRONGEST, WEAKEST, strengths).tolist() if l2 is None else [l2]
    with threadpool_limits(1, user_api="blas"), task("linear", len(tried), "strengths") as bar:
        for strength in tried:
            found = problem.solve(strength, found, tolerance=1e-5)
            solved.append((judged(strength, found), found))
            bar.advance()
        place = choose([one for one, _ in solved], None if val[1].ndim == 2 else len(val[1]))
        # The path is walked with loose steps; what is kept is brought to its minimum.
        chosen, found = solved[place]
        found = problem.solve(chosen.l2, found, tolerance=1e-7)
    path = [one for one, _ in solved]
    path[place] = judged(chosen.l2, found)
    folded = scaling.folded(axes @ found[:-1], found[-1])
    return LinearClassifier(*folded, chosen.l2, tuple(path), activation)


def check_finite(*features: np.ndarray) -> None:
    """Refuse features that no classifier can be fitted on.

    Raises:
        TrainingError: some are NaN or infinite.
    """
    if not all(np.isfinite(part).all() for part in features):
        raise TrainingError(
            "the backbone gives features that are not finite (NaN or infinite). Are these weights "
            "for this backbone? Try --precision float32."
        )


def choose(path: Sequence[Tried], images: int | None) -> int:
    """The place in the path that is taken; see `fit_linear`.

    Args:
        path: what was tried.
        images: in val. The standard error of a top-1 p of n images is sqrt(p (1 - p) / n). None, where
            images may have several classes, goes by the loss alone.
    """
    if images is None:
        return min(range(len(path)), key=lambda place: path[place].val_nll)
    best = max(tried.val_score for tried in path)
    enough = best - math.sqrt(best * (1 - best) / images)
    near = [place for place, tried in enumerate(path) if tried.val_score >= enough]
    return min(near, key=lambda place: path[place].val_nll)


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
