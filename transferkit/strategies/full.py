"""Thaw everything."""

from transferkit.strategies.base import Phase, Setting, finetune_phase, linear_phase


def full(setting: Setting) -> tuple[Phase, ...]:
    """The linear classifier, then all stages thawed."""
    return (
        linear_phase(setting, setting.stages[-1:]),
        finetune_phase(setting, freeze_depth=0),
    )
