"""Thaw the first, the middle or the last stages: those that the new data pull at hardest."""

from transferkit.errors import UsageError
from transferkit.strategies.base import Phase, Setting, finetune_phase
from transferkit.strategies.multistage import tuned


def surgical(setting: Setting) -> tuple[Phase, ...]:
    """The linear classifiers, then that third of the stages with the highest relative gradient norm.

    Without measured gradients the last third. Source: Lee 2023, surgical fine-tuning
    (arXiv:2210.11466): a shift of the pixels wants the first layers, one of the labels the last.

    Raises:
        UsageError: a freeze depth is stated.
    """
    if setting.freeze_depth is not None:
        raise UsageError(
            f"freeze_depth {setting.freeze_depth} says nothing to strategy surgical, which chooses by the "
            "gradients what it thaws. Leave it at auto, or use finetune-top, finetune-deep or full."
        )
    start, stop = _chosen(setting)
    phase = finetune_phase(setting, freeze_depth=start, stages=setting.stages[start:stop])
    return tuned(setting, phase)


def _chosen(setting: Setting) -> tuple[int, int]:
    """The first stage that trains and the one behind the last, by number from 0."""
    count = len(setting.stages)
    width = max(1, round(count / 3))
    starts = sorted({0, (count - width) // 2, count - width})
    pull = [setting.gradients.get(stage, 0.0) for stage in setting.stages]
    # Of equals the last, which costs least.
    best = max(starts, key=lambda start: (sum(pull[start : start + width]), start))
    return best, best + width
