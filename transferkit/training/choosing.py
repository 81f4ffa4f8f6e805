"""Which features and which linear classifier: by cross-validation on train, cheaply.

Feature sets are ranked by the discriminant, which needs nothing of the features but inner products; the
dearer logistic regression is tried on the best of them only. Val and test have no say.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from transferkit.strategies import FeatureSet
from transferkit.training import probes
from transferkit.training.bank import PooledBank
from transferkit.training.discriminant import out_of_fold, temperature
from transferkit.training.linear import activate, score
from transferkit.training.logistic import Regression
from transferkit.training.sample import Sample
from transferkit.training.scaling import Scaling, by_block, standard
from transferkit.training.selection import row_norms, strongest

FOLDS = 5
INTENSITIES = (None, 0.9)
STRENGTHS = tuple(np.geomspace(1e4, 1e-1, 6).tolist())
# Feature sets, the best first, that logistic regression is tried on.
LOGISTIC_TRIES = 1
# Numbers in a step of it (images x axes x classes) above which it is left out unless nothing else is
# allowed: with hundreds of classes it would take longer than the bank.
MOST_NUMBERS = 4e8
# With views, where it is tried only if it was best without.
MOST_VIEWED = 1e7


@dataclass(frozen=True)
class TriedClassifier:
    """One classifier on one feature set, judged by images it had not seen.

    Attributes:
        method: `discriminant`, `logistic`, or `least squares`, which only ranks feature sets where images
            may have several classes.
        share: of the features that was kept; None for all.
        strength: shrinkage or L2; None for Ledoit and Wolf's shrinkage.
        score: top-1, or mAP where images may have several classes; weighted as training is.
        nll: log-loss after `temperature`; NaN for `least squares`, which gives no probabilities.
        temperature: the factor of the logits.
        views: of each image that train with it.
    """

    features: FeatureSet
    method: str
    share: float | None
    strength: float | None
    score: float
    nll: float
    temperature: float = 1.0
    views: int = 0


def choose_classifier(
    bank: PooledBank,
    sample: Sample,
    choices: Sequence[FeatureSet],
    methods: Sequence[str],
    views: int = 0,
) -> tuple[TriedClassifier, ...]:
    """What was tried; the first is the one to take: the lowest log-loss.

    (Top-1 of few images is a matter of chance; measured: docs/decision.md.)

    Args:
        bank: of all images.
        sample: those that are cross-validated.
        choices: feature sets, at least one.
        methods: `logistic`, `discriminant` or both; where images may have several classes, `logistic`.
        views: of each image that the best feature set is tried with too; the bank has them.
    """
    from threadpoolctl import threadpool_limits

    # One thread: see `fit_linear`.
    with threadpool_limits(1, user_api="blas"):
        found = _tried(bank, sample, choices, methods)
        if views:
            leader = min((one for one in found if one.method in methods), key=_order)
            found += _tried(bank, sample.with_views(views), (leader.features,), (leader.method,))
    best = min((one for one in found if one.method in methods), key=_order)
    return (best, *(one for one in sorted(found, key=_order) if one is not best))


def _tried(
    bank: PooledBank, sample: Sample, choices: Sequence[FeatureSet], methods: Sequence[str]
) -> list[TriedClassifier]:
    """Each feature set with the quick classifier, the best with logistic regression."""
    grams = Grams(bank, sample.rows)
    found = [one for features in choices for one in _ranked(grams, sample, features)]
    found.sort(key=_order)
    if _try_logistic(sample, methods):
        found += [_logistic(grams, sample, one) for one in found[:LOGISTIC_TRIES]]
    return [replace(one, views=sample.views) for one in found]


def _try_logistic(sample: Sample, methods: Sequence[str]) -> bool:
    if sample.views:
        return methods == ("logistic",) and len(sample.rows) ** 2 * sample.classes <= MOST_VIEWED
    if "discriminant" not in methods:
        return True
    return "logistic" in methods and len(sample.rows) ** 2 * sample.classes <= MOST_NUMBERS


def _order(one: TriedClassifier) -> tuple[float, float]:
    """Lower is better; what has no log-loss is compared by its score."""
    return (0.0 if np.isnan(one.nll) else one.nll, -one.score)


class Grams:
    """Inner products of the scaled features of some images, block by block.

    Those of a feature set are the sum of its blocks', so each block is read once however many sets have it.
    """

    def __init__(self, bank: PooledBank, rows: np.ndarray) -> None:
        self._bank, self._rows = bank, rows
        self._blocks: dict[FeatureSet, np.ndarray] = {}

    def of(self, features: FeatureSet) -> tuple[np.ndarray, int]:
        """float64 `(n, n)`, and how many features."""
        widths = self._bank.block_widths(features)
        gram = np.zeros((len(self._rows), len(self._rows)))
        # `by_block` of one block alone leaves it deviations of 1; the weights between blocks are ours.
        level = sum(widths) / sum(width**0.5 for width in widths)
        blocks = [(stage, kind) for stage in features.stages for kind in features.kinds]
        for (stage, kind), width in zip(blocks, widths, strict=True):
            weight = level / width**0.5 if features.normalised else 1.0
            gram += weight * self._block(stage, kind, features.normalised)
        return gram, sum(widths)

    def scaled(self, features: FeatureSet) -> np.ndarray:
        """float32 `(n, D)`: the features themselves."""
        taken = self._bank.at(features, self._rows)
        return scaling_of(taken, self._bank.block_widths(features), features).apply(taken).astype(np.float32)

    def _block(self, stage: str, kind: str, normalised: bool) -> np.ndarray:
        key = FeatureSet(stages=(stage,), kinds=(kind,), normalised=normalised)
        if key not in self._blocks:
            scaled = self.scaled(key).astype(np.float64)
            self._blocks[key] = scaled @ scaled.T
        return self._blocks[key]


def scaling_of(taken: np.ndarray, widths: Sequence[int], features: FeatureSet) -> Scaling:
    """The scaling that a feature set asks for, of its features `(n, D)`."""
    return by_block(taken, widths) if features.normalised else standard(taken)


def _ranked(grams: Grams, sample: Sample, features: FeatureSet) -> list[TriedClassifier]:
    """A feature set as the quick classifier does with it, once for each share of its features."""
    if not features.selected:
        return [_judged(sample, features, None, _quick_logits(*grams.of(features), sample))]
    scaled = grams.scaled(features)
    return [
        _judged(sample, features, share, sum(_selected_logits(scaled, sample, share), np.zeros(())))
        for share in features.selected
    ]


def _selected_logits(scaled: np.ndarray, sample: Sample, share: float) -> Iterator[np.ndarray]:
    """Logits of the images of one fold after another, 0 for the others'; each fold selects for itself."""
    for own, gram, width in _selected_grams(scaled, sample, share):
        alone = replace(sample, folds=np.where(own, 0, -1))
        yield np.where(own[:, None], _quick_logits(gram, width, alone), 0.0)


