"""Recipes as files and as options of a command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from transferkit.errors import RecipeError, UsageError, unknown_name
from transferkit.recipe.fields import Recipe
from transferkit.shipped import shipped


def parse_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    """`("key=value", ...)` as a mapping, values read as YAML.

    Raises:
        UsageError: one without an equals sign, or whose value is not YAML.
    """
    import yaml

    values = {}
    for setting in settings:
        key, sign, text = setting.partition("=")
        if not sign:
            raise UsageError(f"--set {setting}: key=value is needed, such as epochs=20.")
        try:
            values[key.strip()] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {setting}: the value is not YAML; put it in quotes.") from error
    return values


def recipe_names() -> list[str]:
    """Names of the recipes that come with transferkit."""
    return sorted(path.stem for path in shipped("recipes").glob("*.yaml"))


def recipe_file(name: str) -> Path:
    """The file of a recipe: a path, a run (its recipe.yaml), or the name of one that comes with transferkit.

    Raises:
        UnknownName: none of these.
        UsageError: a file that is not there, or a folder that is no run.
    """
    path = Path(name)
    if path.is_dir() and name not in recipe_names():
        if not (path / "recipe.yaml").is_file():
            raise UsageError(f"--recipe {name}: a folder without recipe.yaml is no run.")
        return path / "recipe.yaml"
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if not path.is_file():
            raise UsageError(f"--recipe {name}: no such file.")
        return path
    if name not in recipe_names():
        raise unknown_name("recipe", name, recipe_names(), "'transferkit recipes' lists all.")
    return shipped("recipes") / f"{name}.yaml"


def read_recipe(name: str) -> dict[str, Any]:
    """The keys and values of a recipe file, unchecked.

    Raises:
        RecipeError: it is not YAML, or not a list of keys and values.
    """
    import yaml

    path = recipe_file(name)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not YAML: {error}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: keys and values are needed, such as 'strategy: linear'.")
    return values


Asking: TypeAlias = Recipe | str | Path | Mapping[str, Any] | None


def recipe_of(given: Asking, settings: Mapping[str, Any]) -> Recipe:
    """What a call asks for.

    Args:
        given: a recipe, the name of one, its file, or keys and values; None takes the defaults.
        settings: keys that win over it.

    Raises:
        UnknownName, RecipeError: there is none of that name, or it has faults.
    """
    if isinstance(given, Recipe):
        # Made by hand it was never looked at.
        return Recipe.from_mapping({**given.as_dict(), **settings}, source="")
    if isinstance(given, Mapping):
        return Recipe.from_mapping({**given, **settings}, source="")
    return load_recipe(None if given is None else str(given), settings)


def load_recipe(name: str | None, overrides: Mapping[str, Any]) -> Recipe:
    """A recipe file (or the defaults) with the command line's values on top."""
    values = read_recipe(name) if name else {}
    return Recipe.from_mapping(values, source=name or "recipe").updated(overrides, "")
