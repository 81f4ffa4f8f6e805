"""Linear classifier on the last stage: similar data, little of it."""

from transferkit.strategies.base import Phase, Setting, linear_phase


def linear(setting: Setting) -> tuple[Phase, ...]:
    """The linear classifier on the last stage's pooled features, and nothing else.

    Source: Kornblith 2019 (arXiv:1805.08974), fixed features with logistic regression.
    """
    return (linear_phase(setting, setting.stages[-1:]),)
