"""What a plan costs on this machine, and the plan that fits into the time there is."""

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from transferkit.api.augmenting import policy_pipeline, side_of, usable_policy
from transferkit.api.linear_candidates import fit, fit_tried
from transferkit.api.work import Work
from transferkit.data.index import Index
from transferkit.planning import Plan, late_stages
from transferkit.planning.augmenting import check_labels
from transferkit.progress import hidden, say
from transferkit.strategies import Phase
from transferkit.strategies.cost import Estimate, Span, estimate, inputs_of
from transferkit.strategies.rates import Load, Pilot
from transferkit.strategies.time_limit import Fitted, check_linear_fits, fit_into
from transferkit.timing import in_words
from transferkit.training.bank import Extractor
from transferkit.training.memory import limit_bytes
from transferkit.training.pilot import (
    pilot_change,
    pilot_features,
    pilot_linear,
    pilot_step,
    stage_costs,
)
from transferkit.training.shards import read_shards


def pilot_bank(extractor: Extractor, index: Index, left: float) -> tuple[Pilot, np.ndarray]:
    """The pilot before the bank is computed, and the images of a batch; says how long the bank takes.

    Args:
        extractor: the backbone.
        index: readable images.
        left: seconds there are; infinite without a limit.

    Raises:
        TrainingError: the bank alone takes longer.
    """
    new = len(set(index.files["sha256"]) - set(read_shards(extractor.cache / "bank" / extractor.key)))
    pilot, images = pilot_features(extractor, [index.root / path for path in index.files["path"]])
    seconds = new * (pilot.decode + pilot.forward)
    if new:
        say(f"bank: {new} images are new: about {in_words(seconds)}")
    bank = Estimate(seconds={"bank": Span(seconds, seconds)}, memory={}, disk=0)
    check_linear_fits(bank, left)
    return pilot, images


def pilot_phases(work: Work, known: Pilot, images: np.ndarray) -> Pilot:
    """The pilot with the rates of the plan's phases.

    Args:
        work: with its bank and plan.
        known: of `pilot_bank`.
        images: likewise.
    """
    say("pilot: a few steps of each phase, to see what they cost here")
    started, pilot = time.perf_counter(), known
    rows = _representatives(work)
    with hidden():
        if policy := usable_policy(work):
            paths = [work.index.root / path for path in work.index.files["path"].iloc[work.rows["train"]]]
            pilot = pilot_change(pilot, work.extractor, policy_pipeline(work, policy), paths)
        for phase in work.plan.phases:
            if phase.kind == "linear":
                pilot = pilot_linear(pilot, phase.name, partial(_fit_on, work, phase), rows)
        if tuned := work.plan.finetune:
            costs = stage_costs(work.extractor.network, work.extractor.stages)
            cut, _ = inputs_of(tuned, costs, load_of(work))
            pilot = pilot_step(pilot, work.extractor, tuned, cut=cut, images=images, jit=work.jit)
    say(f"pilot: timed in {in_words(time.perf_counter() - started)}")
    return pilot


def load_of(work: Work) -> Load:
    """How much there is to do, the bank being whole."""
    recipe, cache = work.recipe, work.extractor.cache
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    return Load(
        images=work.index.files["sha256"].nunique(),
        new=0,
        train=len(work.rows["train"]),
        val=len(work.rows["val"]),
        test=len(work.rows["test"]),
        batch_size=recipe.batch_size,
        image_size=work.extractor.policy.size_px,
        canvas_px=side_of(work) if usable_policy(work) else 0,
        disk_limit=min(recipe.bank_limit_gb * 1e9, free / 2),
        memory_limit=limit_bytes(recipe.limit_memory),
        views=work.plan.augment.views,
        maps=work.plan.augment.maps if work.plan.augment.policy.own else 0,
        anew=bool(work.plan.augment.policy.mixing),
        value_bytes=4 if work.extractor.precision == "float32" else 2,
        folds=0 if work.folds is None else int(work.folds.max()) + 1,
        multilabel=work.multilabel,
    )


def estimated(work: Work, pilot: Pilot) -> Estimate:
    """What the plan costs, the bank being whole."""
    costs = stage_costs(work.extractor.network, work.extractor.stages)
    return estimate(work.plan.phases, pilot, stages=costs, load=load_of(work))


def fitted_plan(work: Work, pilot: Pilot, left: float) -> Plan:
    """The plan of a run, cut to fit into so many seconds; see `fit_into`.

    Raises:
        TrainingError: not even the linear classifier fits.
    """
    costs = stage_costs(work.extractor.network, work.extractor.stages)
    found = fit_into(work.plan.phases, left, pilot=pilot, stages=costs, load=load_of(work))
    return with_phases(work.plan, found)


# What a pilot of fine-tuning takes, in compilations of a forward pass: seen, 3 to 6.
PILOT_FORWARDS = 8


def without_pilot(plan: Plan, known: Pilot, left: float) -> Plan:
    """The plan without fine-tuning where there is no time even to find out what that costs."""
    if plan.finetune is None or left > PILOT_FORWARDS * known.first_forward:
        return plan
    told = (
        f"Time limit: {in_words(max(0.0, left))} are left, too little to find out what fine-tuning costs "
        "here, "
        "so nothing is fine-tuned."
    )
    linear = tuple(phase for phase in plan.phases if phase.kind != "finetune")
    return with_phases(plan, Fitted(linear, (told,), plan.augment.views))


def with_phases(plan: Plan, fitted: Fitted) -> Plan:
    """A plan with the phases that fit, and why."""
    resolved = {key: value for key, value in plan.resolved.items() if key not in TUNED}
    augment = replace(plan.augment, views=fitted.views, maps=fitted.maps or plan.augment.maps)
    cut = replace(plan, phases=fitted.phases, reasons=(*plan.reasons, *fitted.reasons), augment=augment)
    if tuned := cut.finetune:
        late = tuple(reason for reason in late_stages(tuned) if reason not in plan.reasons)
        cut = replace(cut, reasons=(*cut.reasons, *late))
        return replace(cut, resolved=resolved | {key: getattr(tuned, key) for key in TUNED})
    strategy = fitted.phases[-1].name
    whole = check_labels(cut.augment, strategy, cut.phases, stated=False)
    reasons = (*cut.reasons, *filter(None, [whole]))
    return replace(cut, strategy=strategy, reasons=reasons, resolved=resolved | {"strategy": strategy})


# What `resolved` holds of the fine-tuning phase.
TUNED = ("freeze_depth", "epochs", "patience", "learning_rate")


def _representatives(work: Work) -> np.ndarray:
    """Rows of train for a trial of the linear classifier: evenly, and every class."""
    train, labels = work.rows["train"], work.labels[work.rows["train"]]
    some = np.arange(0, len(train), -(-len(train) // LINEAR_ROWS))
    if labels.ndim == 1:
        some = np.union1d(some, np.unique(labels, return_index=True)[1])
    return train[some]


LINEAR_ROWS = 400


def _fit_on(work: Work, phase: Phase, rows: np.ndarray) -> Callable[[], object]:
    """A linear phase on some rows; what is returned does the last fit of it again."""
    _, tried = fit(work, phase, rows, work.rows["val"])
    if not tried:
        return partial(fit, work, phase, rows, work.rows["val"])
    return partial(fit_tried, work, tried[0], rows, work.rows["val"])
