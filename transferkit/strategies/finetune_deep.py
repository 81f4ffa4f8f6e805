"""Thaw many stages: different data, lots of it."""

from transferkit.strategies.base import Phase, Setting, finetune_phase, linear_phase


def finetune_deep(setting: Setting) -> tuple[Phase, ...]:
    """The linear classifier, then every stage but the first thawed.

    The first stage's edge and colour filters serve any photograph and stay. A backbone of one stage
    is thawed whole. Source: Kumar 2022, LP-FT (arXiv:2202.10054), for the start.
    """
    frozen = min(1, len(setting.stages) - 1)
    return (
        linear_phase(setting, setting.stages[-1:]),
        finetune_phase(setting, freeze_depth=frozen),
    )
