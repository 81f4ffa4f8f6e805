"""The recipe: everything that can be asked of a run, stated once.

Each field below is a YAML key, a `--set` key, a line of help and a line of the run's record; those with
a flag are options of the command line too. `auto` leaves the choice to the plan.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from transferkit.errors import RecipeError, UsageError, unknown_name
from transferkit.recipe.checking import AUTO, checked_value, knob

OPTIMIZERS = ("adamw", "adam", "sgd", "rmsprop", "adagrad")
STRATEGIES = (
    AUTO, "linear", "multistage", "finetune-top", "finetune-deep", "full", "surgical", "batchnorm",
)  # fmt: skip
FIND = "find"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What was asked of a run; `auto` where the plan decides. Checked when made by `from_mapping`."""

    backbone: str = knob(
        "mobilenet_v2", "Pretrained feature extractor; see 'transferkit backbones'.", flag=True
    )
    weights: str = knob("imagenet", "imagenet, none (random) or a .h5/.weights.h5/.keras file.", flag=True)
    weights_dir: str | None = knob(None, "Folder that is looked in first for ImageNet weights.", flag=True)
    strategy: str = knob(AUTO, "How to train; auto decides by the matrix.", choices=STRATEGIES, flag=True)
    similarity: str = knob(
        AUTO, "How like ImageNet the images are.", choices=(AUTO, "similar", "different"), flag=True
    )
    amount: str = knob(AUTO, "How many images there are.", choices=(AUTO, "little", "lots"), flag=True)
    seed: int = knob(
        0, "Of the split, the shuffling and random weights.", kind=int, low=0, high=2**31, flag=True
    )
    image_size: int | str = knob(
        AUTO,
        "Side in pixels; auto takes the backbone's own.",
        kind=int,
        low=32,
        high=2048,
        auto=True,
        flag=True,
    )
    batch_size: int = knob(
        32, "Images in a step; halved when memory runs out.", kind=int, low=1, high=65536, flag=True
    )
    resize: str = knob(
        AUTO,
        "crop the middle, pad to a square, or stretch; auto pads where many images are long.",
        choices=(AUTO, "crop", "pad", "stretch"),
        flag=True,
    )
    device: str = knob(AUTO, "auto, cpu, gpu or gpu:N.", flag=True)
    precision: str = knob(
        AUTO,
        "Of the arithmetic; auto is float32 on CPU.",
        choices=(AUTO, "float32", "mixed_bfloat16", "mixed_float16"),
        flag=True,
    )
    exclude: str | None = knob(None, "Text or CSV file with the paths to leave out.", flag=True)
    group_by: str | None = knob(
        None, "Manifest column, or regex on paths, of files that must share a split.", flag=True
    )
    near_duplicates: str = knob(
        "together",
        "Pictures that look the same share a split, or are taken as strangers.",
        choices=("together", "ignore"),
        flag=True,
    )
    splits: str | None = knob(None, "Run (or its content.csv) whose files keep their splits.", flag=True)
    val_fraction: float = knob(
        0.15, "Part set aside to choose with.", kind=float, low=0.01, high=0.8, flag=True
    )
    test_fraction: float | str = knob(
        AUTO,
        "Part set aside to report on; auto is 0.15, or 0 where val is given.",
        kind=float,
        low=0.0,
        high=0.8,
        auto=True,
        flag=True,
    )
    folds: int = knob(
        0,
        "Cross-validate the linear strategies on so many parts, 3 or more; 0 is none.",
        kind=int,
        low=0,
        high=100,
        flag=True,
    )
    balance: str = knob(
        AUTO,
        "Unequal classes: none, weights in the loss, or a sampler; auto weights them from 3 to 1.",
        choices=(AUTO, "none", "weights", "sampler"),
        flag=True,
    )
    limit_memory: float | str = knob(
        AUTO,
        "GB that decoded images may take in memory; auto is a quarter of what is free.",
        kind=float,
        low=0.0,
        high=1e6,
        auto=True,
        flag=True,
    )
    augment: str | list[Any] = knob(
        "none",
        "Random changes of training images: none, light, standard, strong, auto (what is safe is measured), "
        "a YAML file of steps, or the steps; 'transferkit augment --steps' lists them.",
        kind=list,
        flag=True,
    )
    views: int | str = knob(
        AUTO,
        "Augmented views of each training image that linear classifiers are tried with; auto: up to 4.",
        kind=int,
        low=0,
        high=64,
        auto=True,
    )
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
    optimizer: str = knob("adamw", "Of the fine-tuning phase.", choices=OPTIMIZERS)
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
        AUTO, "Stages from the input that do not train.", kind=int, low=0, high=100, auto=True
    )
    classifier: str = knob(
        AUTO,
        "The linear classifier: logistic regression or linear discriminant; auto cross-validates.",
        choices=(AUTO, "logistic", "discriminant"),
    )
    features: str = knob(
        AUTO,
        "What it sees: pooled means, deviations or grids beside them, or the best of all; auto tries.",
        choices=(AUTO, "means", "deviations", "grids", "selected"),
    )
    time_limit: float | None = knob(
        None, "Minutes that the plan must fit into.", kind=float, low=0.01, high=1e6, flag=True
    )
    strengths: int = knob(17, "L2 strengths tried for the linear classifier.", kind=int, low=15, high=200)
    bank_limit_gb: float = knob(
        10.0, "Disk that one bank of activation maps may take.", kind=float, low=0.0, high=1e5
    )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], source: str = "recipe") -> "Recipe":
        """A recipe from keys and values.

        Args:
            values: keys are field names.
            source: named in front of each fault, such as the file's name.

        Raises:
            RecipeError: all faults at once, one a line.
        """
        faults, good = [], {}
        for key, value in values.items():
            try:
                good[str(key)] = checked(str(key), value)
            except UsageError as error:
                faults.append(f"{source}: {key}: {error}" if source else f"{key}: {error}")
        if faults:
            head = f"{len(faults)} faults:\n  " if len(faults) > 1 else ""
            raise RecipeError(head + "\n  ".join(faults))
        return cls(**good)

    def updated(self, values: Mapping[str, Any], source: str) -> "Recipe":
        """This recipe with some keys replaced, checked like `from_mapping`."""
        new = Recipe.from_mapping(values, source)
        return replace(self, **{key: getattr(new, key) for key in values})

    def with_absolute_paths(self) -> "Recipe":
        """This recipe with its files and folders named from the root, so that it holds from anywhere."""

        def whole(path: str | None) -> str | None:
            return _absolute(path) if path else None

        named = self.weights in ("imagenet", "none")
        return replace(
            self,
            weights=self.weights if named else _absolute(self.weights),
            weights_dir=whole(self.weights_dir),
            exclude=whole(self.exclude),
            splits=whole(self.splits),
        )

    def as_dict(self) -> dict[str, Any]:
        """All keys and values, in the order they are declared."""
        return asdict(self)

    def to_yaml(self) -> str:
        """The whole recipe as YAML, defaults included, so that later defaults do not change it."""
        import yaml

        return str(yaml.safe_dump(self.as_dict(), sort_keys=False))


def _absolute(path: str) -> str:
    return str(Path(path).resolve())


KNOBS = {one.name: one for one in fields(Recipe)}


def checked(key: str, value: Any) -> Any:
    """A value in its right type.

    Raises:
        UsageError: no such key, or a value that is not allowed; says what is.
    """
    if key not in KNOBS:
        raise unknown_name("key", key, KNOBS, "'transferkit recipes --keys' lists all keys.")
    told = KNOBS[key].metadata
    if value is None and KNOBS[key].default is None:
        return None
    return checked_value(value, told)
