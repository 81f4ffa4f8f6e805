"""What a recipe asks for against fitting train too much, in a sentence."""

from collections.abc import Sequence
from dataclasses import fields

from transferkit.recipe import Recipe
from transferkit.strategies import Phase

KEYS = ("dropout", "label_smoothing", "stochastic_depth", "weight_decay", "l2_sp", "ema")


def regularisation(recipe: Recipe, phases: Sequence[Phase]) -> str:
    """The keys that have another value than their default; "" without any, or without gradient steps."""
    defaults = {one.name: one.default for one in fields(Recipe)}
    given = [f"{key} {getattr(recipe, key):g}" for key in KEYS if getattr(recipe, key) != defaults[key]]
    if not given or all(phase.kind == "linear" for phase in phases):
        return ""
    return f"Regularisation stated: {', '.join(given)}."
