"""What a strategy is given and what it returns."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace

from transferkit.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Steps:
    """How steps are taken, as it is asked for and done.

    Attributes:
        optimizer: `adamw`, `adam`, `sgd`, `rmsprop` or `adagrad`.
        schedule: `cosine` to 0, `plateau` (a tenth when val stops improving) or `constant`.
        warmup_epochs: over which the rate grows from 0, may be a fraction.
        thaw_epochs: gradual unfreezing: after so many epochs the next stage towards the input joins,
            the head training alone at first; 0 thaws all at once.
        weight_decay: decoupled, per step and times the rate of the variable.
        l2_sp: weight of half the squared distance from the pretrained weights (Li 2018,
            arXiv:1802.01483); 0 is none.
        dropout: share of the head's inputs that are dropped in training.
        stochastic_depth: share of images for which the last residual branch is left out, see `training`.
        label_smoothing: share of the target spread over all classes.
        ema: decay of the moving average of weights that is judged and kept; 0 is none.
        find_rate: whether the learning rate is found by a range test on train before the phase.
    """

    optimizer: str = "adamw"
    schedule: str = "cosine"
    warmup_epochs: float = 1.0
    thaw_epochs: int = 0
    weight_decay: float = 1e-4
    l2_sp: float = 0.0
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    label_smoothing: float = 0.0
    ema: float = 0.0
    find_rate: bool = False


@dataclass(frozen=True, kw_only=True)
class Setting(Steps):
    """What a strategy decides from.

    Attributes:
        stages: names of the backbone's stages, nearest the input first.
        train_images: images in train.
        classes: how many.
        batch_size: images in a step.
        similarity: `similar` or `different`.
        epochs: asked for; None leaves the choice to the strategy. Likewise the other numbers.
        classifier, features: of the linear classifiers, as in the recipe.
        gradients: relative gradient norm of each stage, where it was measured (for `surgical`).
    """

    stages: tuple[str, ...]
    train_images: int
    classes: int
    similarity: str = "similar"
    batch_size: int = 32
    epochs: int | None = None
    patience: int | None = None
    learning_rate: float | None = None
    freeze_depth: int | None = None
    rate_decay: float | None = None
    momentum: float | None = None
    classifier: str = "auto"
    features: str = "auto"
    gradients: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """What a linear classifier may see of an image.

    Attributes:
        stages: names, nearest the input first.
        kinds: of what is pooled at each of them: `means`, `deviations` (spatial standard deviations),
            `grids` (means of 2x2 overlapping quarters).
        normalised: whether the features of each kind and stage are brought to unit length in every image,
            as Head2Toe does (Evci 2022, arXiv:2201.03529), and their scales are told apart with care:
            see `training.scaling`. False is plain standardisation.
        selected: shares of the features to choose from; empty keeps all.
    """

    stages: tuple[str, ...]
    kinds: tuple[str, ...] = ("means",)
    normalised: bool = False
    selected: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """In words, such as `means, deviations of stage4, stage5`."""
        words = f"{', '.join(self.kinds)} of {', '.join(self.stages)}"
        return f"{words}, the best selected" if self.selected else words


@dataclass(frozen=True, kw_only=True)
class Tuning(Steps):
    """How a fine-tuning phase takes its steps.

    Attributes:
        stages: names of the stages that train, nearest the input first; without a gap.
        only: `all` of their weights, or `batchnorm`: scales and offsets alone.
        rates: of each of `stages`, as a share of the phase's learning rate; the head's share is 1.
        momentum: of `sgd` and `rmsprop`.
    """

    stages: tuple[str, ...]
    only: str = "all"
    rates: tuple[float, ...] = ()
    momentum: float = 0.9


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A piece of training with one freeze depth and one schedule.

    Attributes:
        name: in `history.csv`.
        kind: `linear` (fitted on the bank) or `finetune` (gradient steps).
        features: stages whose pooled features the classifier sees; those that it may see where it is
            fine-tuned: from the cut on.
        freeze_depth: stages, counted from the input, before the first that trains.
        epochs: at most; 0 for `linear`.
        patience: epochs without a better smoothed val loss before stopping.
        learning_rate: the highest of the schedule.
        choices: feature sets that a linear phase chooses from by cross-validation on train; empty for
            the plain means of `features`. Of a fine-tuning phase those that its start may see.
        classifiers: to choose from likewise: `logistic`, `discriminant`.
        tuning: of a fine-tuning phase; None thaws all behind the freeze depth at one rate.
    """

    name: str
    kind: str
    features: tuple[str, ...]
    freeze_depth: int
    epochs: int = 0
    patience: int = 0
    learning_rate: float = 0.0
    choices: tuple[FeatureSet, ...] = ()
    classifiers: tuple[str, ...] = ("logistic",)
    tuning: Tuning | None = None


StrategyFunction = Callable[[Setting], tuple[Phase, ...]]


CLASSIFIERS = ("logistic", "discriminant")
# Kinds of pooled features, beside each other, by what the recipe calls them.
KINDS = {
    "means": ("means",),
    "deviations": ("means", "deviations"),
    "grids": ("means", "deviations", "grids"),
}
# Of the features that tell the classes apart best, where the recipe asks for a selection (an option only:
# keeping all was never worse, `docs/decision.md`).
SHARES = (0.1, 0.25, 0.5, 1.0)


