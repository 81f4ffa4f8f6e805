"""What the curves of a run say: too much or too little fitted, a rate too high or low, and what to change.

Pure rules on numbers that every run has. They follow the advice of the classic lectures on reading loss
curves (Stanford CS231n, "Babysitting the learning process"); the borders are readings of real runs, told
beside each.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from transferkit.evaluation.curves import Asked, Curves

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
# Share of the train loss that a phase must take away to have learned anything, ...
LEARNED = 0.05
# ... where there was something to learn.
SMALL_LOSS = 0.05
# Share of the epochs at the end over which a loss that still falls by so much has not come to its end.
LAST, FALLING = 0.2, 0.02


@dataclass(frozen=True)
class Diagnosis:
    """One thing that the curves say.

    Attributes:
        finding: `overfitting`, `underfitting`, `rate too high`, `rate too low`, `not finished`, `unclear` or
            `sound`.
        evidence: a sentence with the numbers.
        advice: what to change, by the names of options and recipe keys; "" where nothing.
    """

    finding: str
    evidence: str
    advice: str

    @property
    def sentence(self) -> str:
        """All of it."""
        return f"{self.finding}: {self.evidence}.{f' {self.advice}.' if self.advice else ''}"


def diagnose(curves: Curves) -> tuple[Diagnosis, ...]:
    """What the curves of a phase say, the most pressing first; at least one.

    Source of the readings: CS231n, "Babysitting the learning process" (a gap between train and val is
    overfitting, none at a low level a model too small; a loss that shoots up a rate too high, one that hardly
    moves a rate too low).
    """
    if curves.interrupted:
        stopped = f"{curves.name}: interrupted after {len(curves.val_loss)} of {curves.epochs} epochs"
        return (Diagnosis("not finished", stopped, "Go on with it: transferkit finetune --resume RUN"),)
    rules = (_too_high, _too_low, _overfitting, _underfitting, _unread, _not_finished)
    found = tuple(told for rule in rules if (told := rule(curves)))
    if found:
        return found
    return (Diagnosis("sound", f"{_reached(curves)}; {_rest(curves)}", ""),)


def _rest(curves: Curves) -> str:
    """What there is to say where no rule found anything."""
    if not _comparable(curves) and curves.val_map and curves.val_map[-1] < FITTED:
        return "train's loss has weights, mixed images or a penalty in it, so no gap is read from the two"
    if curves.start_loss is not None and min(curves.val_loss) > curves.start_loss and not curves.worth:
        return f"no epoch's val loss came below the {curves.start_loss:.3f} that it started from"
    return "nothing asks for a change"


def _reached(curves: Curves, only: str = "") -> str:
    """The last figures in words."""
    if curves.val_map:
        return (
            f"{curves.name}: a mAP of {only}{curves.val_map[-1]:.1%} on val{curves.when}, a loss of "
            f"{curves.train_loss[-1]:.3f} on train and {curves.val_loss[-1]:.3f} on val"
        )
    train, val = curves.train_top1[-1], curves.val_top1[-1]
    of = "blended images of train" if curves.start_loss is not None and curves.asked.mixed else "train"
    return f"{curves.name}: right on {only}{train:.1%} of {of} and {val:.1%} of val{curves.when}"


def _comparable(curves: Curves) -> bool:
    """Whether train is measured as val is; what was fitted always is, what was trained not always."""
    same = curves.asked.comparable if curves.val_map else not curves.asked.mixed
    return curves.start_loss is None or same


def _gap(curves: Curves) -> bool:
    """Whether train is fitted better than val, by more than chance where that is known."""
    if curves.val_map and curves.val_map[-1] >= FITTED:
        return False
    if not _comparable(curves) and curves.val_map:
        # A val loss that rises while train goes on says it too.
        return curves.val_loss[-1] > RISE * min(curves.val_loss)
    if curves.val_map:
        # What smoothed labels leave is none that could be fitted; a fitted classifier has none of them.
        floor = curves.asked.floor if curves.start_loss is not None else 0.0
        return curves.val_loss[-1] > APART * max(curves.train_loss[-1] - floor, 0.0)
    apart = curves.train_top1[-1] - curves.val_top1[-1] > max(GAP, 2 * _error(curves))
    return (apart and _comparable(curves)) or (_grows_too_sure(curves) and not _unsteady(curves))


def _grows_too_sure(curves: Curves) -> bool:
    """Whether val's loss ended far over its lowest, whatever its top-1 did."""
    return _end(curves.val_loss) > max(TOO_SURE * min(curves.val_loss), NOTICED)


def _end(losses: Sequence[float]) -> float:
    """What the last epochs reached, the last one itself where it is lower."""
    return min(median(losses[-END:]), losses[-1])


def _too_high(curves: Curves) -> Diagnosis | None:
    if curves.exploded:
        return _exploding(curves)
    if curves.start_loss is None or curves.worth:
        return None
    told = _broken(curves) or _unsteady(curves)
    if not told:
        return None
    return Diagnosis(
        "rate too high",
        f"{curves.name}: {told}",
        f"Take a third of it: --set learning_rate={_short(curves.rate / 3)}, or --set learning_rate=find",
    )


def _broken(curves: Curves) -> str:
    """That the first steps took away what the linear classifier knew; "" where they did not."""
    start, first = curves.start_loss, curves.val_loss[0]
    if start is None or min(curves.val_loss) <= start or first <= BROKEN * start:
        return ""
    return (
        f"the first epoch took the val loss from {start:.3f} to {first:.3f}, and no later one came below "
        "the start"
    )


