"""The plan: a recipe resolved against one data set, with the reasons."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from transferkit.backbones.catalogue import BackboneSpec
from transferkit.data.balance import AUTO_RATIO, class_weights, imbalance_ratio
from transferkit.data.index import Index
from transferkit.errors import UsageError
from transferkit.recipe import AUTO, Recipe
from transferkit.strategies import STRATEGIES, Phase, Setting, matrix

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What is done about classes of unequal size.

    Attributes:
        method: `none`, `weights` (in the loss) or `sampler` (classes drawn equally often; the linear
            classifier, which draws nothing, takes weights).
        ratio: images of the largest class of train over those of the smallest.
        weights: of each class by name, N / (C n_c); empty for `none`.
        reason: why, in a sentence.
    """

    method: str
    ratio: float
    weights: dict[str, float]
    reason: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be done; no `auto` is left in it.

    Attributes:
        quadrant: the cell of the matrix, such as `different-little`.
        strategy: its name; `phases` what it does, in order.
        reasons: a sentence for each decision.
        evidence: the numbers behind them.
        resize: how images are made square: `crop`, `pad` or `stretch`.
        balance: what is done about unequal classes.
        multilabel: whether an image may have several classes.
        resolved: the values in force of the keys that depend on data, backbone or strategy.
    """

    backbone: str
    image_size: int
    quadrant: str
    similarity: str
    amount: str
    strategy: str
    phases: tuple[Phase, ...]
    reasons: tuple[str, ...]
    evidence: dict[str, Any]
    resize: str
    balance: Balance
    multilabel: bool
    resolved: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The content of plan.json."""
        return asdict(self)

    @property
    def linear(self) -> Phase:
        """The phase that fits the linear classifier; every strategy begins with it."""
        return self.phases[0]

    @property
    def finetune(self) -> Phase | None:
        """The phase that takes gradient steps, if the strategy has one."""
        return next((phase for phase in self.phases if phase.kind == "finetune"), None)


def make_plan(recipe: Recipe, spec: BackboneSpec, index: Index) -> Plan:
    """The plan for a recipe, a backbone and a split index.

    Args:
        recipe: what is asked.
        spec: of the backbone.
        index: looked at and split: columns label, split, width, height.

    Raises:
        UsageError: the recipe asks for what this backbone or strategy cannot do.
    """
    train = index.files[index.files["split"] == "train"]
    counts = index.counted(train)
    per_class = float(median(counts.values()))
    cell = matrix.place(
        similarity=_stated(recipe.similarity), amount=_stated(recipe.amount), per_class=per_class
    )
    strategy, why = _strategy(recipe, spec, cell)
    setting = _setting(recipe, spec, len(train), len(counts))
    phases = STRATEGIES[strategy](setting)
    _check(recipe, strategy, phases)
    image_size = int(_number(recipe.image_size) or spec.image_size)
    resize, resize_why, long_share = _resize(recipe, train)
    balance = decide_balance(recipe.balance, counts)
    return Plan(
        backbone=spec.name,
        image_size=image_size,
        quadrant=cell.quadrant,
        similarity=cell.similarity,
        amount=cell.amount,
        strategy=strategy,
        phases=phases,
        reasons=(*cell.reasons, why, *_phase_reasons(phases, setting), resize_why, balance.reason),
        evidence={
            "images": {str(s): int(n) for s, n in index.files["split"].value_counts().sort_index().items()},
            "train_images": len(train),
            "train_images_per_class_median": per_class,
            "classes": setting.classes,
            "lots_from_per_class": matrix.LOTS_FROM_PER_CLASS[cell.similarity],
            "long_images_share": long_share,
            "imbalance_ratio": balance.ratio,
        },
        resize=resize,
        balance=balance,
        multilabel=index.multilabel,
        resolved=_resolved(phases, image_size, strategy) | {"resize": resize, "balance": balance.method},
    )


def _check(recipe: Recipe, strategy: str, phases: tuple[Phase, ...]) -> None:
    if recipe.freeze_depth != AUTO and phases[-1].kind == "linear":
        raise UsageError(
            f"freeze_depth {recipe.freeze_depth} says nothing to strategy {strategy}, which trains "
            "no stage. Use finetune-top, finetune-deep or full, or leave it at auto."
        )
    if recipe.folds in (1, 2):
        raise UsageError(
            f"folds {recipe.folds} is not allowed: 0 (none), or 3 and more: one part is judged, one "
            "chooses the strength, the rest trains."
        )


# Longer than this, the middle crop cuts away over half of an image.
LONG_ASPECT = 2.0
LONG_SHARE = 0.25


