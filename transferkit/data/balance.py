"""Classes of unequal size: how unequal, what each weighs, and an order that draws all equally often."""

import numpy as np

# Weights are taken of themselves when the largest class has over this many times the smallest's images.
AUTO_RATIO = 3.0


def class_counts(labels: np.ndarray, classes: int) -> np.ndarray:
    """Images of each class, `(C,)`, of class numbers `(N,)` or a matrix `(N, C)` of 0 and 1."""
    return np.asarray(labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=classes))


def imbalance_ratio(counts: np.ndarray) -> float:
    """The images of the largest class over those of the smallest that has any; 1.0 without images."""
    some = counts[counts > 0]
    return float(some.max() / some.min()) if len(some) else 1.0


def class_weights(counts: np.ndarray) -> np.ndarray:
    """float64 `(C,)`: N / (C n_c), so that every class weighs as much as any other.

    Where an image has one class its mean over the N images is 1. A class without images neither counts
    among the C nor shifts the others; it is given what a single image would.

    Args:
        counts: n_c, images of each class `(C,)`. N is their sum.

    Source: King and Zeng 2001, as scikit-learn's "balanced".
    """
    counts = np.asarray(counts, np.float64)
    return np.asarray(counts.sum() / (max(1, np.count_nonzero(counts)) * np.maximum(counts, 1)))


def sample_weights(targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 `(N,)`: the weight of each image, the mean of its classes' by their shares in it.

    Keras' own `class_weight` takes the largest of soft labels alone, which gives an image mixed of two
    classes the weight of one of them.

    Args:
        targets: class numbers `(N,)`; or shares `(N, C)`, several 1s or soft. A row of zeros gets 1.
        weights: of the classes `(C,)`.
    """
    if targets.ndim == 1:
        return np.asarray(weights[targets], np.float64)
    shares = np.asarray(targets, np.float64)
    sums = shares.sum(axis=1)
    means = shares @ weights / np.where(sums > 0, sums, 1.0)
    return np.asarray(np.where(sums > 0, means, 1.0))


def weighted_shares(shares: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares `(N, C)` of blended images and weights `(N,)`, so that each part weighs what its class does.

    The loss of an image is then -sum_c s_c w_c log p_c. Its plain shares times their mean weight would let
    the frequent class of a blend weigh as much as the rare one: with nine of ten images in one class and
    MixUp of alpha 1 that class would have 63 % of the loss, not half.

    Args:
        shares: of the classes in each image, rows that sum to 1.
        weights: of the classes `(C,)`, above 0.
    """
    mass = np.asarray(shares, np.float64) * weights
    sums = mass.sum(axis=1)
    return mass / sums[:, None], sums


def balanced_order(rows: np.ndarray, labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """As many draws from the rows as there are rows, the classes drawn equally often, shuffled.

    Counts of two classes differ by 1 at most, and no image of a class comes again before all of them
    came. Where images have several classes no order can promise that: each is then drawn as often as
    `sample_weights` asks on average, that number rounded down or up by chance.

    Args:
        rows: of the index.
        labels: of all rows of the index, class numbers `(N,)` or a matrix `(N, C)` of 0 and 1.
        seed: the draws are a function of seed and epoch and of nothing else.
        epoch: likewise.
    """
    random = np.random.default_rng((seed, epoch))
    own = labels[rows]
    drawn = _by_weight(own, random) if labels.ndim == 2 else _by_class(own, random)
    return random.permutation(rows[drawn])


def _by_class(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Places `(N,)`, each class in turn: whole rounds over its images, then some of them."""
    present = random.permutation(np.unique(labels))
    each, more = divmod(len(labels), len(present))
    drawn = []
    for number, label in enumerate(present):
        places = np.flatnonzero(labels == label)
        draws = each + (number < more)
        rounds = [random.permutation(places) for _ in range(-(-draws // len(places)))]
        drawn.append(np.concatenate(rounds)[:draws])
    return np.concatenate(drawn)


def _by_weight(targets: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Places `(N,)`, drawn systematically: one random offset and even steps along the summed weights.

    Source: Madow 1949; independent draws would scatter more about the same mean.
    """
    weights = sample_weights(targets, class_weights(class_counts(targets, targets.shape[1])))
    order = random.permutation(len(targets))
    ends = np.cumsum(weights[order])
    steps = (np.arange(len(order)) + random.random()) / len(order) * ends[-1]
    # Without the last end, which rounding might let a step reach.
    return np.asarray(order[np.searchsorted(ends[:-1], steps, side="right")])
