"""Thaw many stages: different data, lots of it."""

from transferkit.strategies.base import Phase, Setting, finetune_phase
from transferkit.strategies.multistage import tuned


def finetune_deep(setting: Setting) -> tuple[Phase, ...]:
    """The linear classifiers, then every stage but the first thawed.

    The first stage's edge and colour filters serve any photograph and stay. A backbone of one stage
    is thawed whole. Source: Kumar 2022, LP-FT (arXiv:2202.10054), for the start.
    """
    frozen = min(1, len(setting.stages) - 1)
    phase = finetune_phase(setting, freeze_depth=frozen)
    return tuned(setting, phase)
