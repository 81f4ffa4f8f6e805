"""How a network and its linear classifiers are fitted."""

from dataclasses import dataclass

from transferkit.recipe.checking import AUTO, knob

OPTIMIZERS = ("adamw", "adam", "sgd", "rmsprop", "adagrad")
FIND = "find"
# As many as any backbone has; more than a backbone has are refused with its plan.
STAGE_NAMES = tuple(f"stage{number}" for number in range(1, 10))


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """Keys of the steps that are taken, and of the linear classifiers."""

    epochs: int | str = knob(
        AUTO, "At most, in the fine-tuning phase.", kind=int, low=1, high=100_000, auto=True
    )
    patience: int | str = knob(
        AUTO,
        "Epochs without a better smoothed val loss before stopping.",
        kind=int,
        low=1,
        high=100_000,
        auto=True,
    )
    learning_rate: float | str = knob(
        AUTO,
        "Highest rate of the fine-tuning phase; find takes it from a range test on train.",
        kind=float,
        low=1e-9,
        high=1e6,
        auto=True,
        words=(FIND,),
    )
    rate_decay: float | str = knob(
        AUTO,
        "Learning rate of a stage as a share of that of the stage behind it.",
        kind=float,
        low=0.01,
        high=1.0,
        auto=True,
    )
    optimizer: str = knob(
        "adamw",
        "Of the fine-tuning phase; weight decay is decoupled for all, so adam and adamw are the same.",
        choices=OPTIMIZERS,
    )
    momentum: float | str = knob(
        AUTO,
        "Of sgd and rmsprop; auto is 0.9 for data different from ImageNet, else 0.",
        kind=float,
        low=0.0,
        high=0.999,
        auto=True,
    )
    schedule: str = knob(
        "cosine",
        "Of the rate: cosine to zero, plateau (a tenth when val stops improving) or constant.",
        choices=("cosine", "plateau", "constant"),
    )
    warmup_epochs: float = knob(
        1.0, "Epochs over which the rate grows from zero.", kind=float, low=0.0, high=1000.0
    )
    thaw_epochs: int = knob(
        0,
        "Gradual unfreezing: epochs before the next stage joins, the head first; 0 thaws all at once.",
        kind=int,
        low=0,
        high=1000,
    )
    weight_decay: float = knob(1e-4, "Decoupled decay of weights.", kind=float, low=0.0, high=10.0)
    l2_sp: float = knob(0.0, "Pull towards the pretrained weights.", kind=float, low=0.0, high=100.0)
    dropout: float = knob(
        0.0, "Share of the head's inputs dropped in training.", kind=float, low=0.0, high=0.95
    )
    stochastic_depth: float = knob(
        0.0,
        "Share of images for which the last branch is left out in training (efficientnet, convnext).",
        kind=float,
        low=0.0,
        high=0.9,
    )
    label_smoothing: float = knob(
        0.0, "Share of the target spread over all classes.", kind=float, low=0.0, high=0.9
    )
    ema: float = knob(
        0.0,
        "Decay of the moving average of weights that is judged and kept; 0 is none.",
        kind=float,
        low=0.0,
        high=0.9999,
    )
    loss_smoothing: float = knob(
        0.5,
        "Weight of the past in the smoothed val loss; 0 is none.",
        kind=float,
        low=0.0,
        high=0.99,
    )
    freeze_depth: int | str = knob(
        AUTO,
        "How many stages from the input do not train, or the name of the last of them.",
        kind=int,
        low=0,
        high=100,
        auto=True,
        words=STAGE_NAMES,
    )
    classifier: str = knob(
        AUTO,
        "The linear classifier: logistic regression or linear discriminant; auto cross-validates.",
        choices=(AUTO, "logistic", "discriminant"),
    )
    l2: float | str = knob(
        AUTO,
        "Strength of the logistic regression's penalty; auto lets val choose.",
        kind=float,
        low=1e-6,
        high=1e9,
        auto=True,
    )
    features: str = knob(
        AUTO,
        "What it sees: pooled means, deviations or grids beside them, or the best of all; auto tries.",
        choices=(AUTO, "means", "deviations", "grids", "selected"),
    )
