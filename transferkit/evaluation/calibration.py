"""How far probabilities can be believed: a temperature fitted on val, and what it does elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from transferkit.evaluation.metrics import ECE_BINS, Floats, Ints, gap, nll, predict, width_numbers, wilson

# Temperatures that are looked at; a network is seldom beyond a factor of five.
COLDEST, HOTTEST = 0.05, 20.0
# Images in a bin, at least: one or two say nothing of how often their like are right.
LEAST_IN_BIN = 10
# Draws of right and wrong answers, for what chance alone makes of a calibration error.
DRAWS = 200
# What twice the gain in log-likelihood must pass: chi-squared of one degree of freedom, 5 %.
SURE = 3.84


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Images of like confidence.

    Attributes:
        images: how many.
        confidence: mean of the highest probability.
        accuracy: share whose answer is right; `low` and `high` its 95 % Wilson interval.
    """

    images: int
    confidence: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Belief:
    """How far the probabilities of a split can be believed, once as they are or once at the temperature.

    Attributes:
        nll: mean -log p(label), in nats.
        brier: mean squared distance from certainty, summed over classes: 0 is best, 2 the worst.
        ece: expected calibration error in 15 bins of equal width.
        adaptive_ece: likewise in bins of equally many images, see `adaptive_bins`.
        bins: those of equally many images, the least confident first.
        ece_by_chance, adaptive_ece_by_chance: what these errors would be on average if every confidence were
            true; of few images they are far from 0. None in reports of earlier versions.
    """

    nll: float
    brier: float
    ece: float
    adaptive_ece: float
    bins: tuple[Bin, ...]
    ece_by_chance: float | None = None
    adaptive_ece_by_chance: float | None = None


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a temperature does.

    Attributes:
        temperature: that makes val likeliest; over 1 the model was too sure of itself.
        images: of val, that it was fitted on.
        before: by split, of the probabilities as they are.
        after: by split, at the temperature. Val's own figures are those of the fit.
    """

    temperature: float
    images: int
    before: Mapping[str, Belief]
    after: Mapping[str, Belief]


def calibrate(
    probabilities: Mapping[str, Floats], labels: Mapping[str, Ints], fitted_on: str = "val"
) -> Calibration:
    """A temperature, fitted on one split alone, and the belief in every split before and after it.

    Args:
        probabilities: split -> (N, C).
        labels: split -> class numbers (N,).
        fitted_on: the split that gives the temperature.
    """
    factor = fit_temperature(probabilities[fitted_on], labels[fitted_on])
    return Calibration(
        temperature=factor,
        images=len(labels[fitted_on]),
        before={split: belief(found, labels[split]) for split, found in probabilities.items()},
        after={
            split: belief(tempered(found, factor), labels[split]) for split, found in probabilities.items()
        },
    )


def fit_temperature(probabilities: Floats, labels: Ints) -> float:
    """The temperature of the lowest negative log-likelihood (not of the lowest ECE, which has no gradient).

    1 where it gains no more than chance would. Rows that are not finite are left out. One image's worth of
    the targets is spread over all classes, since answers that are all right would ask for certainty (Platt
    1999, as for his sigmoid). Source: Guo et al. 2017 (arXiv:1706.04599), section 4.2.
    """
    from scipy.optimize import minimize_scalar

    whole = np.isfinite(probabilities).all(axis=1)
    if not whole.any():
        return 1.0
    logits, own = _logits(np.asarray(probabilities, np.float64)[whole]), np.asarray(labels)[whole]
    spread = 1 / (len(own) + 2)
    wanted = (1 - spread) * logits[np.arange(len(own)), own] + spread * logits.mean(axis=1)

    def loss(log: float) -> float:
        scaled = logits / np.exp(log)
        return float((np.log(np.exp(scaled).sum(axis=1)) - wanted / np.exp(log)).mean())

    ends = (np.log(COLDEST), np.log(HOTTEST))
    found = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x)) if _sure(logits, own, float(np.exp(found.x))) else 1.0


def _sure(logits: Floats, labels: Ints, temperature: float) -> bool:
    """Whether a temperature gains more on these images than chance would bring, one time in twenty.

    By the likelihood ratio. The classifiers on the bank are tempered by cross-validation already; on some
    fifty images of val a second temperature was noise, and made the test worse on all of hymenoptera's draws
    (`docs/report.md`).
    """

    def losses(factor: float) -> Floats:
        scaled = logits / factor
        return np.asarray(np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(labels)), labels])

    gained = losses(1.0) - losses(temperature)
    return bool(2 * gained.sum() > SURE)


def tempered(probabilities: Floats, temperature: float) -> Floats:
    """The probabilities (N, C) of logits divided by a temperature.

    The logarithms of a softmax are its logits less a number that the next softmax takes out again. Rows
    that are not finite stay so.
    """
    powers = np.exp(_logits(np.asarray(probabilities, np.float64)) / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _logits(probabilities: Floats) -> Floats:
    """Logits (N, C) that give the probabilities, each row's highest 0."""
    logits = np.log(np.clip(probabilities, 1e-30, None))
    return np.asarray(logits - logits.max(axis=1, keepdims=True))


