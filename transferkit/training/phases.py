"""Gradient phases: one cut, one schedule, the best weights kept."""

import math
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from transferkit.data.balance import balanced_order, class_counts, class_weights, sample_weights
from transferkit.data.loader import Source, epoch_batches, epoch_order
from transferkit.evaluation.multilabel import mean_average_precision
from transferkit.progress import say, task
from transferkit.strategies import Phase
from transferkit.training.bank import predict
from transferkit.training.device import is_out_of_memory, too_large
from transferkit.training.linear import activate
from transferkit.training.model import weights_of

# A loss this many times its first value counts as an explosion.
EXPLOSION = 3.0
RETRIES = 4


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a gradient phase works on.

    Attributes:
        model: inputs of `source` to logits; made by `model.tail`.
        source: inputs by row of the index.
        labels: class numbers `(N,)`; or a matrix `(N, C)` of 0 and 1 where images may have several
            classes: the loss is the binary cross-entropy then, a mean over the classes.
        train: rows that train; `val`: rows that judge.
        augment: see `data.loader`.
        smoothing: weight of the past in the smoothed val loss.
        jit: whether steps are compiled.
        weights: of the classes `(C,)`. A step's loss is the sum of weight times loss over the number of
            images, not over the sum of weights, so they need a mean of 1 over train.
        sampler: an epoch draws all classes equally often instead; weights then judge val only.
    """

    model: Any
    source: Source
    labels: np.ndarray
    train: np.ndarray
    val: np.ndarray
    batch_size: int
    seed: int
    augment: str
    weight_decay: float
    smoothing: float
    jit: bool
    weights: np.ndarray | None = None
    sampler: bool = False

    @property
    def multilabel(self) -> bool:
        """Whether an image may have several classes."""
        return self.labels.ndim == 2


@dataclass
class Progress:
    """Where a phase stands: what early stopping needs to know."""

    best_weights: list[np.ndarray]
    best: float
    smoothed: float
    best_epoch: int = 0
    wait: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Trained:
    """What a phase did.

    Attributes:
        history: a row for each epoch.
        notes: sentences on what a reader should know.
        best_epoch: whose weights are left; 0 is the start.
    """

    history: list[dict[str, Any]]
    notes: list[str]
    best_epoch: int


def rate_at(phase: Phase, epoch: int) -> float:
    """Learning rate of an epoch (from 0): three tenths of the peak in the first, then a half cosine.

    Source of the cosine: Loshchilov and Hutter 2017 (arXiv:1608.03983), without restarts.
    """
    if epoch == 0 and phase.epochs > 1:
        return 0.3 * phase.learning_rate
    done = max(0, epoch - 1) / max(1, phase.epochs - 1)
    return phase.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def measure(job: Job, rows: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Probabilities, mean loss and top-1 (mAP where images may have several classes) of some rows.

    Where classes are weighted or drawn equally often the loss is a weighted mean, so that early stopping
    wants of val what training wants of train. Top-1 and mAP are never weighted.
    """
    parts = []
    for start in range(0, len(rows), job.batch_size):
        inputs = job.source.take(rows[start : start + job.batch_size])
        parts.append(predict(job.model, inputs, job.batch_size).astype(np.float64))
    logits, labels = np.concatenate(parts), job.labels[rows]
    weights = _judging_weights(job, labels, logits.shape[1])
    with np.errstate(invalid="ignore"):  # logits of an exploded model give a loss that is not finite
        probabilities = activate(logits, "sigmoid" if job.multilabel else "softmax")
        if job.multilabel:
            each = np.mean(np.logaddexp(0, logits) - labels * logits, axis=1)
            reached = mean_average_precision(probabilities, labels)
        else:
            log_sum = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1)
            each = log_sum - logits[np.arange(len(labels)), labels]
            reached = float(np.mean(logits.argmax(1) == labels))
        return probabilities, float(np.average(each, weights=weights)), reached


def _judging_weights(job: Job, labels: np.ndarray, classes: int) -> np.ndarray | None:
    """Weights of images with these labels; None where nothing is balanced."""
    weights = job.weights
    if weights is None and job.sampler:
        weights = class_weights(class_counts(job.labels[job.train], classes))
    return None if weights is None else sample_weights(labels, weights)


def run_phase(job: Job, phase: Phase) -> Trained:
    """Train; the model is left with its best weights.

    Best is the lowest smoothed val loss, the start included. When the loss explodes the start
    is restored and the rate cut to a third; if that does not help, the start is what is left.
    """
    start = weights_of(job.model)
    history: list[dict[str, Any]] = []
    notes: list[str] = []
    for attempt in range(1, RETRIES + 1):
        progress, exploded = _run_epochs(job, phase)
        if not exploded:
            job.model.set_weights(progress.best_weights)
            done = len(progress.history)
            early = "stopped early after" if done < phase.epochs else "ended with"
            notes.append(
                f"{phase.name}: {early} epoch {done} of {phase.epochs}; best epoch {progress.best_epoch}"
                f"{'' if progress.best_epoch else ', the start'}"
            )
            say(notes[-1])
            return Trained(history + progress.history, notes, progress.best_epoch)
        job.model.set_weights(start)
        history += [row | {"phase": f"{phase.name} (exploded)"} for row in progress.history]
        slower = replace(phase, learning_rate=phase.learning_rate / 3)
        then = f"rate cut to {slower.learning_rate:.2g}" if attempt < RETRIES else "this phase was given up"
        notes.append(f"{phase.name}: {exploded} at rate {phase.learning_rate:.2g}; start restored, {then}")
        say(notes[-1])
        phase = slower
    return Trained(history, notes, 0)


