"""When a fine-tuning phase is fast and slow, and which stages train when. Pure functions."""

import math
from collections.abc import Sequence

from transferkit.strategies.base import Phase, Tuning

# A plateau ends the rate's stay after so many epochs without a better smoothed val loss, twice at most:
# a third tenth of a fine-tuning rate moves nothing. Source of the tenths: BiT (Kolesnikov 2020,
# arXiv:1912.11370), which divides by 10 at fixed steps; here val says when.
PLATEAU_PATIENCE = 2
MOST_CUTS = 2


def rate(phase: Phase, *, step: int, steps_per_epoch: int, cuts: int = 0) -> float:
    """Learning rate of a step of a phase, before any stage's share.

    It grows linearly over the warm-up, whose last step has the phase's learning rate. Behind it `cosine`
    falls as a half cosine that reaches 0 at the end of the last epoch, `constant` stays, and `plateau` is
    a tenth after each cut. Source of the cosine: Loshchilov and Hutter 2017 (arXiv:1608.03983), without
    restarts.

    Args:
        phase: its epochs, learning rate and tuning.
        step: from 0, counted over all epochs of the phase.
        steps_per_epoch: at least 1.
        cuts: of `plateau`, so far; see `plateau_cut`.
    """
    tuning = _tuning(phase)
    total = phase.epochs * steps_per_epoch
    warmup = _warmup_steps(phase, steps_per_epoch)
    if step < warmup:
        return phase.learning_rate * (step + 1) / warmup
    if tuning.schedule == "cosine":
        done = min(1.0, (step - warmup) / (total - warmup))
        return phase.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
    return phase.learning_rate / 10**cuts if tuning.schedule == "plateau" else phase.learning_rate


def _warmup_steps(phase: Phase, steps_per_epoch: int) -> int:
    """At most half of the phase's steps: a single epoch would do nothing but warm up."""
    asked = round(_tuning(phase).warmup_epochs * steps_per_epoch)
    return min(asked, phase.epochs * steps_per_epoch // 2)


def thawed(phase: Phase, epoch: int) -> tuple[str, ...]:
    """Stages that train in an epoch (from 0) beside the head, nearest the input first.

    With gradual unfreezing the head trains alone for `thaw_epochs`, then after each so many epochs the
    next stage towards the input joins. Source: Howard and Ruder 2018 (arXiv:1801.06146), section 3.3,
    who thaw layers of a language model.
    """
    tuning = _tuning(phase)
    if not tuning.thaw_epochs:
        return tuning.stages
    joined = min(len(tuning.stages), epoch // tuning.thaw_epochs)
    return tuning.stages[len(tuning.stages) - joined :]


def plateau_cut(
    val_losses: Sequence[float],
    *,
    smoothing: float,
    patience: int = PLATEAU_PATIENCE,
    most: int = MOST_CUTS,
) -> int:
    """How often the rate has been cut by the end of some epochs.

    It is cut when the smoothed val loss was not below its best for `patience` epochs since that best or
    since the last cut. A function of all losses so far, so a resumed run comes to the same.

    Args:
        val_losses: of the epochs so far, at least one; the first is the first best.
        smoothing: weight of the past in the smoothed loss.
        patience: epochs.
        most: cuts.
    """
    best = smoothed = val_losses[0]
    cuts = wait = 0
    for loss in val_losses[1:]:
        smoothed = smoothing * smoothed + (1 - smoothing) * loss
        if smoothed < best:
            best, wait = smoothed, 0
            continue
        wait += 1
        if wait >= patience and cuts < most:
            cuts, wait = cuts + 1, 0
    return cuts


def _tuning(phase: Phase) -> Tuning:
    return phase.tuning or Tuning(stages=())