def belief(probabilities: Floats, labels: Ints, bins: int = ECE_BINS) -> Belief:
    """How far the probabilities (N, C) can be believed on images of these labels (N,)."""
    confidence, right = _confidence(probabilities), predict(probabilities) == np.asarray(labels)
    width, alike = width_numbers(confidence, bins), _alike(confidence, bins)
    found = tuple(_bin(confidence[alike == at], right[alike == at]) for at in range(alike.max() + 1))
    # The same draws each time, so that a report made anew says the same.
    drawn = np.random.default_rng(0).random((DRAWS, len(confidence))) < confidence
    return Belief(
        nll=nll(probabilities, labels),
        brier=brier(probabilities, labels),
        ece=gap(width, confidence, right),
        adaptive_ece=gap(alike, confidence, right),
        bins=found,
        ece_by_chance=float(np.mean([gap(width, confidence, hits) for hits in drawn])),
        adaptive_ece_by_chance=float(np.mean([gap(alike, confidence, hits) for hits in drawn])),
    )


def _confidence(probabilities: Floats) -> Floats:
    """The highest probability of each row; 1 of one that is not finite, which is wrong."""
    finite = np.isfinite(probabilities).all(axis=1)
    return np.asarray(np.where(finite, np.asarray(probabilities, np.float64).max(axis=1), 1.0))


def brier(probabilities: Floats, labels: Ints) -> float:
    """The mean over images of sum_c (p_c - [c is the label])^2, 0..2; a row that is not finite counts 2.

    Source: Brier 1950.
    """
    p = np.asarray(probabilities, np.float64)
    truth = np.eye(p.shape[1])[np.asarray(labels)]
    squares = np.square(p - truth).sum(axis=1)
    return float(np.where(np.isfinite(p).all(axis=1), squares, 2.0).mean())


def adaptive_bins(probabilities: Floats, labels: Ints, bins: int = ECE_BINS) -> tuple[Bin, ...]:
    """Bins of equally many images by confidence: so many, or fewer where there are not ten for each.

    Images of the same confidence stand in one bin, so the order of the rows says nothing. A row that is not
    finite is wrong with confidence 1. Source: Nguyen and O'Connor 2015, section 3.
    """
    return belief(probabilities, labels, bins).bins


def _alike(confidence: Floats, bins: int) -> Ints:
    """The number of each image's bin; see `adaptive_bins`."""
    confidence = confidence.round(9)  # what differs by rounding alone is the same
    ordered, count = np.sort(confidence), len(confidence)
    most = max(1, min(bins, count // LEAST_IN_BIN))
    wanted = [len(part) for part in np.array_split(ordered, most)]
    cuts = []
    for place in np.cumsum(wanted)[:-1]:
        # Between two confidences, at the nearer end of those that are the same.
        ends = (np.searchsorted(ordered, ordered[place], side) for side in ("left", "right"))
        cuts.append(min(ends, key=lambda end: abs(int(end) - int(place))))
    borders, before = [], 0
    for cut in sorted({int(cut) for cut in cuts}):
        if min(cut - before, count - cut) >= min(LEAST_IN_BIN, count // most):  # else it joins its neighbour
            borders.append(ordered[cut])
            before = cut
    return np.asarray(np.searchsorted(borders, confidence, "right"))


def _bin(confidence: Floats, right: np.ndarray) -> Bin:
    low, high = wilson(int(right.sum()), len(right))
    return Bin(
        images=len(right),
        confidence=float(confidence.mean()),
        accuracy=float(right.mean()),
        low=low,
        high=high,
    )
