"""The plan in force: what is measured on the bank decides."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from transferkit.api.augmenting import measured_safety
from transferkit.api.costing import fitted_plan, pilot_phases, without_pilot
from transferkit.api.linear_candidates import linear_candidate
from transferkit.api.work import Work
from transferkit.backbone.catalogue import BackboneSpec
from transferkit.data.units import unit_numbers
from transferkit.planning import Plan, make_plan
from transferkit.progress import hidden, say
from transferkit.recipe import AUTO
from transferkit.strategies import Phase
from transferkit.strategies.evidence import IMAGENET
from transferkit.strategies.rates import Pilot
from transferkit.training import model as models
from transferkit.training.evidence import Looked, Source, measure_evidence, sample_images
from transferkit.training.gradients import MOST_IMAGES, relative_gradient_norms
from transferkit.training.optimizers import variables_by_stage
from transferkit.training.penalties import loss_for

SURGICAL = "surgical"
GRADIENT_BATCH = 8


def decide(
    work: Work, spec: BackboneSpec, weights: Path | None, timed: tuple[Pilot, np.ndarray] | None = None
) -> Plan:
    """The plan by what is measured on train, cut to the time there is.

    Args:
        work: with its bank, its deadline, and the plan by what is stated and counted.
        spec: of the backbone.
        weights: its file; None for random weights.
        timed: of `pilot_bank`, where there is a time limit.

    Raises:
        TrainingError: not even the linear classifier fits into the time limit.
    """
    work = replace(work, plan=_measured(work, spec, weights))
    if timed is None:
        return work.plan
    work = replace(work, plan=without_pilot(work.plan, timed[0], work.deadline.left()))
    with work.watch.part("pilot"):
        rates = pilot_phases(work, *timed)
    return fitted_plan(work, rates, work.deadline.left())


def _measured(work: Work, spec: BackboneSpec, weights: Path | None) -> Plan:
    """The plan by the evidence; that of `work` where nothing is left to measure for."""
    recipe = work.recipe
    stated = AUTO not in (recipe.similarity, recipe.amount, recipe.augment)
    if stated and recipe.strategy != SURGICAL:
        return work.plan
    train = work.rows["train"]
    with work.watch.part("linear"), hidden():
        images = sample_images(work.extractor, work.index, train, recipe.seed)
        own = recipe.weights not in ("imagenet", "none")
        trained_on = f"what {Path(recipe.weights).name} was trained on" if own else IMAGENET
        source = Source(spec=spec, extractor=work.extractor, weights_file=weights, pretrained_on=trained_on)
        units = unit_numbers(work.index.files.iloc[train])
        looked = Looked(rows=train, labels=work.labels[train], units=units)
        evidence = measure_evidence(work.bank, looked, source=source, images=images, seed=recipe.seed)
        if recipe.augment == AUTO:
            evidence = replace(evidence, safety=measured_safety(work))
    plan = make_plan(recipe, spec, work.index, evidence)
    if recipe.strategy == SURGICAL:
        say("evidence: how hard the images pull at each stage")
        pulls = pulls_at_stages(replace(work, plan=plan))
        plan = make_plan(recipe, spec, work.index, replace(evidence, gradients=pulls))
    return plan


def pulls_at_stages(work: Work) -> dict[str, float]:
    """Relative gradient norm of each stage behind the linear classifier, on some images of train.

    (Val has chosen the strength or the temperature of that classifier, as in every run.)
    """
    network, stages = work.extractor.network, work.extractor.stages
    with work.watch.part("phases"), hidden():
        base = linear_candidate(work, work.plan.linear)
        models.set_freeze_depth(network, stages, 0)
        tail = models.tail(base.model, stages, 0)
        phase = next(phase for phase in work.plan.phases if phase.kind == "finetune")
        found = relative_gradient_norms(
            tail,
            _batches(work),
            stage_of=variables_by_stage(network, stages, tail),
            loss=_loss(work, phase),
        )
        network.trainable = False
    return found


def _loss(work: Work, phase: Phase) -> Any:
    return loss_for(phase, multilabel=work.multilabel, classes=len(work.class_names))


def _batches(work: Work) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    from transferkit.data.decode import decode_batch

    chosen = np.random.default_rng(work.recipe.seed).permutation(work.rows["train"])[:MOST_IMAGES]
    # Few at a time: every stage keeps its activations here, of which training may leave most out.
    size = min(work.recipe.batch_size, GRADIENT_BATCH)
    for start in range(0, len(chosen), size):
        rows = chosen[start : start + size]
        paths = [work.index.root / path for path in work.index.files["path"].iloc[rows]]
        yield decode_batch(paths, work.extractor.policy).astype(np.float32), work.labels[rows]
