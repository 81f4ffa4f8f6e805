"""Linear classifier on features of several stages: different data, little of it."""

from transferkit.errors import UsageError
from transferkit.strategies.base import Phase, Setting, linear_phase


def multistage(setting: Setting) -> tuple[Phase, ...]:
    """The linear classifier on the last stage, then the one on the pooled features of every stage.

    Where the images differ from ImageNet, earlier stages (edges, textures, parts) carry labels
    that the last one has lost. Source: Evci 2022, Head2Toe (arXiv:2201.03529).

    Raises:
        UsageError: a backbone of one stage.
    """
    if len(setting.stages) < 2:
        raise UsageError(
            "multistage needs a backbone with several stages, and this one has a single stage. "
            "Use --strategy linear, or another backbone."
        )
    return (
        linear_phase(setting, setting.stages[-1:]),
        linear_phase(setting, setting.stages, name="multistage"),
    )
