"""Linear classifier on features of several stages: different data, little of it."""

from transferkit.errors import UsageError
from transferkit.strategies.base import FeatureSet, Phase, Setting, feature_sets, linear_phase
from transferkit.strategies.linear import linear


def multistage(setting: Setting) -> tuple[Phase, ...]:
    """The linear classifier on the last stage, then the one on the pooled features of several stages.

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
    return classifiers(setting)


def classifiers(setting: Setting, freeze_depth: int = 1) -> tuple[Phase, ...]:
    """The linear classifiers that a network can be fine-tuned from: what they see trains with it.

    Better features to start from are better at the end too: `docs/decision.md`.

    Args:
        setting: what is known and asked.
        freeze_depth: stages that are left as they are; only what follows them, with the activations at the
            cut, is seen. Of 0 and 1 that is all.
    """
    reached = setting.stages[max(0, freeze_depth - 1) :]
    if len(reached) < 2:
        return linear(setting)
    return (*linear(setting), linear_phase(setting, reached, "multistage", _choices(reached)))


def _choices(stages: tuple[str, ...]) -> tuple[FeatureSet, ...]:
    """Few, since each more is another chance to be taken in by cross-validation on few images.

    Measured on 11 sets and two backbones, these three reach 82.0 % test top-1, the best of some twenty in
    hindsight 83.2; thirteen to choose from are no better (`docs/decision.md`). Where things stand matters
    for digits and hands, where grids gain, and hurts on textures and satellite pictures, where deviations
    do; grids of the first stages never helped.
    """
    return (
        *feature_sets(stages[-1:], "deviations"),
        *feature_sets(stages, "deviations"),
        *feature_sets(stages[-3:], "grids"),
    )