def linear_phase(
    setting: Setting, features: tuple[str, ...], name: str, choices: tuple[FeatureSet, ...]
) -> Phase:
    """A linear classifier on some stages: nothing of the backbone trains.

    Args:
        setting: its `classifier` and `features` restrict what is tried.
        features: the stages, where nothing is left to choose.
        name: of the phase.
        choices: feature sets to choose from.
    """
    return Phase(
        name=name,
        kind="linear",
        features=features,
        freeze_depth=len(setting.stages),
        choices=_restricted(setting, features, choices),
        classifiers=CLASSIFIERS if setting.classifier == "auto" else (setting.classifier,),
    )


def feature_sets(stages: tuple[str, ...], *kinds: str) -> tuple[FeatureSet, ...]:
    """The same stages with each of some `KINDS`."""
    return tuple(FeatureSet(stages=stages, kinds=KINDS[kind], normalised=True) for kind in kinds)


def _restricted(
    setting: Setting, stages: tuple[str, ...], offered: tuple[FeatureSet, ...]
) -> tuple[FeatureSet, ...]:
    """The feature sets that the recipe leaves to choose from; a kind that none has gets a set of its own."""
    if setting.features == "auto":
        return offered
    if setting.features == "selected":
        (whole,) = feature_sets(stages, "grids")
        return (replace(whole, selected=SHARES),)
    if setting.features == "means" and setting.classifier == "logistic":
        # Plain logistic regression on plain means, the baseline of the literature (Kornblith 2019).
        return (FeatureSet(stages=stages),)
    wanted = KINDS[setting.features]
    return tuple(one for one in offered if one.kinds == wanted) or feature_sets(stages, setting.features)


def finetune_phase(
    setting: Setting,
    *,
    freeze_depth: int,
    stages: tuple[str, ...] | None = None,
    only: str = "all",
) -> Phase:
    """Gradient steps behind a cut, starting from a linear classifier.

    Epochs are chosen so that small sets get some 1,000 steps and large ones 10 epochs; what the
    setting states goes first. Source of the order: BiT's 500 steps for under 20,000 images
    (Kolesnikov 2020, hyperrule) at batch 512. Patience is half of the epochs: val loss rises at first
    while the pretrained features give way, and what a cosine brings comes at its end.

    Args:
        setting: what is known and asked.
        freeze_depth: where the setting states none.
        stages: that train; None takes all behind the freeze depth.
        only: see `Tuning`.

    Raises:
        UsageError: a freeze depth that leaves nothing to train.
    """
    depth = freeze_depth if setting.freeze_depth is None else setting.freeze_depth
    if depth >= len(setting.stages):
        raise UsageError(
            f"freeze_depth {depth} leaves nothing to train: the backbone has "
            f"{len(setting.stages)} stages. Allowed: 0 to {len(setting.stages) - 1}."
        )
    trains = setting.stages[depth:] if stages is None else stages
    steps_per_epoch = max(1, setting.train_images // setting.batch_size)
    epochs = setting.epochs or min(40, max(10, round(1000 / steps_per_epoch)))
    return Phase(
        name="finetune",
        kind="finetune",
        features=setting.stages[max(0, depth - 1) :],
        freeze_depth=depth,
        epochs=epochs,
        patience=setting.patience or max(5, math.ceil(epochs / 2)),
        learning_rate=setting.learning_rate or _rate(setting, only),
        tuning=_tuning(setting, trains, only),
    )


# Highest rate of AdamW at the head. What is unlike ImageNet has further to go. Source of the order: Li 2020
# (arXiv:2002.11770); 1e-3 and the halving by stage are from first looks (`docs/decision.md`), 5e-4 assumed.
RATE = {"similar": 5e-4, "different": 1e-3}
# What the other optimizers need of that: those that do not divide by the gradient's size take more.
OPTIMIZER_RATE = {"adamw": 1.0, "adam": 1.0, "rmsprop": 0.3, "sgd": 10.0, "adagrad": 10.0}
# Stages nearer the input hold what more tasks share, so they move less. Source of the idea: ULMFiT's
# discriminative rates (Howard 2018, arXiv:1801.06146).
RATE_DECAY = 0.5


def _rate(setting: Setting, only: str) -> float:
    similarity = "different" if only == "batchnorm" else setting.similarity
    return RATE[similarity] * OPTIMIZER_RATE[setting.optimizer]


def _tuning(setting: Setting, stages: tuple[str, ...], only: str) -> Tuning:
    own = 1.0 if only == "batchnorm" else RATE_DECAY  # a few scales and offsets cannot spoil much
    decay = own if setting.rate_decay is None else setting.rate_decay
    # From the last that trains: where early stages are chosen, they are what is to learn.
    behind = range(len(stages) - 1, -1, -1)
    return Tuning(
        stages=stages,
        only=only,
        rates=tuple(round(decay**steps, 6) for steps in behind),
        momentum=_momentum(setting),
        **{each.name: getattr(setting, each.name) for each in fields(Steps)},
    )


def _momentum(setting: Setting) -> float:
    """Source: Li 2020 (arXiv:2002.11770): what is like the source wants little momentum, what is not 0.9.

    Taken over, not measured here.
    """
    if setting.momentum is not None:
        return setting.momentum
    return 0.9 if setting.similarity == "different" else 0.0
