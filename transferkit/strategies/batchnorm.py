"""Train scales and offsets of BatchNorm only."""

from transferkit.strategies.base import Phase, Setting, finetune_phase
from transferkit.strategies.multistage import tuned


def batchnorm(setting: Setting) -> tuple[Phase, ...]:
    """The linear classifiers, then BatchNorm's scales and offsets in every stage, and the head.

    Some 2 % of the parameters, so little data cannot spoil much. Source: Mudrakarta 2019, K for the
    price of 1 (arXiv:1810.10703).
    """
    phase = finetune_phase(setting, freeze_depth=0, only="batchnorm")
    return tuned(setting, phase)
