"""When a fine-tuning phase ends, and which of its epochs it keeps.

Functions of the history alone: a resumed run comes to the same without being told.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# A loss this many times its first value counts as an explosion.
EXPLOSION = 3.0


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
        """What candidates compete by; higher is better."""
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


def better(new: Standing, best: Standing, start: Standing, *, ranked: bool) -> bool:
    """Whether an epoch is kept instead of the best so far.

    An epoch that does not beat the start as candidates compete (top-1 or mAP, then loss) would lose to
    the linear classifier, so it is never kept. Of those that beat it the lowest smoothed loss wins: it is
    less noisy than the top-1 of a small val. mAP is a mean over many ranks and may rise while the loss does:
    there it decides, then the loss.

    Args:
        new: an epoch.
        best: the epoch kept so far, or `start` while there is none.
        start: before the first epoch.
        ranked: whether `reached` is mAP.
    """
    if not new.score > start.score:
        return False
    if best is start:
        return True
    return new.score > best.score if ranked else new.loss < best.loss


def best_epoch(start: Standing, epochs: Sequence[Standing], *, ranked: bool) -> int:
    """The number (from 1) of the epoch that is kept; 0 for the start."""
    best, number = start, 0
    for place, new in enumerate(epochs, start=1):
        if better(new, best, start, ranked=ranked):
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
        plain: whether the train loss is that of val; one with label smoothing or a penalty is not, so it
            only has to be finite.
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
