"""What stands in the curves of a phase: gaps, losses that rise or swing, a start that was broken."""

import math
from collections.abc import Sequence
from statistics import median

from transferkit.evaluation.curves import Curves

# Train top-1 less val top-1 from which a gap is worth a word, if it is over two standard errors of val too.
GAP = 0.05
# Val loss over its lowest by the end from which fitting train more has cost something.
RISE = 1.1
# Val loss after the first epoch by the start's, if no epoch came below the start again: the first steps broke
# what the linear classifier knew. Real ones that recovered rose up to 1.8 times.
BROKEN = 1.5
# Train top-1 under which much is left to fit; mAP of val, where there is no top-1.
FITTED = 0.9
# Val loss over its lowest by the end that is worth a word where no gap in top-1 is or can be seen, ...
TOO_SURE = 1.5
# ... if it is worth anything: a mean probability of the right class of .82.
NOTICED = 0.2
# Train loss by the end over its lowest where much is left to fit: no noise, steps that go too far.
LOST = 1.5
# Epochs whose median is called the end: one alone may be a bad draw.
END = 3
# Without top-1 losses are compared: val's by train's from which they lie apart.
APART = 1.5
# Loss that is next to nothing: no more is asked of a phase.
SMALL_LOSS = 0.05


def comparable(curves: Curves) -> bool:
    """Whether train is measured as val is; what was fitted always is, what was trained not always."""
    same = curves.asked.comparable if curves.val_map else not curves.asked.mixed
    return curves.start_loss is None or same


def gap(curves: Curves) -> bool:
    """Whether train is fitted better than val, by more than chance where that is known."""
    if curves.val_map and curves.val_map[-1] >= FITTED:
        return False
    if not comparable(curves) and curves.val_map:
        # A val loss that rises while train goes on says it too.
        return curves.val_loss[-1] > RISE * min(curves.val_loss)
    if curves.val_map:
        # What smoothed labels leave is none that could be fitted; a fitted classifier has none of them.
        floor = curves.asked.floor if curves.start_loss is not None else 0.0
        return curves.val_loss[-1] > APART * max(curves.train_loss[-1] - floor, 0.0)
    too_sure = grows_too_sure(curves) and not (unsteady(curves) or harder(curves))
    return apart(curves) or too_sure


def apart(curves: Curves) -> bool:
    """Whether train's top-1 is over val's by more than chance."""
    if curves.val_map or not comparable(curves):
        return False
    return curves.train_top1[-1] - curves.val_top1[-1] > max(GAP, 2 * error(curves))


def harder(curves: Curves) -> bool:
    """Whether images of train, changed or seen in part, are fitted less than val's, by more than chance.

    A val loss that rises there is no fitting of train beyond what holds: train is not fitted.
    """
    asked = curves.asked
    made_harder = asked.augmented or asked.dropout or asked.stochastic_depth
    if curves.start_loss is None or curves.val_map or not (made_harder and comparable(curves)):
        return False
    train, val = curves.train_top1[-1], curves.val_top1[-1]
    return train < FITTED and val - train > max(GAP, 2 * error(curves))


def lost(curves: Curves) -> bool:
    """Whether no epoch is better than the start."""
    return curves.start_loss is not None and min(curves.val_loss) > curves.start_loss and not curves.worth


def grows_too_sure(curves: Curves) -> bool:
    """Whether val's loss ended far over its lowest, whatever its top-1 did."""
    return end(curves.val_loss) > max(TOO_SURE * min(curves.val_loss), NOTICED)


def end(losses: Sequence[float]) -> float:
    """What the last epochs reached, the last one itself where it is lower."""
    return min(median(losses[-END:]), losses[-1])


def broken(curves: Curves) -> str:
    """That the first steps took away what the linear classifier knew; "" where they did not."""
    start, first = curves.start_loss, curves.val_loss[0]
    if start is None or min(curves.val_loss) <= start or first <= BROKEN * start:
        return ""
    return (
        f"the first epoch took the val loss from {start:.3f} to {first:.3f}, and no later one came below "
        "the start"
    )


def unsteady(curves: Curves) -> str:
    """That the train loss goes up and down, or up; "" where it does not."""
    best = curves.val_map[-1] if curves.val_map else curves.train_top1[-1]
    losses = [max(loss - curves.asked.floor, SMALL_LOSS) for loss in curves.train_loss]
    if len(losses) <= END or best >= FITTED or end(losses) <= LOST * min(losses):
        return ""
    low, last = min(curves.train_loss), end(curves.train_loss)
    return f"the train loss went from {low:.3f} at its lowest up to {last:.3f} in the last epochs"


def error(curves: Curves) -> float:
    """Standard error of the last val top-1, of at least one image more and one less."""
    share = (curves.val_top1[-1] * curves.val_images + 1) / (curves.val_images + 2)
    return math.sqrt(share * (1 - share) / curves.val_images)
