"""The learning rate that the data allow, by a range test that leaves no trace."""

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from transferkit.progress import task
from transferkit.strategies.cost import FINDER_STEPS
from transferkit.training.interrupting import Interrupt

LOWEST, HIGHEST = 1e-6, 1.0
FEWEST_STEPS, MOST_STEPS = FINDER_STEPS
# Weight of the past in the smoothed loss, and how many times its best counts as diverged.
SMOOTHING, DIVERGED = 0.9, 4.0


@dataclass(frozen=True)
class Found:
    """What a range test saw.

    Attributes:
        rates: of the steps, growing.
        losses: before the step of that rate was taken, smoothed, of a batch of the mean difficulty.
        suggestion: a learning rate; None where the loss never fell, so that nothing can be said.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float | None


def find_rate(model: Any, batches: Any, interrupt: Interrupt | None = None) -> Found:
    """A learning rate for a compiled model, from steps whose rate grows from 1e-6 to 1.

    Weights, optimizer, seeds of dropout and the random state of Python and numpy are afterwards what they
    were. Source: Smith 2017 (arXiv:1506.01186), section 3.3.

    Args:
        model: compiled.
        batches: sized and iterable: inputs and labels, or these and images' weights. 40 to 100 steps are
            taken: as many as there are batches if that is between.
        interrupt: ends the test after the step.
    """
    steps = min(MOST_STEPS, max(FEWEST_STEPS, len(batches)))
    rates = np.geomspace(LOWEST, HIGHEST, steps)
    losses: list[float] = []
    now = then = 0.0
    with _untouched(model), task("rate", steps, "steps") as bar:
        starts = [_loss(model.test_on_batch, batch) for batch in itertools.islice(batches, steps)]
        endless = itertools.chain.from_iterable(itertools.repeat(batches))
        for number, (rate, batch) in enumerate(zip(rates, endless, strict=False)):
            model.optimizer.learning_rate = float(rate)
            # Batches differ more than small steps change, so each is measured against itself.
            now = SMOOTHING * now + _loss(model.train_on_batch, batch)
            then = SMOOTHING * then + starts[number % len(starts)]
            loss = float(np.mean(starts)) * now / max(then, 1e-12)
            diverged = not math.isfinite(loss) or loss > DIVERGED * min([*losses, loss])
            if diverged or (interrupt and interrupt.asked):
                break
            losses.append(loss)
            bar.advance()
    tested = tuple(float(rate) for rate in rates[: len(losses)])
    return Found(tested, tuple(losses), suggest(tested, losses))


def _loss(on_batch: Any, batch: Any) -> float:
    return float(on_batch(*(np.asarray(part) for part in batch), return_dict=True)["loss"])


def suggest(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """A tenth of the rate whose smoothed loss is the lowest; None where none is below the first.

    At the lowest loss the steps are about to be too long. The rate of the steepest fall, the other
    common rule, lies 2 to 20 times higher where the classifier starts fitted: after 4 epochs on 240 to 320
    images its val loss was no better for flowers and satellite images, and better for signs. Source of
    this rule: fastai's `minimum`, Howard and Gugger 2020 (doi:10.3390/info11020108).
    """
    lowest = int(np.argmin(losses)) if len(losses) else 0
    return rates[lowest] / 10 if lowest else None


@contextmanager
def _untouched(model: Any) -> Iterator[None]:
    """Everything that steps change is as before when this ends."""
    optimizer = model.optimizer
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    variables = [*model.variables, *optimizer.variables]
    values = [np.array(variable.numpy()) for variable in variables]
    states = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        model.reset_metrics()
        random.setstate(states[0])
        np.random.set_state(states[1])
