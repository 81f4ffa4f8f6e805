"""Test-time views: several crops of an image, the logits of all averaged."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from transferkit.evaluation.metrics import predict
from transferkit.evaluation.paired import paired

# Short sides, as multiples of the input's side; source: He et al. 2016 (arXiv:1512.03385), section 3.4.
SCALES = tuple(side / 224 for side in (224, 256, 384, 480, 640))
# Probabilities below this one have no finite logit.
LEAST = 1e-12
# Of measures that sort all images each time.
RANKED_RESAMPLES = 500


@dataclass(frozen=True)
class Window:
    """A square of the input's size in a larger image: its upper left corner, and whether it is mirrored."""

    top: int
    left: int
    mirrored: bool

    def cut(self, images: np.ndarray, size: int) -> np.ndarray:
        """`(n, size, size, 3)` of `(n, K, K, 3)`."""
        found = images[:, self.top : self.top + size, self.left : self.left + size]
        return found[:, :, ::-1] if self.mirrored else found


@dataclass(frozen=True)
class Scale:
    """Windows of one decoded size.

    Attributes:
        side: K of the decoded images; None for the images of a plain evaluation.
        windows: that are averaged.
    """

    side: int | None
    windows: tuple[Window, ...]


def scales_of(views: str, size: int) -> tuple[Scale, ...]:
    """What is decoded and cut for a kind of views; each scale counts alike.

    Args:
        views: `none`, `flip` (the image and its mirror), `10crop` (corners and middle of the image with its
            short side at 256/224 of the input's, and their mirrors; Krizhevsky et al. 2012, section 4.1) or
            `multiscale` (that at five scales). Windows that coincide are computed once.
        size: S of the input.
    """
    if views in ("none", "flip"):
        whole = (Window(0, 0, False), Window(0, 0, True))
        return (Scale(None, whole[: 1 if views == "none" else 2]),)
    factors = SCALES if views == "multiscale" else (256 / 224,)
    return tuple(_ten(round(size * factor), size) for factor in factors)


def _ten(side: int, size: int) -> Scale:
    rest = side - size
    corners = [(0, 0), (0, rest), (rest, 0), (rest, rest), (rest // 2, rest // 2)]
    places = dict.fromkeys(corners)
    return Scale(side, tuple(Window(*place, mirrored) for place in places for mirrored in (False, True)))


def passes(views: str, size: int) -> int:
    """Forward passes of an image."""
    return sum(len(scale.windows) for scale in scales_of(views, size))


def averaged(probabilities: np.ndarray, multilabel: bool) -> np.ndarray:
    """Probabilities `(n, C)` by the mean of the logits of some views `(V, n, C)`.

    The logarithm of a softmax is its logits less a number that the next softmax takes out again.
    """
    known = np.clip(probabilities.astype(np.float64), LEAST, 1 - LEAST if multilabel else 1.0)
    if multilabel:
        return np.asarray(1 / (1 + np.exp(-np.mean(np.log(known) - np.log1p(-known), axis=0))))
    logits = np.mean(np.log(known), axis=0)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Gain:
    """What views bring: `value` of a measure with them less without, and its 95 % interval."""

    value: float
    low: float
    high: float


def gain(
    plain: np.ndarray,
    viewed: np.ndarray,
    targets: np.ndarray,
    measure: Callable[[np.ndarray, np.ndarray], float],
) -> Gain:
    """The gain on the same images, and its interval: of top-1 that of `paired`, else by a bootstrap (seed 0).

    Args:
        plain: probabilities `(n, C)` without views.
        viewed: with them.
        targets: class numbers `(n,)`, or a matrix `(n, C)`.
        measure: of probabilities and targets; higher is better.
    """
    if measure is top1:
        found = paired(predict(plain) == targets, predict(viewed) == targets)
        return Gain(found.difference, found.low, found.high)
    random = np.random.default_rng(0)

    def difference(rows: np.ndarray) -> float:
        return measure(viewed[rows], targets[rows]) - measure(plain[rows], targets[rows])

    whole = np.arange(len(targets))
    drawn = [difference(random.choice(whole, len(whole))) for _ in range(RANKED_RESAMPLES)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Gain(difference(whole), float(low), float(high))


def top1(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Share of images whose highest probability is of their class."""
    return float(np.mean(predict(probabilities) == targets))
