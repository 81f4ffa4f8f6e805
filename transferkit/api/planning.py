"""Decide and show; train nothing."""

from pathlib import Path

from transferkit.api.finetuning import split
from transferkit.api.inputs import open_training_data
from transferkit.backbones.catalogue import lookup
from transferkit.plan import Plan, make_plan
from transferkit.recipe import Recipe


def plan(data: str | Path, recipe: Recipe) -> Plan:
    """The plan that `finetune` would follow, from the files' names and bytes alone.

    Files that turn out to be unreadable only when decoded still count here.
    """
    spec = lookup(recipe.backbone)
    return make_plan(recipe, spec, split(open_training_data(data, recipe), recipe))
