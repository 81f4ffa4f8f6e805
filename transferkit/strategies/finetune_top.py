"""Thaw a few stages: similar data, lots of it."""

from transferkit.strategies.base import Phase, Setting, finetune_phase
from transferkit.strategies.multistage import tuned


def finetune_top(setting: Setting) -> tuple[Phase, ...]:
    """The linear classifiers, then the last two fifths of the stages (at least one) thawed.

    Two fifths is from first looks, in which thawing more was seldom better and two to three times as slow
    (`docs/decision.md`). Starting from the fitted classifier keeps random gradients out of the pretrained
    features.
    Source: Kumar 2022, LP-FT (arXiv:2202.10054).
    """
    thawed = max(1, round(0.4 * len(setting.stages)))
    phase = finetune_phase(setting, freeze_depth=len(setting.stages) - thawed)
    return tuned(setting, phase)
