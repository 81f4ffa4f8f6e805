"""Fine-tuned networks as candidates."""

from typing import Any

from transferkit.api.work import Candidate, Work, evaluated_splits, scores
from transferkit.data.loader import ImageSource, Source
from transferkit.progress import say
from transferkit.strategies import Phase
from transferkit.training import model as models
from transferkit.training.freezing import freeze_table, hashes, proof
from transferkit.training.job import Job, measure
from transferkit.training.maps import Limits, map_bank
from transferkit.training.memory import limit_bytes
from transferkit.training.phases import run_phase
from transferkit.training.state import StateFile


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
    source = _source(work, phase)
    depth = 0 if isinstance(source, ImageSource) else phase.freeze_depth
    network, all_stages = work.extractor.network, work.extractor.stages
    with work.watch.part("phases"):
        model = models.classifier(network, all_stages, fitted, len(work.class_names))
        models.set_freeze_depth(network, all_stages, phase.freeze_depth)
        head = model.get_layer("logits")
        dropout = phase.tuning.dropout if phase.tuning else 0.0
        tail = models.tail(model, all_stages, depth, dropout=dropout, seed=work.recipe.seed)
        job = _job(work, tail, source)
        rows = freeze_table(network, all_stages, phase.tuning, head.count_params())
        before = hashes(network, all_stages, head)
        trained = run_phase(job, phase, states=states, deadline=work.deadline)
        proved = proof(before, hashes(network, all_stages, head), rows)
    with work.watch.part("evaluation"):
        found = {split: measure(job, judged)[0] for split, judged in evaluated_splits(work)}
    top1, loss = scores(work, found["val"], work.rows["val"])
    return Candidate(
        "fine-tuned",
        found,
        (top1, -loss),
        model,
        history=trained.history,
        notes=[told, *trained.notes],
        proof=tuple({"phase": phase.name} | row for row in proved),
        chosen=start.chosen,
        interrupted=trained.interrupted,
        moved=trained.best_epoch > 0,
    )


def _source(work: Work, phase: Phase) -> Source:
    """Where a gradient phase takes its inputs: activations at the cut, or images.

    Augmentation changes pixels, so with it every image passes the frozen stages in each epoch.
    """
    recipe = work.recipe
    depth = phase.freeze_depth if recipe.augment == "none" else 0
    limits = Limits(recipe.bank_limit_gb, limit_bytes(recipe.limit_memory))
    maps = map_bank(work.extractor, work.index, depth, limits, work.watch)
    if maps is not None and depth == phase.freeze_depth:
        return maps
    if maps is None:
        say("finetune: images are decoded anew in each epoch")
    paths = [work.index.root / path for path in work.index.files["path"]]
    return ImageSource(paths, work.extractor.policy, maps)


def _job(work: Work, model: Any, source: Source) -> Job:
    recipe = work.recipe
    return Job(
        model=model,
        network=work.extractor.network,
        stages=work.extractor.stages,
        source=source,
        labels=work.labels,
        classes=len(work.class_names),
        train=work.rows["train"],
        val=work.rows["val"],
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        augment=recipe.augment,
        smoothing=recipe.loss_smoothing,
        jit=work.jit,
        weights=work.class_weights,
        sampler=work.plan.balance.method == "sampler",
    )
