"""Thaw everything."""

from transferkit.strategies.base import Phase, Setting, finetune_phase
from transferkit.strategies.multistage import tuned


def full(setting: Setting) -> tuple[Phase, ...]:
    """The linear classifiers, then all stages thawed."""
    phase = finetune_phase(setting, freeze_depth=0)
    return tuned(setting, phase)
