"""Decide and show; train nothing."""

from transferkit.api.finetuning import planned
from transferkit.api.inputs import Data
from transferkit.api.settling import open_training_data
from transferkit.backbones.catalogue import lookup
from transferkit.plan import Plan
from transferkit.recipe import Recipe


def plan(data: Data, recipe: Recipe) -> Plan:
    """The plan that `finetune` would follow; reads every file once, trains nothing.

    Raises:
        UsageError, DataError: as `finetune`.
    """
    spec = lookup(recipe.backbone)
    return planned(open_training_data(data, recipe).usable, recipe, spec)
