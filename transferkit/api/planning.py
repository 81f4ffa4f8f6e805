"""Decide and show; train nothing."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transferkit.api.augmenting import with_augmentation
from transferkit.api.costing import estimated, fitted_plan, pilot_bank, pilot_phases
from transferkit.api.deciding import decide
from transferkit.api.finetuning import planned, prepared
from transferkit.api.inputs import Data, check_cache, check_layers, check_source, start, with_policy
from transferkit.api.settling import open_training_data
from transferkit.api.work import Work
from transferkit.backbone.catalogue import BackboneSpec, lookup
from transferkit.backbone.weights import resolve
from transferkit.data.examine import Examined
from transferkit.planning import Plan
from transferkit.recipe import Asking, Recipe, recipe_of
from transferkit.strategies.cost import Estimate
from transferkit.timing import Deadline, Stopwatch
from transferkit.training.bank import Extractor
from transferkit.training.device import Device, check_device_name


@dataclass(frozen=True)
class Planned:
    """A plan, and what it costs on this machine from the start of `finetune`, the bank being there.

    `repr` is the decision panel.
    """

    plan: Plan
    estimate: Estimate

    def as_dict(self) -> dict[str, Any]:
        """The content of plan.json, with `estimate`."""
        return self.plan.as_dict() | {"estimate": self.estimate.as_dict()}

    def __repr__(self) -> str:
        from transferkit.reports import panel

        return panel.render(self.plan, self.estimate)


def plan(data: Data, recipe: Asking = None, **settings: Any) -> Planned:
    """The plan that `finetune` would follow, and what it costs; trains nothing.

    It computes the feature bank, from which the similarity is measured, and times a few steps. The bank is
    kept, so `finetune` finds it.

    Args:
        data: as `finetune` takes it.
        recipe: what is asked, as `finetune` takes it; `settings` win over it.
        settings: keys of the recipe.

    Raises:
        TransferkitError: as `finetune`; with a time limit also where nothing fits into it.
    """
    recipe = recipe_of(recipe, settings)
    limit = Deadline.after(recipe.time_limit).limit
    opened = _opened(data, recipe)
    pilot, images = pilot_bank(opened.extractor, opened.examined.usable, limit)
    work = opened.prepared()
    began = time.perf_counter()
    work = replace(work, plan=decide(work, opened.spec, opened.weights))
    measuring = time.perf_counter() - began
    piloting = time.perf_counter()
    pilot = pilot_phases(work, pilot, images)
    if recipe.time_limit is not None:  # the run takes one too
        pilot = replace(pilot, pilot=time.perf_counter() - piloting)
    seconds = opened.watch.seconds()
    pilot = replace(pilot, startup=seconds["startup"], index=seconds["index"], evidence=measuring)
    if recipe.time_limit is not None:
        work = replace(work, plan=fitted_plan(work, pilot, limit))
    return Planned(work.plan, estimated(work, pilot))


def decided(data: Data, recipe: Recipe) -> Plan:
    """The plan that `finetune` would follow, without a look at what it costs.

    Args:
        data: as `finetune` takes it.
        recipe: what is asked; its time limit says nothing here.

    Raises:
        TransferkitError: as `finetune`.
    """
    opened = _opened(data, recipe)
    return decide(opened.prepared(), opened.spec, opened.weights)


def opened_work(data: Data, recipe: Recipe) -> Work:
    """What all phases share, with the plan that was decided: `candidates.run_phases` carries it out.

    Raises:
        TransferkitError: as `finetune`.
    """
    opened = _opened(data, recipe)
    work = opened.prepared()
    return with_augmentation(replace(work, plan=decide(work, opened.spec, opened.weights)))


@dataclass(frozen=True)
class _Opened:
    """Images that were looked at and a network that stands: what a plan is measured with."""

    recipe: Recipe
    spec: BackboneSpec
    weights: Path | None
    examined: Examined
    device: Device
    extractor: Extractor
    watch: Stopwatch

    def prepared(self) -> Work:
        """With the bank."""
        return prepared(
            self.examined, self.spec, self.recipe, self.device, self.extractor, self.watch, weights=""
        )


def _opened(data: Data, recipe: Recipe) -> _Opened:
    watch = Stopwatch()
    check_device_name(recipe.device)
    check_cache()
    spec = lookup(recipe.backbone)
    recipe = with_policy(recipe)
    check_source(data)
    folder = Path(recipe.weights_dir) if recipe.weights_dir else None
    weights = resolve(spec, recipe.weights, folder, offline=recipe.offline)
    check_layers(recipe, spec)
    with watch.part("index"):
        examined = open_training_data(data, recipe)
        first = planned(examined.usable, recipe, spec)
    with watch.part("startup"):
        device, extractor = start(spec, weights, recipe, first.resize)
    return _Opened(recipe, spec, weights, examined, device, extractor, watch)
