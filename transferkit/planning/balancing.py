"""What is done about classes of unequal size."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from transferkit.data.balance import AUTO_RATIO, class_weights, imbalance_ratio
from transferkit.recipe import AUTO


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What is done about classes of unequal size.

    Attributes:
        method: `none`, `weights` (in the loss) or `sampler` (classes drawn equally often; the linear
            classifier, which draws nothing, takes weights).
        ratio: images of the largest class of train over those of the smallest.
        weights: of each class by name, N / (C n_c); empty for `none`.
        reason: why, in a sentence.
    """

    method: str
    ratio: float
    weights: dict[str, float]
    reason: str


def decide_balance(asked: str, counts: Mapping[str, int]) -> Balance:
    """What to do about unequal classes.

    Args:
        asked: `auto`, `none`, `weights` or `sampler`.
        counts: images of each class in train, by name.
    """
    images = np.array(list(counts.values()))
    ratio = imbalance_ratio(images)
    sizes = f"the largest class of train has {ratio:.1f} times the images of the smallest"
    if asked != AUTO:
        method, reason = asked, f"Balance stated: {asked}; {sizes}."
    elif ratio > AUTO_RATIO:
        method, reason = "weights", f"Classes are weighted: {sizes}, over {AUTO_RATIO:g}."
    else:
        method, reason = "none", f"Classes are not weighted: {sizes}, not over {AUTO_RATIO:g}."
    weights: dict[str, float] = {}
    if method != "none":
        found = class_weights(images).tolist()
        weights = {name: round(weight, 6) for name, weight in zip(counts, found, strict=True)}
        reason = f"{reason[:-1]}: {_listed_weights(weights)}."
    return Balance(method=method, ratio=ratio, weights=weights, reason=reason)


def _listed_weights(weights: Mapping[str, float]) -> str:
    """All weights of a few classes; of many the smallest and the largest."""
    names = sorted(weights, key=weights.__getitem__)
    if len(names) <= LISTED_WEIGHTS:
        return ", ".join(f"{name} {weights[name]:.3g}" for name in weights)
    first, last = names[0], names[-1]
    return f"from {weights[first]:.3g} ({first}) to {weights[last]:.3g} ({last})"


LISTED_WEIGHTS = 10
