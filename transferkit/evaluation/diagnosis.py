"""What the curves of a run say: too much or too little fitted, a rate too high or low, and what to change.

Pure rules on numbers that every run has. They follow the advice of the classic lectures on reading loss
curves (Stanford CS231n, "Babysitting the learning process"); the borders are readings of real runs, told
beside each.
"""

from dataclasses import dataclass

from transferkit.evaluation.curves import Asked, Curves
from transferkit.evaluation.readings import (
    FITTED,
    RISE,
    SMALL_LOSS,
    apart,
    broken,
    comparable,
    gap,
    harder,
    lost,
    unsteady,
)

# Share of the train loss that a phase must take away to have learned anything.
LEARNED = 0.05
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
    rules = [_too_high, _too_low, _overfitting, _underfitting, _unread, _not_finished]
    if _too_high(curves) and not curves.exploded:
        # What steps that went too far left behind says nothing of how much there was to fit.
        rules = [_too_high, *([_overfitting] if apart(curves) else []), _not_finished]
    found = tuple(told for rule in rules if (told := rule(curves)))
    if found:
        return found
    return (Diagnosis("sound", f"{_reached(curves)}; {_rest(curves)}", ""),)


def _rest(curves: Curves) -> str:
    """What there is to say where no rule found anything."""
    if not comparable(curves) and curves.val_map and curves.val_map[-1] < FITTED:
        return "train's loss has weights, mixed images or a penalty in it, so no gap is read from the two"
    if lost(curves):
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


def _too_high(curves: Curves) -> Diagnosis | None:
    if curves.exploded:
        return _exploding(curves)
    if curves.start_loss is None or curves.worth:
        return None
    told = broken(curves) or unsteady(curves)
    if not told:
        return None
    return Diagnosis(
        "rate too high",
        f"{curves.name}: {told}",
        f"Take a third of it: --set learning_rate={_short(curves.rate / 3)}, or --set learning_rate=find",
    )


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
    if not gap(curves):
        return None
    apart_by = _reached(curves)
    if curves.start_loss is None:
        return Diagnosis(
            "overfitting",
            f"{apart_by}, far apart"
            if curves.val_map
            else f"{apart_by}, further apart than chance would bring them",
            "More images help, as far as the learning curve still rises"
            + ("" if curves.asked.augmented else "; then augmentation with fine-tuning (--augment auto)"),
        )
    lowest, last = min(curves.val_loss), curves.val_loss[-1]
    risen = f", and the val loss rose from {lowest:.3f} to {last:.3f}" if last > RISE * lowest else ""
    return Diagnosis(
        "overfitting",
        apart_by + risen,
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
    if harder(curves) and (curves.val_top1[-1] < FITTED or lost(curves)):
        return _made_too_hard(curves)
    best = curves.val_map[-1] if curves.val_map else max(curves.train_top1[-1], curves.val_top1[-1])
    if best >= FITTED or gap(curves) or not comparable(curves):
        return None
    weaker = ", a weaker policy (down to --augment none)" if _changes(curves) else ""
    return Diagnosis(
        "underfitting",
        f"{_reached(curves, 'only ')}: no gap beyond chance, but much is not fitted",
        f"{_more(curves)}, or take a larger --backbone or --image-size{weaker}",
    )


def _changes(curves: Curves) -> bool:
    """Whether images were changed where steps were taken; for what was fitted views were tried."""
    return curves.asked.augmented and curves.start_loss is not None


def _more(curves: Curves) -> str:
    """How more of the network might train."""
    if curves.start_loss is None:
        return "Fine-tune (--strategy finetune-top)"
    if curves.asked.freeze_depth:
        return f"Let more stages train (--set freeze_depth={curves.asked.freeze_depth - 1})"
    return f"Give it longer ({_longer(curves)})"


def _longer(curves: Curves) -> str:
    """By which key a phase goes on for longer: one that stopped early had more epochs than it took."""
    used = len(curves.val_loss) >= curves.epochs
    return f"--set epochs={2 * curves.epochs}" if used else f"--set patience={2 * len(curves.val_loss)}"


def _made_too_hard(curves: Curves) -> Diagnosis:
    asked = curves.asked
    depth = asked.stochastic_depth
    weaker = [
        *([f"less dropout (--set dropout={asked.dropout / 2:.2g})"] if asked.dropout else []),
        *([f"less stochastic depth (--set stochastic_depth={depth / 2:.2g})"] if depth else []),
        *(["a weaker policy (down to --augment none)"] if asked.augmented else []),
    ]
    lower = ", and no epoch's val loss came below the start's" if lost(curves) else ""
    return Diagnosis(
        "underfitting",
        f"{_reached(curves, 'only ')}: train is harder than val, by what changes its images or drops parts "
        f"of them, and not fitted{lower}",
        f"Take {' or '.join(weaker)}, or give it longer ({_longer(curves)})",
    )


def _unread(curves: Curves) -> Diagnosis | None:
    """Where images are blended train's top-1 is of others: too much fitted and too little look alike."""
    if comparable(curves) or curves.val_map or curves.val_top1[-1] >= FITTED or gap(curves):
        return None
    return Diagnosis(
        "unclear",
        f"{_reached(curves)}: blended, so whether too much or too little is fitted is not seen",
        "Train once without what mixes batches to see it",
    )


def _not_finished(curves: Curves) -> Diagnosis | None:
    count = len(curves.val_loss)
    if count < 3 or count < curves.epochs or (harder(curves) and lost(curves)):
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


def _short(rate: float) -> str:
    return f"{float(f'{rate:.1g}'):g}"
