"""What a run starts from: the backbone, the strategy, the machine; and the images."""

from dataclasses import dataclass
from typing import Any

from transferkit.recipe.checking import AUTO, knob

STRATEGIES = (
    AUTO, "linear", "multistage", "finetune-top", "finetune-deep", "full", "surgical", "batchnorm",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Start:
    """Keys of the network and of the machine."""

    backbone: str = knob(
        "mobilenet_v2", "Pretrained feature extractor; see 'transferkit backbones'.", flag=True
    )
    weights: str = knob("imagenet", "imagenet, none (random) or a .h5/.weights.h5/.keras file.", flag=True)
    weights_dir: str | None = knob(None, "Folder that is looked in first for ImageNet weights.", flag=True)
    offline: bool = knob(
        False,
        "Never ask the network for weights: what is not on this machine is an error.",
        kind=bool,
        flag=True,
    )
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


@dataclass(frozen=True, kw_only=True)
class Images:
    """Keys of the images."""

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
    augment: str | list[Any] | dict[str, Any] = knob(
        "none",
        "Random changes of training images: none, light, standard, strong, auto (what is safe is measured), "
        "a YAML file of steps, or (in a recipe) the steps or NAME: steps; 'transferkit augment --steps' "
        "lists them.",
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
