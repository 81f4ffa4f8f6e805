"""When a fine-tuning phase ends, and which of its epochs it keeps.

Functions of the history alone: a resumed run comes to the same without being told.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# A loss this many times its first value counts as an explosion.
EXPLOSION = 3.0
# Standard errors by which a top-1 must be higher to count for itself.
SURE = 2.0
# Standard errors by which a fine-tuned network's log-loss must be lower than that of the classifier it
# would take the place of.
NOISE = 1.0


@dataclass(frozen=True)
class Standing:
    """How an epoch, or the start, does on val.

    Attributes:
        reached: top-1, or mAP where images may have several classes.
        loss: smoothed over the epochs; of the start as it is.
    """

    reached: float
    loss: float

    @property
    def score(self) -> tuple[float, float]:
        """`reached`, of equals the loss; higher is better."""
        return self.reached, -self.loss


def smoothed(losses: Sequence[float], share: float) -> list[float]:
    """An exponential average of losses that begins at the first.

    Args:
        losses: of the epochs, without that of the start: the first steps of fine-tuning often raise the
            loss over the linear classifier's before they lower it.
        share: weight of the past, in 0..1.
    """
    found: list[float] = []
    for loss in losses:
        found.append(share * found[-1] + (1 - share) * loss if found else loss)
    return found


def beats(new: Standing, old: Standing, images: int, *, ranked: bool) -> bool:
    """Whether one classifier is better than another by what val shows of them.

    Its top-1 must not be lower, and more than chance must speak for it: a lower loss, or a top-1 higher by
    more than two standard errors of the difference. On ten images one more is right by luck, and the best of
    forty epochs is lucky: kept for its top-1 alone, a network was 14 points worse on test than the classifier
    it started from (`docs/decision.md`). But fine-tuned networks are surer of themselves, right or wrong,
    so on many images a clear gain in top-1 is enough.

    Args:
        new: whether this one.
        old: than that, on the same images.
        images: of val.
        ranked: whether `reached` is mAP. It is a mean over many ranks and may rise while the loss does, so
            there the higher one is better, of equals that of lower loss.
    """
    if ranked:
        return new.score > old.score
    if not new.reached >= old.reached or math.isnan(new.loss):
        return False
    return new.loss < old.loss or surely_higher(new, old, images)


def surely_higher(new: Standing, old: Standing, images: int) -> bool:
    """Whether a top-1 is higher by more than two standard errors of the difference."""
    # Images on which the two differ are errors of one of them, which bounds the variance.
    error = math.sqrt(max(0.0, 2 - new.reached - old.reached) / images)
    return new.reached - old.reached > SURE * error


def surely_lower(new: Sequence[float], old: Sequence[float]) -> bool:
    """Whether losses of the same images are lower by more than their noise: over one standard error.

    Val of little data is some twenty images. There a network that was ahead by a tenth of a standard error
    was twelve points worse on test than the classifier that it was fine-tuned from (`docs/decision.md`).

    Args:
        new: of each image.
        old: likewise.
    """
    gains = [before - after for before, after in zip(old, new, strict=True)]
    mean = sum(gains) / len(gains)
    spread = sum((gain - mean) ** 2 for gain in gains) / max(1, len(gains) - 1)
    return mean > NOISE * math.sqrt(spread / len(gains))


def best_epoch(start: Standing, epochs: Sequence[Standing], images: int, *, ranked: bool) -> int:
    """The number (from 1) of the epoch that is kept; 0 for the start.

    Of those that beat the start the one of the lowest smoothed loss, or of the highest mAP.

    Args:
        start: before the first epoch.
        epochs: in order.
        images: of val.
        ranked: see `beats`.
    """
    best, number = start, 0
    for place, new in enumerate(epochs, start=1):
        if not beats(new, start, images, ranked=ranked):
            continue
        if not number or (new.score > best.score if ranked else new.loss < best.loss):
            best, number = new, place
    return number


def waited(losses: Sequence[float], since: int = 0) -> int:
    """Epochs since the lowest of the smoothed losses, or since epoch `since` if that came later."""
    if not losses:
        return 0
    lowest = min(range(len(losses)), key=lambda place: (losses[place], place)) + 1
    return len(losses) - max(lowest, since)


def explosion(row: Mapping[str, Any], first_loss: float, chance: float, *, plain: bool = True) -> str:
    """How a loss has left the range that training can come back from, or "".

    That is: not finite, or over three times its first value and worse than guessing. A linear
    classifier may start so near zero that three times its loss is still a good one.

    Args:
        row: of the history: `epoch`, `loss` and `val_loss`.
        first_loss: of val before the first epoch.
        chance: the loss of guessing.
        plain: whether the train loss is that of val; one with label smoothing or a penalty, on changed images
            or with parts of the network dropped is not, so it only has to be finite.
    """
    limit = max(EXPLOSION * first_loss, chance)
    for name in ("loss", "val_loss"):
        if not math.isfinite(row[name]):
            return f"{name} is not finite in epoch {row['epoch']}"
        if row[name] > limit and (plain or name == "val_loss"):
            return (
                f"{name} {row[name]:.3g} in epoch {row['epoch']} is over {EXPLOSION:g} times the "
                f"start's {first_loss:.3g} and worse than guessing"
            )
    return ""
