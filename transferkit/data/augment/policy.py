"""Augmentation policies as data: named steps with parameters and a probability, checked when made."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transferkit.data.augment.catalogue import BATCH_LAYERS, CHANGES, PACKAGES, STEPS, StepSpec
from transferkit.errors import RecipeError, UsageError, unknown_name
from transferkit.recipe.checking import AUTO
from transferkit.shipped import shipped

NONE = "none"
PROBABILITY = "probability"
# Under which a recipe has its policy.
RECIPE_KEY = "augment"
SHIPPED = shipped("recipes") / "augment"
# Names that a policy of one's own cannot have: whoever reads them thinks of others.
RESERVED = frozenset({path.stem for path in SHIPPED.glob("*.yaml")} | {AUTO, RECIPE_KEY})


@dataclass(frozen=True)
class Step:
    """One change of an image (or of a batch).

    Attributes:
        name: a key of `catalogue.STEPS`, or a layer such as `keras_cv.GridMask`.
        parameters: all of them, by name; of a layer those that are given.
        probability: with which an image gets it.
    """

    name: str
    parameters: tuple[tuple[str, Any], ...]
    probability: float

    @property
    def spec(self) -> StepSpec:
        """What it is; of a layer nothing is known but whether it mixes."""
        if self.name in STEPS:
            return STEPS[self.name]
        mixes = self.layer in BATCH_LAYERS
        return StepSpec(f"layer {self.name}", {}, CHANGES, mixes=mixes)

    @property
    def layer(self) -> str:
        """Class name of the Keras layer that is named, or ""."""
        return self.name.partition(".")[2]

    @property
    def package(self) -> str:
        """Package of that layer, or ""."""
        return self.name.partition(".")[0] if self.layer else ""

    def as_data(self) -> dict[str, Any]:
        """As it stands in YAML."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in self.parameters}
        return {self.name: values | {PROBABILITY: self.probability}}

    def __str__(self) -> str:
        told = [f"{key} {shown(value)}" for key, value in self.parameters]
        told += [f"with probability {self.probability:g}"] if self.probability < 1 else []
        return f"{self.name}: {', '.join(told)}" if told else self.name


@dataclass(frozen=True)
class Policy:
    """What happens to training images, in order.

    Attributes:
        name: for people.
        steps: images' own ones first; those that mix a batch come last, which `policy_from` sees to.
    """

    name: str
    steps: tuple[Step, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps)

    @property
    def own(self) -> tuple[Step, ...]:
        """Steps that change one image."""
        return tuple(step for step in self.steps if not step.spec.mixes)

    @property
    def mixing(self) -> tuple[Step, ...]:
        """Steps that mix a batch."""
        return tuple(step for step in self.steps if step.spec.mixes)

    @property
    def cuts_first(self) -> bool:
        """Whether the first step is a crop of transferkit's own."""
        return bool(self.own) and self.own[0].spec.crops

    @property
    def changes(self) -> frozenset[str]:
        """Which of `catalogue.CHANGES` its steps make."""
        return frozenset(change for step in self.steps for change in step.spec.changes)

    @property
    def digest(self) -> str:
        """Of all that changes pixels of one image."""
        parts = [step.as_data() for step in self.own]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def has(self, name: str) -> bool:
        """Whether a step of that name is in it."""
        return any(step.name == name for step in self.steps)

    def without(self, changes: Iterable[str], name: str) -> "Policy":
        """The policy without the steps that make some of `catalogue.CHANGES`."""
        left = tuple(step for step in self.steps if not set(step.spec.changes) & set(changes))
        return Policy(name, left)

    def without_mixing(self) -> "Policy":
        """The policy for what cannot take blended labels."""
        return Policy(self.name, self.own)

    def as_data(self) -> list[dict[str, Any]]:
        """As it stands in YAML."""
        return [step.as_data() for step in self.steps]


def policy_from(steps: Any, name: str = "own") -> Policy:
    """A policy from a list of steps, each a name or `{name: {parameter: value, probability: p}}`.

    Args:
        steps: the list, or `{name: list}`, which has a name of its own.
        name: of the policy, where it has none.

    Raises:
        RecipeError: all faults at once, one a line; nearest names first.
    """
    name, steps = _titled(steps, name)
    if not isinstance(steps, (list, tuple)):
        raise RecipeError(f"policy {name}: {_no_list(steps)}")
    found, faults = [], []
    for number, one in enumerate(steps, start=1):
        try:
            found.append(_step(one))
        except UsageError as error:
            faults.append(f"policy {name}, step {number}: {error}")
    mixed = [step.spec.mixes for step in found]
    if mixed != sorted(mixed):
        late = found[mixed.index(True)].name
        faults.append(f"policy {name}: {late} mixes whole batches, so it must stand behind all other steps.")
    if sum(step.spec.crops for step in found) > 1:
        faults.append(f"policy {name}: one crop is enough; it has {sum(s.spec.crops for s in found)}.")
    if faults:
        head = f"{len(faults)} faults:\n  " if len(faults) > 1 else ""
        raise RecipeError(head + "\n  ".join(faults))
    return Policy(name, tuple(found))