def _selected_grams(
    scaled: np.ndarray, sample: Sample, share: float
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """For each fold: which images are its own, inner products of what the others select, how many."""
    for fold in range(int(sample.folds.max()) + 1):
        own = sample.folds == fold
        kept = strongest(row_norms(scaled[~own], sample.labels[~own]), share)
        columns = scaled[:, kept].astype(np.float64)
        yield own, columns @ columns.T, len(kept)


def _quick_logits(gram: np.ndarray, width: int, sample: Sample) -> np.ndarray:
    """Logits `(intensities, n, C)` of the discriminant; of least squares where it cannot be asked.

    A discriminant takes each image from one class, so images of several classes are not for it.
    """
    if not sample.several:
        equal = sample.weights is not None
        return out_of_fold(
            gram, sample.labels, sample.folds, width, intensities=INTENSITIES, equal_priors=equal
        )
    axes = _principal(gram)
    return probes.out_of_fold(axes, sample.labels, sample.folds, width)[None]


def _judged(sample: Sample, features: FeatureSet, share: float | None, logits: np.ndarray) -> TriedClassifier:
    """The best intensity of the quick classifier."""
    if sample.several:
        reached = score(logits[0][: len(sample.own_labels)], sample.own_labels)[0]
        return TriedClassifier(features, "least squares", share, None, reached, float("nan"))
    found = []
    for strength, every in zip(INTENSITIES, logits, strict=True):
        each = every[: len(sample.own_labels)]
        factor = temperature(each, sample.own_labels, sample.image_weights)
        reached, nll = _scored(sample, factor * each)
        found.append(TriedClassifier(features, "discriminant", share, strength, reached, nll, factor))
    return min(found, key=_order)


def _logistic(grams: Grams, sample: Sample, ranked: TriedClassifier) -> TriedClassifier:
    """Logistic regression on the features of what was ranked, with the strength of the lowest log-loss."""
    found = np.empty((len(STRENGTHS), len(sample.labels), sample.classes))
    for own, axes in _fold_axes(grams, sample, ranked):
        problem = Regression(axes[~own], sample.labels[~own], sample.classes, sample.weights)
        weights = np.zeros((axes.shape[1] + 1, sample.classes))
        for place, l2 in enumerate(STRENGTHS):
            weights = problem.solve(l2, weights, tolerance=1e-4)
            found[place, own] = axes[own] @ weights[:-1] + weights[-1]
    features, share = ranked.features, ranked.share
    made = [
        TriedClassifier(features, "logistic", share, l2, *_scored(sample, logits))
        for l2, logits in zip(STRENGTHS, found, strict=True)
    ]
    return min(made, key=_order)


def _fold_axes(
    grams: Grams, sample: Sample, ranked: TriedClassifier
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each fold: which images are its own, and all images along principal axes `(n, r)`."""
    if ranked.share is None:
        axes = _principal(grams.of(ranked.features)[0])
        for fold in range(int(sample.folds.max()) + 1):
            yield sample.folds == fold, axes
        return
    for own, gram, _ in _selected_grams(grams.scaled(ranked.features), sample, ranked.share):
        yield own, _principal(gram)


def _principal(gram: np.ndarray) -> np.ndarray:
    """What has these inner products, `(n, r)`: a penalty by length cannot tell it from the features."""
    from scipy.linalg import eigh

    values, vectors = eigh(gram, check_finite=False)
    keep = values > 1e-10 * values[-1]
    return np.asarray(vectors[:, keep] * np.sqrt(values[keep]))


def _scored(sample: Sample, logits: np.ndarray) -> tuple[float, float]:
    """Top-1 (or mAP) and log-loss, weighted as training is."""
    own = logits[: len(sample.own_labels)]
    probabilities = activate(own, "sigmoid" if sample.several else "softmax")
    return score(probabilities, sample.own_labels, sample.weights)
