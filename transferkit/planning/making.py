"""The plan: a recipe resolved against one data set, with the reasons."""

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from transferkit.backbone.catalogue import BackboneSpec
from transferkit.data.decode import DecodePolicy
from transferkit.data.index import Index
from transferkit.errors import UsageError
from transferkit.planning.augmenting import Augment, check_labels, decide_augment
from transferkit.planning.balancing import Balance, decide_balance
from transferkit.planning.regularising import regularisation
from transferkit.planning.resizing import decide_resize
from transferkit.planning.unheard import unheard
from transferkit.recipe import AUTO, FIND, STAGE_NAMES, Recipe
from transferkit.strategies import STRATEGIES, Phase, Setting, matrix, schedules
from transferkit.strategies.evidence import Evidence


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
        augment: how training images are changed.
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
    augment: Augment
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


def make_plan(recipe: Recipe, spec: BackboneSpec, index: Index, evidence: Evidence | None = None) -> Plan:
    """The plan for a recipe, a backbone and a split index.

    Args:
        recipe: what is asked.
        spec: of the backbone.
        index: looked at and split: columns label, split, width, height.
        evidence: what was measured on train; without it only what is stated and counted decides, which is
            enough to find out what cannot be done.

    Raises:
        UsageError: the recipe asks for what this backbone or strategy cannot do.
    """
    train = index.files[index.files["split"] == "train"]
    counts = index.counted(train)
    cell = _cell(recipe, counts, len(train), evidence)
    strategy, why = _strategy(recipe, spec, cell)
    setting = _setting(recipe, spec, cell, len(counts), evidence)
    phases = STRATEGIES[strategy](setting)
    _check(recipe, strategy, phases)
    image_size = int(_number(recipe.image_size) or spec.image_size)
    resize, resize_why, long_share = decide_resize(recipe, train)
    balance = decide_balance(recipe.balance, counts)
    augment = decide_augment(
        recipe,
        cell=(cell.similarity, cell.amount.verdict),
        sides=train[["width", "height"]].to_numpy(),
        plain=DecodePolicy(size_px=image_size, resize=resize),
        evidence=evidence,
    )
    mixing = check_labels(augment, strategy, phases, stated=recipe.strategy != AUTO)
    told = [augment.reason, mixing, regularisation(recipe, phases), *unheard(recipe, strategy, phases)]
    return Plan(
        backbone=spec.name,
        image_size=image_size,
        quadrant=cell.quadrant,
        similarity=cell.similarity,
        amount=cell.amount.verdict,
        strategy=strategy,
        phases=phases,
        reasons=(
            *cell.reasons,
            why,
            *_phase_reasons(phases, setting),
            resize_why,
            balance.reason,
            *filter(None, told),
        ),
        evidence=_counted(index, counts)
        | {"try_both": recipe.strategy == AUTO and cell.try_both, "long_images_share": long_share}
        | {"lots_from_per_class": cell.amount.border, "imbalance_ratio": balance.ratio}
        | _measured(cell, evidence),
        resize=resize,
        balance=balance,
        augment=augment,
        multilabel=index.multilabel,
        resolved=_resolved(phases, image_size, strategy)
        | {"resize": resize, "balance": balance.method, "augment": augment.name},
    )


def _cell(recipe: Recipe, counts: dict[str, int], images: int, evidence: Evidence | None) -> matrix.Cell:
    """Where a train set of so many images, in classes of these, stands in the matrix."""
    return matrix.place(
        similarity=_stated(recipe.similarity),
        amount=_stated(recipe.amount),
        per_class=float(median(counts.values())),
        images=images,
        evidence=evidence,
    )


def _counted(index: Index, counts: dict[str, int]) -> dict[str, Any]:
    """How many images there are, by split and in train by class."""
    splits = index.files["split"].value_counts().sort_index()
    return {
        "images": {str(split): int(images) for split, images in splits.items()},
        "train_images": int(splits.get("train", 0)),
        "train_images_per_class_median": float(median(counts.values())),
        "classes": len(counts),
    }


def _measured(cell: matrix.Cell, evidence: Evidence | None) -> dict[str, Any]:
    """Both axes with their numbers and borders, and all that was measured."""
    axes: dict[str, Any] = {"amount": asdict(cell.amount)}
    if cell.similar:
        axes["similarity"] = asdict(cell.similar)
    return axes | ({"measured": evidence.as_dict()} if evidence else {})