def _titled(given: Any, name: str) -> tuple[str, Any]:
    """(name, steps) of what may stand as `augment: steps` in a recipe, or as `{name: steps}`."""
    if isinstance(given, Mapping) and set(given) == {RECIPE_KEY}:
        given = given[RECIPE_KEY]
    if not isinstance(given, Mapping) or len(given) != 1:
        return name, given
    ((title, steps),) = given.items()
    if _is_step(title) or not isinstance(steps, (list, tuple)):
        return name, given
    if not isinstance(title, str) or title in RESERVED:
        raise RecipeError(f"policy {title}: the name is taken; call it otherwise.")
    return title, steps


def _is_step(key: Any) -> bool:
    return key in STEPS or str(key).partition(".")[0] in PACKAGES


def _no_list(given: Any) -> str:
    if not isinstance(given, Mapping) or not given:
        return f"a list of steps is needed, not {given!r}."
    if not any(map(_is_step, given)):
        return (
            f"a list of steps is needed, not keys ({', '.join(map(str, given))}). A recipe goes by --recipe; "
            "a policy has steps such as '- horizontal_flip'."
        )
    return (
        f"its steps ({', '.join(map(str, given))}) stand as keys; a list of steps is needed, for they have "
        f"an order. Begin each with a dash: '- {next(filter(_is_step, given))}: ...'."
    )


def _step(given: Any) -> Step:
    name, values = _named(given)
    package, _, layer = name.partition(".")
    if name not in STEPS and (not layer or package not in PACKAGES):
        raise unknown_name("step", name, STEPS, "'transferkit augment --steps' lists all.")
    values = dict(values)
    spec = STEPS.get(name)
    chance = values.pop(PROBABILITY, spec.probability if spec else 1.0)
    if isinstance(chance, bool) or not isinstance(chance, (int, float)) or not 0 <= chance <= 1:
        raise UsageError(f"{name}: {PROBABILITY}: {chance!r} is not allowed; a number from 0 to 1 is needed.")
    step = Step(name, tuple(sorted(values.items())), float(chance))
    if step.spec.mixes and chance != 1:
        raise UsageError(f"{name}: {PROBABILITY}: a batch is mixed whole; only 1 is allowed.")
    if step.spec.crops and chance != 1:
        raise UsageError(f"{name}: {PROBABILITY}: every image is cut to the input's size; only 1 is allowed.")
    if spec is None:
        return step
    for key in values:
        if key not in spec.parameters:
            known = (*spec.parameters, PROBABILITY)
            raise unknown_name(f"parameter of {name}", str(key), known, f"It has: {', '.join(known)}.")
    return Step(name, _parameters(name, spec, values), float(chance))


def _parameters(name: str, spec: StepSpec, values: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    found = []
    for key, parameter in spec.parameters.items():
        try:
            found.append((key, parameter.checked(values.get(key, parameter.default))))
        except UsageError as error:
            raise UsageError(f"{name}: {key}: {error}") from None
    return tuple(found)


def _named(given: Any) -> tuple[str, Mapping[str, Any]]:
    if isinstance(given, str):
        return given, {}
    if isinstance(given, Mapping) and len(given) == 1:
        name, values = next(iter(given.items()))
        if values is None:
            return str(name), {}
        if isinstance(values, Mapping):
            for key in values:
                if not isinstance(key, str):
                    raise UsageError(f"{name}: {key!r} is no name of a parameter.")
            return str(name), values
        raise UsageError(f"{name}: parameters are needed as key: value, not {values!r}.")
    raise UsageError(f"{given!r} is not a step; a name, or a name with its parameters, is needed.")


def policy_names() -> list[str]:
    """Names of the policies that come with transferkit, weakest first; `none` is one."""
    order = {NONE: 0, "light": 1, "standard": 2, "strong": 3}
    names = [path.stem for path in SHIPPED.glob("*.yaml")]
    return sorted(names, key=lambda name: (order.get(name, 9), name))


def load_policy(given: str | list[Any] | tuple[Any, ...] | dict[str, Any]) -> Policy:
    """A policy by its name, from a YAML file, or from its steps (or `{name: steps}`).

    Raises:
        UsageError: no such policy or file; RecipeError: faults in it.
    """
    if not isinstance(given, str):
        return policy_from(given)
    path = Path(given)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise UsageError(f"policy {given}: no such file.")
    elif given in policy_names():
        path = SHIPPED / f"{given}.yaml"
    elif given == AUTO:
        raise UsageError(
            "policy auto is decided for a data set, by a run or a plan. 'transferkit augment DATA --policy "
            "auto' says what it is there: give its steps."
        )
    else:
        raise unknown_name("policy", given, [*policy_names(), AUTO], _SEE)
    return policy_from(_read(path), name=path.stem if path.parent == SHIPPED else _own_name(path.stem))


def _own_name(stem: str) -> str:
    """Of a policy in a file of that name: none that a policy of another kind or a step has."""
    return f"own {stem}" if stem in RESERVED or _is_step(stem) else stem


_SEE = "'transferkit augment --steps' lists policies and steps; a YAML file of steps is a policy too."


def _read(path: Path) -> Any:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"policy {path}: not YAML: {error}") from error
    if found is None:
        raise RecipeError(f"policy {path}: the file is empty; a policy without steps is called 'none'.")
    return found


def shown(value: Any) -> str:
    """A parameter's value for people."""
    if isinstance(value, tuple):
        return f"{value[0]:.3g} to {value[1]:.3g}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