def _run_epochs(job: Job, phase: Phase) -> tuple[Progress, str]:
    """Where the phase stands at its end, and what exploded, if something did."""
    found, first_loss, _ = measure(job, job.val)
    chance = math.log(2 if job.multilabel else found.shape[1])
    progress = Progress(weights_of(job.model), best=first_loss, smoothed=first_loss)
    _compile(job, phase)
    steps = math.ceil(len(job.train) / job.batch_size)
    with task(phase.name, phase.epochs * steps, "steps") as bar:
        for epoch in range(phase.epochs):
            started = time.perf_counter()
            job, logs = _fit_epoch(job, phase, epoch, bar)
            _, val_loss, reached = measure(job, job.val)
            row = {"phase": phase.name, "epoch": epoch + 1, "loss": logs["loss"], "val_loss": val_loss}
            # Top-1 does not exist where an image may have several classes.
            row |= {"top1": logs.get("top1"), "val_top1": None if job.multilabel else reached}
            row |= {"val_map": reached} if job.multilabel else {}
            row |= {
                "learning_rate": rate_at(phase, epoch),
                "seconds": time.perf_counter() - started,
            }
            progress.history.append(row)
            name = "mAP" if job.multilabel else "top-1"
            bar.note(
                f"epoch {epoch + 1} loss {logs['loss']:.3f} val loss {val_loss:.3f} val {name} {reached:.3f}"
            )
            if exploded := _explosion(row, first_loss, chance):
                return progress, exploded
            if _should_stop(job, phase, progress, val_loss):
                break
    return progress, ""


def _compile(job: Job, phase: Phase) -> None:
    """The one place that compiles: Keras ignores a change of `trainable` until then."""
    import keras

    losses = keras.losses
    loss = losses.BinaryCrossentropy if job.multilabel else losses.SparseCategoricalCrossentropy
    job.model.compile(
        optimizer=keras.optimizers.AdamW(phase.learning_rate, weight_decay=job.weight_decay),
        # Keras 3.15 divides the weighted sum by the images of the batch (`losses.loss.reduce_values`).
        loss=loss(from_logits=True),
        metrics=[] if job.multilabel else [keras.metrics.SparseCategoricalAccuracy(name="top1")],
        jit_compile=job.jit,
    )


def _fit_epoch(job: Job, phase: Phase, epoch: int, bar: Any) -> tuple[Job, dict[str, float]]:
    """One epoch of `fit`. When memory runs out the epoch begins again with half the batch."""
    import keras

    before = weights_of(job.model)
    while True:
        job.model.optimizer.learning_rate = rate_at(phase, epoch)
        tick = keras.callbacks.LambdaCallback(on_train_batch_end=partial(_after_batch, job.model, bar))
        try:
            batches = _batches(job, epoch)
            fitted = job.model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[tick])
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if job.batch_size == 1:
                raise too_large() from error
            job = _with_half_batch(job, phase, before)
            continue
        return job, {name: float(values[-1]) for name, values in fitted.history.items()}


def _after_batch(model: Any, bar: Any, batch: int, logs: dict[str, Any]) -> None:
    """Count a step; a loss that is not finite ends the epoch here."""
    bar.advance()
    if not math.isfinite(float(logs["loss"])):
        model.stop_training = True


def _batches(job: Job, epoch: int) -> Any:
    rows, labels, seed = job.train, job.labels, job.seed
    return epoch_batches(
        job.source,
        labels,
        balanced_order(rows, labels, seed, epoch) if job.sampler else epoch_order(rows, seed, epoch),
        batch_size=job.batch_size,
        augment=job.augment,
        seed=seed,
        epoch=epoch,
        # What is drawn equally often and weighted too would be balanced twice.
        weights=None if job.sampler else job.weights,
    )


def _with_half_batch(job: Job, phase: Phase, before: list[np.ndarray]) -> Job:
    job = replace(job, batch_size=job.batch_size // 2)
    say(f"{phase.name}: out of memory; going on with batches of {job.batch_size}")
    job.model.set_weights(before)
    # A new optimizer: the old one's slots may be what did not fit.
    _compile(job, phase)
    return job


def _explosion(row: dict[str, Any], first_loss: float, chance: float) -> str:
    """How a loss has left the range that training can come back from, or "".

    That is: not finite, or over three times its first value and worse than guessing. A linear
    classifier may start so near zero that three times its loss is still a good one.
    """
    limit = max(EXPLOSION * first_loss, chance)
    for name in ("loss", "val_loss"):
        if not math.isfinite(row[name]):
            return f"{name} is not finite in epoch {row['epoch']}"
        if row[name] > limit:
            return (
                f"{name} {row[name]:.3g} in epoch {row['epoch']} is over {EXPLOSION:g} times the "
                f"start's {first_loss:.3g} and worse than guessing"
            )
    return ""


def _should_stop(job: Job, phase: Phase, progress: Progress, val_loss: float) -> bool:
    progress.smoothed = job.smoothing * progress.smoothed + (1 - job.smoothing) * val_loss
    if progress.smoothed < progress.best:
        progress.best, progress.wait = progress.smoothed, 0
        progress.best_epoch = len(progress.history)
        progress.best_weights = weights_of(job.model)
        return False
    progress.wait += 1
    return progress.wait >= phase.patience
