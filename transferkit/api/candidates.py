"""What a plan's phases produce: classifiers that compete on val."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from transferkit.data.index import Index
from transferkit.data.loader import ImageSource, Source
from transferkit.plan import Plan
from transferkit.progress import say
from transferkit.recipe import Recipe
from transferkit.strategies import Phase
from transferkit.timing import Stopwatch
from transferkit.training import model as models
from transferkit.training.bank import Extractor, PooledBank
from transferkit.training.linear import LinearClassifier, fit_linear, score
from transferkit.training.maps import Limits, map_bank
from transferkit.training.memory import limit_bytes
from transferkit.training.phases import Job, measure, run_phase


@dataclass(frozen=True)
class Work:
    """What all phases of a run share.

    Attributes:
        index: readable images with their splits in `files`.
        labels: int `(N,)` class number of each row; float `(N, C)` of 0 and 1 for multi-label data.
        rows: split -> rows of the index.
        bank: pooled features, rows as in the index.
        notes: sentences on the data that a reader should know.
        weights: where those of the backbone came from, in words.
        class_weights: `(C,)` in the loss, or None.
        folds: for cross-validation: fold number of each row, -1 for rows outside; None without.
        findings: of the audit: name -> how many.
    """

    recipe: Recipe
    plan: Plan
    index: Index
    class_names: list[str]
    labels: np.ndarray
    rows: dict[str, np.ndarray]
    bank: PooledBank
    extractor: Extractor
    jit: bool
    watch: Stopwatch
    notes: list[str]
    weights: str
    class_weights: np.ndarray | None = None
    folds: np.ndarray | None = None
    findings: dict[str, int] = field(default_factory=dict)

    @property
    def multilabel(self) -> bool:
        """Whether an image may have several classes."""
        return self.labels.ndim == 2


@dataclass(frozen=True)
class Candidate:
    """A classifier and how it does.

    Attributes:
        name: `linear`, `multistage` or `fine-tuned`.
        probabilities: split -> float `(n, C)`.
        score: val top-1 (mAP for multi-label data), then negative val log-loss; higher is better.
        model: complete Keras model.
        fitted: the linear classifier, for the linear kinds.
        history: a row for each epoch, of those before it too.
        notes: sentences on what happened, likewise.
    """

    name: str
    probabilities: dict[str, np.ndarray]
    score: tuple[float, float]
    model: Any
    fitted: LinearClassifier | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def run_phases(work: Work) -> tuple[Candidate, Candidate]:
    """(the linear classifier on the last stage, the candidate that is best on val).

    The linear classifier itself competes, so what is kept is never worse on val.
    """
    base = best = _linear(work, work.plan.linear)
    for phase in work.plan.phases[1:]:
        kept = best
        start = models.weights_of(work.extractor.network)
        new = _linear(work, phase) if phase.kind == "linear" else _finetuned(work, phase, base)
        if new.score <= kept.score:
            work.extractor.network.set_weights(start)
        # What happened is told whoever is kept.
        best = replace(
            new if new.score > kept.score else kept,
            history=[*kept.history, *new.history],
            notes=[*kept.notes, *new.notes],
        )
    return base, best


def kept_reason(work: Work, base: Candidate, best: Candidate) -> str:
    """Why the run keeps what it keeps, in one sentence."""
    measure = "val mAP" if work.multilabel else "val top-1"
    if best.name == base.name:
        if len(work.plan.phases) == 1:
            return f"nothing else was asked for; {measure} {base.score[0]:.1%}."
        return f"nothing else beat its {measure} of {base.score[0]:.1%}."
    if best.score[0] > base.score[0]:
        return f"{measure} {best.score[0]:.1%} against {base.score[0]:.1%} of the linear classifier."
    return (
        f"{measure} equal at {best.score[0]:.1%}, val log-loss {-best.score[1]:.4f} "
        f"against {-base.score[1]:.4f} of the linear classifier."
    )


def _evaluated_splits(work: Work) -> Iterator[tuple[str, np.ndarray]]:
    for split in ("val", "test"):
        if len(work.rows[split]):
            yield split, work.rows[split]


def _linear(work: Work, phase: Phase) -> Candidate:
    started = work.watch.seconds()["linear"]
    with work.watch.part("linear"):
        fitted = fit(work, phase, work.rows["train"], work.rows["val"])
        # Evaluation of a frozen strategy comes from the bank: no image passes the network again.
        found = {
            split: fitted.probabilities(work.bank.at(phase.features, rows))
            for split, rows in _evaluated_splits(work)
        }
        train = work.rows["train"]
        of_train = fitted.probabilities(work.bank.at(phase.features, train))
        loss = score(of_train, work.labels[train], work.class_weights)[1]
        own = score(of_train, work.labels[train])[0]
    reached, val_loss = scores(work, found["val"], work.rows["val"])
    row: dict[str, Any] = {"phase": phase.name, "epoch": 0, "loss": loss, "val_loss": val_loss}
    if work.multilabel:
        row |= {"top1": None, "val_top1": None, "val_map": reached}
    else:
        row |= {"top1": own, "val_top1": reached}
    row |= {"learning_rate": 0.0, "seconds": work.watch.seconds()["linear"] - started}
    stages = [stage for stage in work.extractor.stages if stage.name in phase.features]
    model = models.classifier(work.extractor.network, stages, fitted, len(work.class_names))
    return Candidate(phase.name, found, (reached, -val_loss), model, fitted, [row])


def scores(work: Work, probabilities: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """Top-1 or mAP, which no weights change, and the log-loss by the weights that training had."""
    plain = score(probabilities, work.labels[rows])[0]
    return plain, score(probabilities, work.labels[rows], work.class_weights)[1]


def fit(work: Work, phase: Phase, train: np.ndarray, val: np.ndarray) -> LinearClassifier:
    """The linear classifier of a phase, on some rows of the bank."""
    return fit_linear(
        (work.bank.at(phase.features, train), work.labels[train]),
        (work.bank.at(phase.features, val), work.labels[val]),
        len(work.class_names),
        work.recipe.strengths,
        weights=work.class_weights,
    )


def _finetuned(work: Work, phase: Phase, base: Candidate) -> Candidate:
    assert base.fitted is not None
    source = _source(work, phase)
    depth = 0 if isinstance(source, ImageSource) else phase.freeze_depth
    stages = [stage for stage in work.extractor.stages if stage.name in phase.features]
    network = work.extractor.network
    with work.watch.part("phases"):
        model = models.classifier(network, stages, base.fitted, len(work.class_names))
        models.set_freeze_depth(network, work.extractor.stages, phase.freeze_depth)
        job = _job(work, models.tail(model, work.extractor.stages, depth), source)
        trained = run_phase(job, phase)
    with work.watch.part("evaluation"):
        found = {s: measure(job, rows)[0] for s, rows in _evaluated_splits(work)}
    top1, loss = scores(work, found["val"], work.rows["val"])
    # Weights that are the start's again are the linear classifier, whatever rounding says of them.
    reached = (top1, -loss) if trained.best_epoch else base.score
    return Candidate("fine-tuned", found, reached, model, None, trained.history, trained.notes)


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
        source=source,
        labels=work.labels,
        train=work.rows["train"],
        val=work.rows["val"],
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        augment=recipe.augment,
        weight_decay=recipe.weight_decay,
        smoothing=recipe.loss_smoothing,
        jit=work.jit,
        weights=work.class_weights,
        sampler=work.plan.balance.method == "sampler",
    )
