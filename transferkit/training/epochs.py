"""One epoch of steps: compiled, each at its own rate, stopped where it must be."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from transferkit.data.balance import balanced_order
from transferkit.data.loader import epoch_batches, epoch_order
from transferkit.progress import say
from transferkit.strategies import Phase
from transferkit.training.device import halved
from transferkit.training.interrupting import Interrupt
from transferkit.training.job import Job
from transferkit.training.model import set_trainable
from transferkit.training.optimizers import make_optimizer
from transferkit.training.penalties import loss_for
from transferkit.training.state import restore, snapshot
from transferkit.training.views import with_views

T = TypeVar("T")


@dataclass(frozen=True)
class Epoch:
    """What came of an epoch.

    Attributes:
        job: with the batch that fits into memory.
        logs: `loss`, and `top1` where an image has one class: means over the epoch's steps.
        whole: whether all steps were taken; not when Ctrl-C or a loss that is not finite ended it.
    """

    job: Job
    logs: dict[str, float]
    whole: bool


def compiled(
    job: Job, phase: Phase, thawed: tuple[str, ...], *, stage_of: Mapping[str, str], joined: Mapping[str, int]
) -> None:
    """Make the model train some stages, with a new optimizer.

    The one place that compiles: Keras ignores a change of `trainable` until then.

    Args:
        job: its model.
        phase: says how steps are taken.
        thawed: stages that train.
        stage_of: see `optimizers.variables_by_stage`.
        joined: see `Progress.joined`.
    """
    assert phase.tuning is not None
    set_trainable(job.network, tuple(job.stages), phase.tuning, thawed)
    optimizer = make_optimizer(phase, job.model, stage_of)
    optimizer.joined = dict(joined)
    job.model.compile(
        optimizer=optimizer,
        loss=loss_for(phase, multilabel=job.multilabel, classes=job.classes, shares=job.shares),
        metrics=_metrics(job),
        jit_compile=job.jit,
    )
    job.model.optimizer.build(job.model.trainable_variables)


def _metrics(job: Job) -> list[Any]:
    import keras

    if job.multilabel:
        return []
    kind = "CategoricalAccuracy" if job.shares else "SparseCategoricalAccuracy"
    return [getattr(keras.metrics, kind)(name="top1")]


def carry_over(model: Any, kept: Mapping[str, np.ndarray]) -> None:
    """Give the new optimizer of a model what an old one kept of the same weights, and its step count.

    Averages of weights that join begin at the weights; what else it keeps of them begins at zero.

    Args:
        model: compiled anew.
        kept: of the old optimizer; see `slots`.
    """
    optimizer = inner(model.optimizer)
    averages = getattr(optimizer, "_model_variables_moving_average", None) or []
    for variable, average in zip(optimizer._trainable_variables, averages, strict=False):
        average.assign(variable)
    for slot in model.optimizer.variables:
        if slot.name in kept and kept[slot.name].shape == tuple(slot.shape):
            slot.assign(kept[slot.name])


def slots(optimizer: Any) -> dict[str, np.ndarray]:
    """What an optimizer keeps, by names that hold those of its weights."""
    return {slot.name: np.array(slot.numpy()) for slot in optimizer.variables}


def inner(optimizer: Any) -> Any:
    """The optimizer that takes the steps: mixed float16 wraps it."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def fit_epoch(
    job: Job, epoch: int, *, rate: Callable[[Job, int], float], bar: Any, interrupt: Interrupt
) -> Epoch:
    """One epoch of `fit`. When memory runs out it begins again with half the batch.

    Args:
        job: its model is compiled.
        epoch: from 0.
        rate: learning rate of a step of this epoch.
        bar: counts the steps.
        interrupt: ends the epoch.
    """

    def fit(job: Job) -> tuple[dict[str, float], int]:
        steps = _steps(job, rate, bar, interrupt)
        fitted = job.model.fit(epoch_of(job, epoch), epochs=1, shuffle=False, verbose=0, callbacks=[steps])
        return {name: float(values[-1]) for name, values in fitted.history.items()}, steps.taken

    job, (logs, taken) = halving(job, fit)
    return Epoch(job, logs, taken == job.steps and math.isfinite(logs["loss"]))


def halving(job: Job, act: Callable[[Job], T]) -> tuple[Job, T]:
    """What `act` gives; when memory runs out it begins again from the same weights with half the batch.

    Raises:
        TrainingError: not even one image fits.
    """
    before = snapshot(job.model)
    while True:
        try:
            return job, act(job)
        except Exception as error:
            job = replace(job, batch_size=halved(job.batch_size, error))
            say(f"out of memory; going on with batches of {job.batch_size}")
            restore(job.model, before)


def epoch_of(job: Job, epoch: int) -> Any:
    """The batches of an epoch, a function of the job and the epoch's number."""
    rows, labels, seed = job.train, job.labels, job.seed
    order = balanced_order(rows, labels, seed, epoch) if job.sampler else epoch_order(rows, seed, epoch)
    if job.views:
        order = with_views(order, job.views, len(labels), seed=seed, epoch=epoch)
        labels = np.concatenate([labels] * (job.views + 1))
    return epoch_batches(
        job.drawn or job.source,
        labels,
        order,
        batch_size=job.batch_size,
        augment=job.augment,
        seed=seed,
        epoch=epoch,
        # What is drawn equally often and weighted too would be balanced twice.
        weights=None if job.sampler else job.weights,
    )


def _steps(job: Job, rate: Callable[[Job, int], float], bar: Any, interrupt: Interrupt) -> Any:
    """A callback that sets each step's rate, counts, and ends the epoch where it must end."""
    import keras

    class Steps(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
        taken = 0
        rate: float | None = None

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if self.rate == (asked := rate(job, batch)):
                return
            # On JAX the step works on copies, until told that the variables have changed.
            if hasattr(job.model, "jax_state_sync"):
                job.model.jax_state_sync()
            job.model.optimizer.learning_rate = self.rate = asked

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.taken += 1
            bar.advance()
            if interrupt.asked or not math.isfinite(float(logs["loss"])):
                job.model.stop_training = True

    return Steps()