def _check(recipe: Recipe, strategy: str, phases: tuple[Phase, ...]) -> None:
    # Where auto chose a linear strategy it is told (see `unheard`): the evidence may choose another.
    if recipe.freeze_depth != AUTO and recipe.strategy != AUTO and phases[-1].kind == "linear":
        raise UsageError(
            f"freeze_depth {recipe.freeze_depth} says nothing to strategy {strategy}, which trains "
            "no stage. Use finetune-top, finetune-deep or full, or leave it at auto."
        )
    if recipe.l2 != AUTO and recipe.classifier == "discriminant":
        raise UsageError(
            f"l2 {recipe.l2:g} is of logistic regression, and classifier discriminant has no such strength. "
            "Leave out one of them."
        )
    if recipe.folds in (1, 2):
        raise UsageError(
            f"folds {recipe.folds} is not allowed: 0 (none), or 3 and more: one part is judged, one "
            "chooses the strength, the rest trains."
        )


def _stated(value: str) -> str | None:
    return None if value == AUTO else value


def _number(value: Any) -> Any:
    return None if value == AUTO else value


def _depth(value: Any) -> int | None:
    """How many stages do not train; a stage that is named is the last of them."""
    return STAGE_NAMES.index(value) + 1 if value in STAGE_NAMES else _number(value)


def _setting(
    recipe: Recipe, spec: BackboneSpec, cell: matrix.Cell, classes: int, evidence: Evidence | None
) -> Setting:
    rate = recipe.learning_rate
    return Setting(
        stages=tuple(f"stage{n}" for n in range(1, len(spec.stages) + 1)),
        train_images=cell.images,
        classes=classes,
        similarity=cell.similarity,
        gradients=evidence.gradients if evidence else {},
        learning_rate=None if rate == FIND else _number(rate),
        find_rate=rate == FIND,
        freeze_depth=_depth(recipe.freeze_depth),
        **{key: _number(getattr(recipe, key)) for key in NUMBERS},
        **{key: getattr(recipe, key) for key in TAKEN},
        # A strength that is stated is one of logistic regression.
        classifier=recipe.classifier if recipe.l2 == AUTO else "logistic",
    )


# Keys of the recipe that a setting takes as they are, and those where `auto` leaves the choice to it.
NUMBERS = ("epochs", "patience", "rate_decay", "momentum")
TAKEN = (
    "batch_size", "optimizer", "schedule", "warmup_epochs", "thaw_epochs", "weight_decay", "l2_sp",
    "dropout", "stochastic_depth", "label_smoothing", "ema", "features",
)  # fmt: skip


def _strategy(recipe: Recipe, spec: BackboneSpec, cell: matrix.Cell) -> tuple[str, str]:
    if recipe.strategy != AUTO:
        chosen = "" if recipe.strategy == cell.strategy else f" (the matrix says {cell.plain})"
        return recipe.strategy, f"Strategy stated: {recipe.strategy}{chosen}."
    if cell.strategy == "multistage" and len(spec.stages) < 2:
        return "linear", f"{spec.name} is a single stage, so linear stands in for multistage."
    return cell.strategy, cell.why


def _phase_reasons(phases: tuple[Phase, ...], setting: Setting) -> tuple[str, ...]:
    tuned = [phase for phase in phases if phase.kind == "finetune"]
    if not tuned:
        return ()
    phase = tuned[0]
    assert phase.tuning is not None
    what = "BatchNorm in " if phase.tuning.only == "batchnorm" else ""
    behind = [stage for stage in setting.stages[phase.freeze_depth :] if stage not in phase.tuning.stages]
    stay = f"; {', '.join(behind)} stay as they are too" if behind else ""
    thaws = (
        f"Fine-tuning thaws {what}{', '.join(phase.tuning.stages)} (freeze depth {phase.freeze_depth} of "
        f"{len(setting.stages)}{stay}), starts from the best linear classifier, and is kept only if it is "
        "better on val."
    )
    return (*_pulls(setting), thaws, *late_stages(phase))


def _pulls(setting: Setting) -> tuple[str, ...]:
    """How hard the images pull at each stage, where that decides what thaws."""
    if not setting.gradients:
        return ()
    told = ", ".join(f"{stage} {pull:.2g}" for stage, pull in setting.gradients.items())
    return (f"Relative gradient norm of each stage: {told}; the third that adds up to most thaws.",)


def late_stages(phase: Phase) -> tuple[str, ...]:
    """A sentence on the stages that gradual unfreezing does not reach, if there are any."""
    joined, tuning = schedules.thawed(phase, phase.epochs - 1), phase.tuning
    if tuning is None or len(joined) == len(tuning.stages):
        return ()
    never = ", ".join(stage for stage in tuning.stages if stage not in joined)
    needed = tuning.thaw_epochs * len(tuning.stages) + 1
    return (
        f"{never} will not train: with a stage every {tuning.thaw_epochs} epochs all have joined after "
        f"{needed} epochs, and there are {phase.epochs} (--set thaw_epochs, --set epochs).",
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