def _unsteady(curves: Curves) -> str:
    """That the train loss goes up and down, or up; "" where it does not."""
    best = curves.val_map[-1] if curves.val_map else curves.train_top1[-1]
    losses = [max(loss - curves.asked.floor, SMALL_LOSS) for loss in curves.train_loss]
    if len(losses) <= END or best >= FITTED or _end(losses) <= LOST * min(losses):
        return ""
    low, end = min(curves.train_loss), _end(curves.train_loss)
    return f"the train loss went from {low:.3f} at its lowest up to {end:.3f} in the last epochs"


def _exploding(curves: Curves) -> Diagnosis:
    """Attempts were given up: all of them, or those before the one whose curves these are."""
    tried = ", ".join(f"{rate:.2g}" for rate in curves.exploded)
    if curves.start_loss is None:
        return Diagnosis(
            "rate too high",
            f"fine-tuning: the loss exploded at every rate that was tried ({tried}), so it was given up",
            f"Take a third of the lowest: --set learning_rate={_short(curves.exploded[-1] / 3)}, or --set "
            "learning_rate=find",
        )
    return Diagnosis(
        "rate too high",
        f"{curves.name}: the loss exploded at the rate {tried} and was trained at {curves.rate:.2g} then",
        f"To begin there: --set learning_rate={curves.rate:.2g}, or --set learning_rate=find",
    )


def _too_low(curves: Curves) -> Diagnosis | None:
    if len(curves.train_loss) < 3 or curves.train_loss[0] - curves.asked.floor < SMALL_LOSS:
        return None
    if (
        not curves.asked.fittable
        or min((*curves.train_top1[:1], *(curves.val_map or curves.val_top1)[:1])) >= FITTED
    ):
        return None
    first, last = curves.train_loss[0], curves.train_loss[-1]
    # Smoothed labels cannot be fitted below their own entropy.
    if not 0 <= first - last < LEARNED * (first - curves.asked.floor):
        return None
    return Diagnosis(
        "rate too low",
        f"{curves.name}: the train loss hardly moved in {len(curves.train_loss)} epochs, from {first:.3f} "
        f"to {last:.3f}",
        f"Take three times the rate: --set learning_rate={_short(3 * curves.rate)}, or --set "
        "learning_rate=find",
    )


def _overfitting(curves: Curves) -> Diagnosis | None:
    if not _gap(curves):
        return None
    gap = _reached(curves)
    if curves.start_loss is None:
        return Diagnosis(
            "overfitting",
            f"{gap}, far apart" if curves.val_map else f"{gap}, further apart than chance would bring them",
            "More images help, as far as the learning curve still rises"
            + ("" if curves.asked.augmented else "; then augmentation with fine-tuning (--augment auto)"),
        )
    lowest, last = min(curves.val_loss), curves.val_loss[-1]
    risen = f", and the val loss rose from {lowest:.3f} to {last:.3f}" if last > RISE * lowest else ""
    return Diagnosis(
        "overfitting",
        gap + risen,
        f"{_listed(_against_overfitting(curves.asked))} against it",
    )


def _against_overfitting(asked: Asked) -> list[str]:
    """What is not in force already."""
    found = ["More images"]
    if not asked.augmented:
        found.append("--augment auto")
    if asked.freeze_depth + 1 < asked.stages:
        found.append(f"fewer stages that train (--set freeze_depth={asked.freeze_depth + 1})")
    if not asked.dropout:
        found.append("--set dropout=0.3")
    if not asked.label_smoothing:
        found.append("--set label_smoothing=0.1")
    return found


def _listed(found: list[str]) -> str:
    return f"{', '.join(found[:-1])} or {found[-1]} work" if len(found) > 1 else f"{found[0]} work"


def _underfitting(curves: Curves) -> Diagnosis | None:
    # Train's is of changed images, or with parts dropped, where that was asked for: val may be higher.
    best = curves.val_map[-1] if curves.val_map else max(curves.train_top1[-1], curves.val_top1[-1])
    if best >= FITTED or _gap(curves) or not _comparable(curves):
        return None
    more = (
        "Fine-tune (--strategy finetune-top)"
        if curves.start_loss is None
        else "Let more train (--strategy finetune-deep or full)"
    )
    return Diagnosis(
        "underfitting",
        f"{_reached(curves, 'only ')}: no gap, but much is not fitted",
        f"{more}, or take a larger --backbone or --image-size",
    )


def _unread(curves: Curves) -> Diagnosis | None:
    """Where images are blended train's top-1 is of others: too much fitted and too little look alike."""
    if _comparable(curves) or curves.val_map or curves.val_top1[-1] >= FITTED or _gap(curves):
        return None
    return Diagnosis(
        "unclear",
        f"{_reached(curves)}: blended, so whether too much or too little is fitted is not seen",
        "Train once without what mixes batches to see it",
    )


def _not_finished(curves: Curves) -> Diagnosis | None:
    count = len(curves.val_loss)
    if count < 3 or count < curves.epochs:
        return None
    before = min(curves.val_loss[: -max(1, round(LAST * count))])
    if not min(curves.val_loss[-2:]) < (1 - FALLING) * before:
        return None
    return Diagnosis(
        "not finished",
        f"{curves.name}: the val loss was still falling at its last epoch, {curves.val_loss[-1]:.3f} after "
        f"{before:.3f}",
        f"Give it longer: --set epochs={2 * curves.epochs}",
    )


def _error(curves: Curves) -> float:
    """Standard error of the last val top-1, of at least one image more and one less."""
    share = (curves.val_top1[-1] * curves.val_images + 1) / (curves.val_images + 2)
    return math.sqrt(share * (1 - share) / curves.val_images)


def _short(rate: float) -> str:
    return f"{float(f'{rate:.1g}'):g}"
