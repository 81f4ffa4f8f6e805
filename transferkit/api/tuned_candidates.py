"""Fine-tuned networks as candidates."""

from functools import partial
from typing import Any

from transferkit.api.work import Candidate, Work, evaluated_splits, scores
from transferkit.backbone.graph import stage_layers
from transferkit.progress import say
from transferkit.strategies import Phase
from transferkit.strategies.cost import REPORT_S
from transferkit.training import model as models
from transferkit.training.feeding import Feed, augmented_feed, plain_feed
from transferkit.training.freezing import FreezeRow, freeze_lines, freeze_table, hashes, proof
from transferkit.training.interrupting import AtOnce
from transferkit.training.job import Job, measure
from transferkit.training.maps import Limits
from transferkit.training.memory import limit_bytes
from transferkit.training.phases import Trained, run_phase
from transferkit.training.state import StateFile
from transferkit.training.stochastic_depth import StochasticDepth
from transferkit.training.views import Viewed


def tuned_candidate(work: Work, phase: Phase, start: Candidate, states: StateFile | None = None) -> Candidate:
    """The network that a phase fine-tunes from a linear classifier.

    Args:
        work: what phases share.
        phase: how to train.
        start: the classifier; it may see what `phase.features` names.
        states: where the phase keeps how far it has come.

    Raises:
        TrainingError: see `run_phase`; or something frozen moved, which is a bug of ours.
    """
    assert start.fitted is not None
    fitted = start.fitted
    seen = f" on {fitted.features.name}" if fitted.features else ""
    told = f"{phase.name}: starts from the {fitted.method} classifier{seen}, val {start.score[0]:.1%}"
    say(told)
    feed = _feed(work, phase)
    with work.watch.part("phases"):
        model = models.classifier(
            work.extractor.network, work.extractor.stages, fitted, len(work.class_names)
        )
        models.set_freeze_depth(work.extractor.network, work.extractor.stages, phase.freeze_depth)
        job = _job(work, _tail(work, phase, model, feed.depth), feed)
        trained, found_moved = _trained(work, phase, job, head=model.get_layer("logits"), states=states)
    with work.watch.part("evaluation"):
        try:
            found = {split: measure(job, judged)[0] for split, judged in evaluated_splits(work)}
        except KeyboardInterrupt as error:
            if trained.interrupted:  # it is the second one
                raise AtOnce from error
            raise
    top1, loss = scores(work, found["val"], work.rows["val"])
    return Candidate(
        "fine-tuned",
        found,
        (top1, -loss),
        model,
        history=trained.history,
        notes=[told, *trained.notes],
        proof=tuple({"phase": phase.name} | row for row in found_moved),
        chosen=start.chosen,
        interrupted=trained.interrupted,
        moved=trained.best_epoch > 0,
        fed=feed.told,
    )


def _trained(
    work: Work, phase: Phase, job: Job, *, head: Any, states: StateFile | None
) -> tuple[Trained, tuple[dict[str, Any], ...]]:
    """What the phase did, and what stayed and moved in it."""
    network, stages = work.extractor.network, work.extractor.stages
    rows = freeze_table(network, stages, phase.tuning, head.count_params())
    _tell(phase, rows)
    before = hashes(network, stages, head)

    def proved() -> tuple[dict[str, Any], ...]:
        return proof(before, hashes(network, stages, head), rows)

    deadline = work.deadline.less(REPORT_S)
    try:
        # Where it ends too: what is kept may be the start, whose weights are all put back.
        trained = run_phase(job, phase, states=states, deadline=deadline, follow=work.follow, ended=proved)
    finally:
        if job.model.branches:
            job.model.branches.remove()
    return trained, proved()


def _tell(phase: Phase, rows: tuple[FreezeRow, ...]) -> None:
    found = phase.tuning is not None and phase.tuning.find_rate
    for line in freeze_lines(rows, None if found else phase.learning_rate):
        say(f"{phase.name}: {line}")


def _tail(work: Work, phase: Phase, model: Any, depth: int) -> Any:
    """What trains: the classifier behind `depth` stages, with what is dropped in training."""
    network, stages, tuning = work.extractor.network, work.extractor.stages, phase.tuning
    assert tuning is not None
    branches = None
    if tuning.stochastic_depth:
        trains = [
            layer.name
            for stage, layers in zip(stages, stage_layers(network, stages), strict=True)
            for layer in layers
            if stage.name in tuning.stages
        ]
        branches = partial(StochasticDepth, network, trains, tuning.stochastic_depth)
    return models.tail(model, stages, depth, dropout=tuning.dropout, seed=work.recipe.seed, branches=branches)


def _feed(work: Work, phase: Phase) -> Feed:
    """Where a gradient phase takes its inputs."""
    recipe, extractor, watch = work.recipe, work.extractor, work.watch
    limits = Limits(recipe.bank_limit_gb, limit_bytes(recipe.limit_memory))
    if work.pipeline is None:
        return plain_feed(extractor, work.index, phase.freeze_depth, limits, watch)
    maps = work.plan.augment.maps
    viewed = Viewed(index=work.index, rows=work.rows["train"], pipeline=work.pipeline, count=maps)
    return augmented_feed(extractor, viewed, phase.freeze_depth, len(work.class_names), limits, watch)


def _job(work: Work, model: Any, feed: Feed) -> Job:
    recipe = work.recipe
    return Job(
        model=model,
        network=work.extractor.network,
        stages=work.extractor.stages,
        source=feed.source,
        labels=work.labels,
        classes=len(work.class_names),
        train=work.rows["train"],
        val=work.rows["val"],
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        smoothing=recipe.loss_smoothing,
        jit=work.jit,
        drawn=feed.drawn,
        views=feed.views,
        augment=feed.augment,
        weights=work.class_weights,
        sampler=work.plan.balance.method == "sampler",
    )
