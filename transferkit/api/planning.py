"""Decide and show; train nothing."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transferkit.api.costing import estimated, fitted_plan, pilot_bank, pilot_phases
from transferkit.api.deciding import decide
from transferkit.api.finetuning import planned, prepared
from transferkit.api.inputs import Data, check_cache, check_layers, check_policy, check_source, start
from transferkit.api.settling import open_training_data
from transferkit.backbones.catalogue import lookup
from transferkit.backbones.weights import resolve
from transferkit.plan import Plan
from transferkit.recipe import Recipe
from transferkit.strategies.cost import Estimate
from transferkit.timing import Deadline, Stopwatch
from transferkit.training.device import check_device_name


@dataclass(frozen=True)
class Planned:
    """A plan, and what it costs on this machine from the start of `finetune`, the bank being there."""

    plan: Plan
    estimate: Estimate

    def as_dict(self) -> dict[str, Any]:
        """The content of plan.json, with `estimate`."""
        return self.plan.as_dict() | {"estimate": self.estimate.as_dict()}


def plan(data: Data, recipe: Recipe) -> Planned:
    """The plan that `finetune` would follow, and what it costs; trains nothing.

    It computes the feature bank, from which the similarity is measured, and times a few steps. The bank is
    kept, so `finetune` finds it.

    Args:
        data: as `finetune` takes it.
        recipe: what is asked.

    Raises:
        TransferkitError: as `finetune`; with a time limit also where nothing fits into it.
    """
    watch, limit = Stopwatch(), Deadline.after(recipe.time_limit).limit
    check_device_name(recipe.device)
    check_cache()
    spec = lookup(recipe.backbone)
    check_policy(recipe)
    check_source(data)
    weights = resolve(spec, recipe.weights, Path(recipe.weights_dir) if recipe.weights_dir else None)
    with watch.part("index"):
        examined = open_training_data(data, recipe)
        first = planned(examined.usable, recipe, spec)
    with watch.part("startup"):
        device, extractor = start(spec, weights, recipe, first.resize)
    check_layers(recipe, extractor)
    pilot, images = pilot_bank(extractor, examined.usable, limit)
    work = prepared(examined, spec, recipe, device, extractor, watch, weights="")
    began = time.perf_counter()
    work = replace(work, plan=decide(work, spec, weights))
    measuring = time.perf_counter() - began
    pilot = pilot_phases(work, pilot, images)
    seconds = watch.seconds()
    pilot = replace(pilot, startup=seconds["startup"], index=seconds["index"], evidence=measuring)
    if recipe.time_limit is not None:
        work = replace(work, plan=fitted_plan(work, pilot, limit))
    return Planned(work.plan, estimated(work, pilot))
