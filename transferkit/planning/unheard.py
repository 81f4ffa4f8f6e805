"""Keys of a recipe that were set and say nothing to the plan that was made of it."""

from collections.abc import Sequence
from dataclasses import fields

from transferkit.recipe import AUTO, Recipe
from transferkit.strategies import Phase

# Of gradient steps alone.
OF_STEPS = (
    "epochs", "patience", "learning_rate", "rate_decay", "optimizer", "momentum", "schedule", "warmup_epochs",
    "thaw_epochs", "weight_decay", "l2_sp", "dropout", "stochastic_depth", "label_smoothing", "ema",
    "loss_smoothing", "freeze_depth",
)  # fmt: skip
WITH_MOMENTUM = ("sgd", "rmsprop")


def unheard(recipe: Recipe, strategy: str, phases: Sequence[Phase]) -> tuple[str, ...]:
    """A sentence on keys that have another value than their default and change nothing; none if all count.

    Args:
        recipe: what is asked.
        strategy: that was chosen or stated.
        phases: what it does.
    """
    defaults = {one.name: one.default for one in fields(Recipe)}
    given = [key for key in OF_STEPS if getattr(recipe, key) != defaults[key]]
    if given and all(phase.kind == "linear" for phase in phases):
        verb = "say" if len(given) > 1 else "says"
        return (f"{', '.join(given)} {verb} nothing here: strategy {strategy} takes no gradient steps.",)
    if recipe.momentum != AUTO and recipe.optimizer not in WITH_MOMENTUM:
        named = " and ".join(WITH_MOMENTUM)
        return (f"momentum says nothing here: it is of {named}, not {recipe.optimizer}.",)
    return ()