def _resize(recipe: Recipe, train: "pd.DataFrame") -> tuple[str, str, float]:
    """(how images are made square, why, the share of long images in train)."""
    sides = train[["width", "height"]]
    long = float((sides.max(axis=1) > LONG_ASPECT * sides.min(axis=1)).mean())
    if recipe.resize != AUTO:
        return recipe.resize, f"Resize stated: {recipe.resize}.", long
    share = f"{long:.0%} of the train images are longer than {LONG_ASPECT:g} to 1"
    if long > LONG_SHARE:
        return "pad", f"Images are padded: {share}, and a middle crop would lose over half of each.", long
    return "crop", f"The middle of each image is taken, as in ImageNet training: {share}.", long


def decide_balance(asked: str, counts: Mapping[str, int]) -> Balance:
    """What to do about unequal classes.

    Args:
        asked: `auto`, `none`, `weights` or `sampler`.
        counts: images of each class in train, by name.
    """
    images = np.array(list(counts.values()))
    ratio = imbalance_ratio(images)
    sizes = f"the largest class of train has {ratio:.1f} times the images of the smallest"
    if asked != AUTO:
        method, reason = asked, f"Balance stated: {asked}; {sizes}."
    elif ratio > AUTO_RATIO:
        method, reason = "weights", f"Classes are weighted: {sizes}, over {AUTO_RATIO:g}."
    else:
        method, reason = "none", f"Classes are not weighted: {sizes}, not over {AUTO_RATIO:g}."
    weights: dict[str, float] = {}
    if method != "none":
        found = class_weights(images).tolist()
        weights = {name: round(weight, 6) for name, weight in zip(counts, found, strict=True)}
        reason = f"{reason[:-1]}: {_listed_weights(weights)}."
    return Balance(method=method, ratio=ratio, weights=weights, reason=reason)


def _listed_weights(weights: Mapping[str, float]) -> str:
    """All weights of a few classes; of many the smallest and the largest."""
    names = sorted(weights, key=weights.__getitem__)
    if len(names) <= LISTED_WEIGHTS:
        return ", ".join(f"{name} {weights[name]:.3g}" for name in weights)
    first, last = names[0], names[-1]
    return f"from {weights[first]:.3g} ({first}) to {weights[last]:.3g} ({last})"


LISTED_WEIGHTS = 10


def _stated(value: str) -> str | None:
    return None if value == AUTO else value


def _number(value: Any) -> Any:
    return None if value == AUTO else value


def _setting(recipe: Recipe, spec: BackboneSpec, images: int, classes: int) -> Setting:
    return Setting(
        stages=tuple(f"stage{n}" for n in range(1, len(spec.stages) + 1)),
        train_images=images,
        classes=classes,
        batch_size=recipe.batch_size,
        epochs=_number(recipe.epochs),
        patience=_number(recipe.patience),
        learning_rate=_number(recipe.learning_rate),
        freeze_depth=_number(recipe.freeze_depth),
    )


def _strategy(recipe: Recipe, spec: BackboneSpec, cell: matrix.Cell) -> tuple[str, str]:
    if recipe.strategy != AUTO:
        chosen = "" if recipe.strategy == cell.strategy else f" (the matrix says {cell.strategy})"
        return recipe.strategy, f"Strategy stated: {recipe.strategy}{chosen}."
    if cell.strategy == "multistage" and len(spec.stages) < 2:
        return "linear", f"{spec.name} is a single stage, so linear stands in for multistage."
    words = f"{cell.similarity} to ImageNet" if cell.similarity == "similar" else "different from ImageNet"
    return cell.strategy, f"The matrix: {words}, {cell.amount} of data: {cell.strategy}."


def _phase_reasons(phases: tuple[Phase, ...], setting: Setting) -> tuple[str, ...]:
    tuned = [phase for phase in phases if phase.kind == "finetune"]
    if not tuned:
        return ()
    phase = tuned[0]
    thawed = setting.stages[phase.freeze_depth :]
    return (
        f"Fine-tuning thaws {', '.join(thawed)} (freeze depth {phase.freeze_depth} of "
        f"{len(setting.stages)}), starts from the linear classifier, and is kept only if it is "
        "better on val.",
    )


def _resolved(phases: tuple[Phase, ...], image_size: int, strategy: str) -> dict[str, Any]:
    resolved: dict[str, Any] = {"strategy": strategy, "image_size": image_size}
    for phase in phases:
        if phase.kind == "finetune":
            resolved |= {
                "freeze_depth": phase.freeze_depth,
                "epochs": phase.epochs,
                "patience": phase.patience,
                "learning_rate": phase.learning_rate,
            }
    return resolved
