"""What a strategy is given and what it returns."""

from collections.abc import Callable
from dataclasses import dataclass

from transferkit.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a strategy decides from.

    Attributes:
        stages: names of the backbone's stages, nearest the input first.
        train_images: images in train.
        classes: how many.
        batch_size: images in a step.
        epochs: asked for; None leaves the choice to the strategy. Likewise the rest.
    """

    stages: tuple[str, ...]
    train_images: int
    classes: int
    batch_size: int = 32
    epochs: int | None = None
    patience: int | None = None
    learning_rate: float | None = None
    freeze_depth: int | None = None


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A piece of training with one freeze depth and one schedule.

    Attributes:
        name: in `history.csv`.
        kind: `linear` (fitted on the bank) or `finetune` (gradient steps).
        features: stages whose pooled features the classifier sees.
        freeze_depth: stages, counted from the input, that do not train.
        epochs: at most; 0 for `linear`.
        patience: epochs without a better smoothed val loss before stopping.
        learning_rate: the highest of the schedule: an epoch of warm-up, then a half cosine.
    """

    name: str
    kind: str
    features: tuple[str, ...]
    freeze_depth: int
    epochs: int = 0
    patience: int = 0
    learning_rate: float = 0.0


StrategyFunction = Callable[[Setting], tuple[Phase, ...]]


def linear_phase(setting: Setting, features: tuple[str, ...], name: str = "linear") -> Phase:
    """A linear classifier on some stages: nothing of the backbone trains."""
    return Phase(name=name, kind="linear", features=features, freeze_depth=len(setting.stages))


def finetune_phase(setting: Setting, *, freeze_depth: int, learning_rate: float) -> Phase:
    """Gradient steps behind a cut, starting from the linear classifier.

    Epochs are chosen so that small sets get some 1,000 steps and large ones 10 epochs; what the
    setting states goes first. Source of the order: BiT's 500 steps for under 20,000 images
    (Kolesnikov 2020, hyperrule) at batch 512; doubled, as early stopping ends what is too long.

    Raises:
        UsageError: a freeze depth that leaves nothing to train.
    """
    depth = freeze_depth if setting.freeze_depth is None else setting.freeze_depth
    if depth >= len(setting.stages):
        raise UsageError(
            f"freeze_depth {depth} leaves nothing to train: the backbone has "
            f"{len(setting.stages)} stages. Allowed: 0 to {len(setting.stages) - 1}."
        )
    steps_per_epoch = max(1, setting.train_images // setting.batch_size)
    epochs = min(40, max(10, round(1000 / steps_per_epoch)))
    return Phase(
        name="finetune",
        kind="finetune",
        features=setting.stages[-1:],
        freeze_depth=depth,
        epochs=setting.epochs or epochs,
        patience=setting.patience or 5,
        learning_rate=setting.learning_rate or learning_rate,
    )
