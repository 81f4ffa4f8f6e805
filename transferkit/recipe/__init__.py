"""The recipe: everything that can be asked of a run, stated once."""

from transferkit.recipe.checking import AUTO
from transferkit.recipe.fields import KNOBS, Recipe, checked
from transferkit.recipe.files import (
    Asking,
    load_recipe,
    parse_settings,
    read_recipe,
    recipe_file,
    recipe_names,
    recipe_of,
)
from transferkit.recipe.source import STRATEGIES
from transferkit.recipe.steps import FIND, STAGE_NAMES

__all__ = [
    "AUTO",
    "FIND",
    "KNOBS",
    "STAGE_NAMES",
    "STRATEGIES",
    "Asking",
    "Recipe",
    "checked",
    "load_recipe",
    "parse_settings",
    "read_recipe",
    "recipe_file",
    "recipe_names",
    "recipe_of",
]
