"""Gradient phases: steps by a schedule, the best weights kept, each whole epoch a place to go on from."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from transferkit.evaluation.curves import EXPLODED
from transferkit.progress import say, task
from transferkit.strategies import Phase, Tuning, schedules
from transferkit.timing import Deadline
from transferkit.training.blending import best_blend
from transferkit.training.epochs import carry_over, compiled, epoch_of, fit_epoch, halving, inner, slots
from transferkit.training.finder import HIGHEST, find_rate
from transferkit.training.interrupting import Interrupt, deferred
from transferkit.training.job import Job, measure
from transferkit.training.loop import Follow, Loop
from transferkit.training.model import weights_of
from transferkit.training.optimizers import averaged, variables_by_stage
from transferkit.training.penalties import add_l2_sp, kernels_of, remove_l2_sp
from transferkit.training.state import Progress, Snapshot, StateFile, restore, snapshot
from transferkit.training.stopping import explosion

RETRIES = 4


@dataclass(frozen=True)
class Trained:
    """What a phase did.

    Attributes:
        history: a row for each epoch.
        notes: sentences on what a reader should know.
        best_epoch: whose weights are left; 0 is the start.
        interrupted: whether Ctrl-C ended it.
    """

    history: list[dict[str, Any]]
    notes: list[str]
    best_epoch: int
    interrupted: bool = False


def run_phase(
    job: Job,
    phase: Phase,
    *,
    states: StateFile | None = None,
    deadline: Deadline | None = None,
    follow: Follow | None = None,
    ended: Callable[[], object] | None = None,
) -> Trained:
    """Train; the model is left with its best weights.

    Best is a blend of the start and the last epoch if one beats the start, else what `best_epoch` says.
    When the loss explodes the start is restored and the rate cut to a third; if that does not help, the start
    is what is left. Ctrl-C ends the step, and the best so far is left.

    Args:
        job: what to work on; its model holds the start, even if an earlier run has trained it further.
        phase: how to train.
        states: where each whole epoch is kept, and taken up again if it is there: a phase that was killed
            goes on to the same history and weights as one that was not.
        deadline: after each epoch, whether there is time for another.
        follow: is told the phase's name and its history so far, after each epoch.
        ended: is called where training ends, before any weights are put back.
    """
    if phase.tuning is None:
        names = tuple(stage.name for stage in job.stages[phase.freeze_depth :])
        phase = replace(phase, tuning=Tuning(stages=names))
    assert phase.tuning is not None
    stage_of = variables_by_stage(job.network, tuple(job.stages), job.model)
    start = Snapshot(snapshot(job.model).model, [])
    add_l2_sp(job.model, phase.tuning.l2_sp, kernels_of(job.network))
    try:
        with deferred() as interrupt:
            known = states.read() if states else None
            progress = known[0] if known else _first(job, phase, stage_of, interrupt)
            limit = deadline or Deadline()
            loop = Loop(job, phase, progress, start, stage_of, states, interrupt, limit, follow)
            loop.job = replace(job, batch_size=progress.batch_size)
            loop.phase = replace(phase, learning_rate=progress.learning_rate)
            if known and not progress.done:
                _take_up(loop, known[1])
            loop.told()
            return _finished(loop, ended or (lambda: None))
    finally:
        remove_l2_sp(job.model)


def _first(job: Job, phase: Phase, stage_of: dict[str, str], interrupt: Interrupt) -> Progress:
    """The progress of a phase that has done nothing yet, but for finding its rate."""
    _, loss, reached = measure(job, job.val)
    progress = Progress(learning_rate=phase.learning_rate, batch_size=job.batch_size, start=(reached, loss))
    assert phase.tuning is not None
    if not phase.tuning.find_rate:
        return progress
    compiled(job, phase, phase.tuning.stages, stage_of=stage_of, joined={})
    job, tested = halving(job, lambda job: find_rate(job.model, epoch_of(job, 0), interrupt))
    progress.batch_size, found = job.batch_size, tested.suggestion
    if interrupt.asked:
        return progress
    if found is None:
        told = f"the range test saw no rate at which the loss falls; {phase.learning_rate:.2g} is taken"
    else:
        progress.learning_rate = found
        told = f"the range test suggests the rate {found:.2g}"
        if tested.rates and found * 10 >= HIGHEST * 0.99:
            told += ", a tenth of the highest that it tries: the loss still fell there"
    _note(progress, f"{phase.name}: {told}")
    return progress


def _note(progress: Progress, text: str) -> None:
    progress.notes.append(text)
    say(text)


def _take_up(loop: Loop, kept: Snapshot) -> None:
    """Put model, optimizer and seeds where they were after the last whole epoch."""
    done = len(loop.progress.rows)
    loop.thawed = schedules.thawed(loop.phase, done - 1)
    compiled(loop.job, loop.phase, loop.thawed, stage_of=loop.stage_of, joined=loop.progress.joined)
    restore(loop.model, kept, str(loop.states.path) if loop.states else "")
    say(f"{loop.phase.name}: going on after epoch {done} of {loop.phase.epochs}")


def _finished(loop: Loop, seen: Callable[[], object]) -> Trained:
    """Train until nothing is left to do, and leave the best weights."""
    progress, name = loop.progress, loop.phase.name
    while not progress.done:
        ended = _attempt(loop)
        seen()
        if ended == "interrupted":
            _set_best(loop)
            kept = f"epoch {progress.best_epoch}" if progress.best_epoch else "the start"
            told = (
                f"{name}: interrupted after epoch {len(progress.rows)} of {loop.phase.epochs}; kept is {kept}"
            )
            say(told)
            history = [*progress.earlier, *progress.rows]
            return Trained(history, [*progress.notes, told], progress.best_epoch, interrupted=True)
        if ended:
            _after_explosion(loop, ended)
        else:
            _blend(loop)
            progress.done = True
    if loop.states:
        loop.states.write(progress, Snapshot([], []))
    _set_best(loop)
    history, asked = [*progress.earlier, *progress.rows], loop.interrupt.asked
    return Trained(history, progress.notes, progress.best_epoch, interrupted=asked)


def _blend(loop: Loop) -> None:
    """Keep the best of the weights between start and end that beat the start; else the best epoch's stay.

    The best of forty noisy epochs looks better than it is; the way between two ends is smooth.
    """
    progress, name, end = loop.progress, loop.phase.name, len(loop.progress.rows)
    with averaged(loop.model):
        last = weights_of(loop.model)
    restore(loop.model, loop.start)
    found = best_blend(loop.job, weights_of(loop.model), last, loop.standing(0))
    if found is None:
        return
    progress.best, progress.best_epoch = found.weights, end
    blend = f"a blend of {found.share:.0%} of epoch {end} and {1 - found.share:.0%} of the start"
    what = blend if found.share < 1 else f"epoch {end} whole, better than any blend of it and the start"
    _note(progress, f"{name}: its candidate is {what}, val loss {found.standing.loss:.3f}")


def _set_best(loop: Loop) -> None:
    restore(loop.model, loop.start)
    if loop.progress.best is not None:
        loop.model.set_weights(loop.progress.best)


def _after_explosion(loop: Loop, what: str) -> None:
    """Restore the start; the next attempt has a third of the rate, unless this was the last."""
    progress, name, rate = loop.progress, loop.phase.name, loop.phase.learning_rate
    progress.earlier += [row | {"phase": f"{name} {EXPLODED}"} for row in progress.rows]
    progress.rows, progress.best, progress.best_epoch, progress.joined = [], None, 0, {}
    progress.done = progress.attempt == RETRIES
    progress.attempt += 1
    progress.learning_rate = rate / 3
    then = "this phase was given up" if progress.done else f"rate cut to {progress.learning_rate:.2g}"
    _note(progress, f"{name}: {what} at rate {rate:.2g}; start restored, {then}")
    restore(loop.model, loop.start)
    loop.phase = replace(loop.phase, learning_rate=progress.learning_rate)
    loop.thawed = None


def _attempt(loop: Loop) -> str:
    """Epochs until the phase ends: "", or `interrupted`, or what exploded."""
    progress, phase = loop.progress, loop.phase
    with task(phase.name, phase.epochs * loop.job.steps, "steps") as bar:
        bar.advance(len(progress.rows) * loop.job.steps)
        while True:
            if loop.interrupt.asked:
                return "interrupted"
            if reason := loop.ended():
                break
            loop.began = time.perf_counter()
            _thaw(loop)
            epoch = fit_epoch(
                loop.job, len(progress.rows), rate=loop.rates(), bar=bar, interrupt=loop.interrupt
            )
            loop.job = epoch.job
            progress.batch_size = epoch.job.batch_size
            if not epoch.whole and math.isfinite(epoch.logs["loss"]):
                return "interrupted"
            if exploded := _judge(loop, epoch.logs, bar):
                return exploded
            if loop.states:
                loop.states.write(progress, snapshot(loop.model))
    best = (
        f"the smoothed val loss was lowest after epoch {progress.best_epoch}"
        if progress.best_epoch
        else "the smoothed val loss was lowest at the start, before any epoch"
    )
    _note(progress, f"{phase.name}: {reason} epoch {len(progress.rows)} of {phase.epochs}; {best}")
    return ""


def _thaw(loop: Loop) -> None:
    """Compile where the stages that train are others than in the epoch before."""
    thawed = schedules.thawed(loop.phase, len(loop.progress.rows))
    if thawed == loop.thawed:
        return
    if loop.thawed is None:
        compiled(loop.job, loop.phase, thawed, stage_of=loop.stage_of, joined={})
    else:
        kept = slots(loop.model.optimizer)
        old = {variable.path for variable in loop.model.trainable_variables}
        done = int(inner(loop.model.optimizer).iterations)
        compiled(loop.job, loop.phase, thawed, stage_of=loop.stage_of, joined=loop.progress.joined)
        new = {variable.path for variable in loop.model.trainable_variables} - old
        loop.progress.joined |= dict.fromkeys(sorted(new), done)
        inner(loop.model.optimizer).joined = dict(loop.progress.joined)
        carry_over(loop.model, kept)
    loop.thawed = thawed


def _judge(loop: Loop, logs: dict[str, float], bar: Any) -> str:
    """Add an epoch's row, keep its weights if they are the best; what exploded, or ""."""
    progress, job, number = loop.progress, loop.job, len(loop.progress.rows) + 1
    rate = loop.rates()
    with averaged(loop.model):
        judged = time.perf_counter()
        _, val_loss, reached = measure(job, job.val)
        loop.judging = time.perf_counter() - judged
        row = {"phase": loop.phase.name, "epoch": number, "loss": logs["loss"], "val_loss": val_loss}
        # Top-1 does not exist where an image may have several classes.
        row |= {"top1": logs.get("top1"), "val_top1": None if job.multilabel else reached}
        row |= {"val_map": reached} if job.multilabel else {}
        row |= {"learning_rate": max(rate(job, step) for step in range(job.steps))}
        progress.rows.append(row | {"seconds": time.perf_counter() - loop.began})
        loop.told()
        measured = "mAP" if job.multilabel else "top-1"
        bar.note(
            f"epoch {number} loss {logs['loss']:.3f} val loss {val_loss:.3f} val {measured} {reached:.3f}"
        )
        chance, tuning = math.log(2 if job.multilabel else job.classes), loop.phase.tuning
        harder = bool(job.views or job.augment or (tuning and (tuning.dropout or tuning.stochastic_depth)))
        plain = not (harder or (tuning and (tuning.label_smoothing or tuning.l2_sp)))
        if exploded := explosion(row, progress.start[1], chance, plain=plain):
            return exploded
        progress.best_epoch = loop.best()
        if progress.best_epoch == number:
            progress.best = weights_of(loop.model)
    return ""
