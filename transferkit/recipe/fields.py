"""The recipe: everything that can be asked of a run, stated once.

Each field below is a YAML key, a `--set` key, a line of help and a line of the run's record; those with
a flag are options of the command line too. `auto` leaves the choice to the plan.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from transferkit.errors import RecipeError, UsageError, unknown_name
from transferkit.recipe.checking import checked_value, knob
from transferkit.recipe.source import Images, Start
from transferkit.recipe.steps import Fitting
from transferkit.recipe.telling import Telling


@dataclass(frozen=True, kw_only=True)
class Recipe(Telling, Fitting, Images, Start):
    """What was asked of a run; `auto` where the plan decides. Checked when made by `from_mapping`.

    Its keys stand in the four bases, those of time and room here.
    """

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

    @classmethod
    def load(cls, name: str | Path) -> "Recipe":
        """A recipe that comes with transferkit, by name, or a YAML file.

        Raises:
            UnknownName, RecipeError: there is none, or it has faults.
        """
        from transferkit.recipe.files import load_recipe

        return load_recipe(str(name), {})

    def replace(self, **settings: Any) -> "Recipe":
        """This recipe with some keys replaced, each checked.

        Raises:
            RecipeError: all faults at once.
        """
        return self.updated(settings, "")

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
            against=whole(self.against),
            fixes=whole(self.fixes),
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
