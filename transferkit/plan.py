"""The plan: a recipe resolved against one data set, with the reasons."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from transferkit.backbones.catalogue import BackboneSpec
from transferkit.errors import UsageError
from transferkit.recipe import AUTO, Recipe
from transferkit.strategies import STRATEGIES, Phase, Setting, matrix

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be done; no `auto` is left in it.

    Attributes:
        quadrant: the cell of the matrix, such as `different-little`.
        strategy: its name; `phases` what it does, in order.
        reasons: a sentence for each decision.
        evidence: the numbers behind them.
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


def make_plan(recipe: Recipe, spec: BackboneSpec, files: "pd.DataFrame") -> Plan:
    """The plan for a recipe, a backbone and a split index (columns path, label, split).

    Raises:
        UsageError: the recipe asks for what this backbone or strategy cannot do.
    """
    train = files[files["split"] == "train"]
    per_class = float(train["label"].value_counts().median())
    cell = matrix.place(
        similarity=_stated(recipe.similarity), amount=_stated(recipe.amount), per_class=per_class
    )
    strategy, why = _strategy(recipe, spec, cell)
    setting = _setting(recipe, spec, train)
    phases = STRATEGIES[strategy](setting)
    if recipe.freeze_depth != AUTO and phases[-1].kind == "linear":
        raise UsageError(
            f"freeze_depth {recipe.freeze_depth} says nothing to strategy {strategy}, which trains "
            "no stage. Use finetune-top, finetune-deep or full, or leave it at auto."
        )
    image_size = _number(recipe.image_size) or spec.image_size
    return Plan(
        backbone=spec.name,
        image_size=int(image_size),
        quadrant=cell.quadrant,
        similarity=cell.similarity,
        amount=cell.amount,
        strategy=strategy,
        phases=phases,
        reasons=(*cell.reasons, why, *_phase_reasons(phases, setting)),
        evidence={
            "train_images": len(train),
            "train_images_per_class_median": per_class,
            "classes": setting.classes,
            "lots_from_per_class": matrix.LOTS_FROM_PER_CLASS[cell.similarity],
        },
        resolved=_resolved(phases, int(image_size), strategy),
    )


def _stated(value: str) -> str | None:
    return None if value == AUTO else value


def _number(value: Any) -> Any:
    return None if value == AUTO else value


def _setting(recipe: Recipe, spec: BackboneSpec, train: "pd.DataFrame") -> Setting:
    return Setting(
        stages=tuple(f"stage{n}" for n in range(1, len(spec.stages) + 1)),
        train_images=len(train),
        classes=int(train["label"].nunique()),
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
