"""A few batches on this machine, timed, so that a plan can say what it will cost.

A pilot leaves no trace: weights come back, nothing is drawn from a random state, nothing is written.
"""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transferkit.allocation import kept_bytes
from transferkit.backbone.cost import layer_costs
from transferkit.backbone.graph import Stage
from transferkit.data.decode import decode_chunks
from transferkit.data.loader import epoch_batches
from transferkit.strategies.base import FeatureSet, Phase, Tuning
from transferkit.strategies.rates import Pilot, StageCost
from transferkit.training.bank import Extractor, predict
from transferkit.training.device import halved
from transferkit.training.model import features_of, set_freeze_depth, set_trainable, tail, weights_of

if TYPE_CHECKING:
    from transferkit.data.augment.pipeline import Pipeline

# Timed after one that compiles; fewer where they are slow.
TIMES = 3
BUDGET_S = 2.0
DECODED = 64
CHANGED = 32


def pilot_features(extractor: Extractor, paths: Sequence[Path]) -> tuple[Pilot, np.ndarray]:
    """Rates of decoding and of the whole network; and the images of one batch that a phase's pilot takes.

    Args:
        extractor: the frozen network.
        paths: of the images, some of which are read; those that cannot be are passed over.

    Returns:
        The pilot, and uint8 `(batch_size, S, S, 3)`.
    """
    some = _evenly(paths, max(DECODED, extractor.batch_size))
    started = time.perf_counter()
    chunks = list(decode_chunks(some, extractor.policy, extractor.batch_size))
    decode = (time.perf_counter() - started) / len(some)
    images = _filled(np.concatenate([chunk.images for chunk in chunks]), extractor)
    first, each = _timed(lambda: predict(extractor.network, images, len(images)))
    found = Pilot(
        decode=decode,
        forward=each / len(images),
        first_forward=first,
        resident=resident_bytes(),
        kept=kept_bytes(),
        threads=2 * (os.cpu_count() or 1),  # TensorFlow has two pools of so many
    )
    return found, images


def pilot_change(known: Pilot, extractor: Extractor, changes: "Pipeline", paths: Sequence[Path]) -> Pilot:
    """The pilot with what it takes to change an image, and to decode it as large as that asks for.

    Args:
        known: what was measured before.
        extractor: whose images.
        changes: the policy made ready.
        paths: of the images that train, some of which are read.
    """
    side = changes.side
    some = _evenly(paths, CHANGED)
    started = time.perf_counter()
    list(decode_chunks(some, extractor.policy.crops_from(side), extractor.batch_size))
    decode = (time.perf_counter() - started) / len(some)
    images, keys = np.zeros((CHANGED, side, side, 3), np.uint8), np.zeros((CHANGED, 2), np.int32)
    first, each = _timed(lambda: changes.changed(images, keys))
    return replace(known, change=each / CHANGED, first_change=first, decode_larger=decode)


def pilot_step(
    known: Pilot, extractor: Extractor, phase: Phase, *, cut: int, images: np.ndarray, jit: bool
) -> Pilot:
    """The pilot with the rate of a training step of a fine-tuning phase.

    When memory runs out the batch is halved, as training does.

    Args:
        known: what was measured before.
        extractor: its network is trained for a few steps and then given its weights back.
        phase: says which stages train.
        cut: stages that training leaves out because their activations are kept; 0 trains on images.
        images: uint8 `(N, S, S, 3)`, one batch.
        jit: whether steps are compiled.

    Raises:
        TrainingError: not even one image fits into memory.
    """
    network = extractor.network
    kept = weights_of(network)
    try:
        names = tuple(stage.name for stage in extractor.stages[phase.freeze_depth :])
        set_trainable(network, extractor.stages, phase.tuning or Tuning(stages=names))
        model = _trainable(extractor, phase, cut, jit)
        inputs = _inputs(extractor, cut, images)
        timed = _steps(model, inputs)
    finally:
        set_freeze_depth(network, extractor.stages, len(extractor.stages))
        network.set_weights(kept)
    return replace(
        known,
        step=timed.step / timed.batch,
        step_cut=cut,
        step_depth=phase.freeze_depth,
        first_step=timed.first,
        batch=timed.batch,
        epoch=timed.epoch,
    )


def pilot_linear(
    known: Pilot, name: str, fit: Callable[[np.ndarray], Callable[[], object]], rows: np.ndarray
) -> Pilot:
    """The pilot with the rates of a linear phase.

    Args:
        known: what was measured before.
        name: of the phase.
        fit: does the phase on some rows of train; what it gives does its last fit again.
        rows: of train, as many as are to be tried.
    """
    started = time.perf_counter()
    again = fit(rows)
    between = time.perf_counter()
    again()
    ended = time.perf_counter()
    # The second time everything is warm: it may not take longer than the first as a whole.
    whole = (between - started) / len(rows)
    last = min(whole, (ended - between) / len(rows))
    return replace(known, linear={**known.linear, name: whole}, refit={**known.refit, name: last})


def stage_costs(network: Any, stages: Sequence[Stage]) -> tuple[StageCost, ...]:
    """What each stage of a network costs for one image."""
    by_name = {cost.name: cost for cost in layer_costs(network)}
    found = []
    for stage in stages:
        layers = [by_name[name] for name in stage.layers]
        found.append(
            StageCost(
                name=stage.name,
                parameters=sum(layer.parameters for layer in layers),
                activations=sum(layer.activations for layer in layers),
                largest=max(layer.activations for layer in layers),
                macs=sum(layer.macs for layer in layers),
                output=stage.size_px**2 * stage.channels,
                channels=stage.channels,
            )
        )
    return tuple(found)


def resident_bytes() -> int:
    """Memory that this process holds now; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _evenly(paths: Sequence[Path], count: int) -> list[Path]:
    places = np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int)
    return [paths[place] for place in places]


def _filled(images: np.ndarray, extractor: Extractor) -> np.ndarray:
    """A whole batch; what is known of a smaller set is repeated."""
    if not len(images):
        images = np.zeros((1, *images.shape[1:]), np.uint8)
    return images[np.arange(extractor.batch_size) % len(images)]


def _trainable(extractor: Extractor, phase: Phase, cut: int, jit: bool) -> Any:
    """The network behind a cut with a head of two classes on the most it may see, compiled.

    Deviations and grids of early stages, and their slopes, take as long as the stages themselves.
    """
    import keras

    network = extractor.network
    sets = phase.choices or (FeatureSet(stages=(extractor.stages[-1].name,)),)
    widest = max(sets, key=lambda one: (len(one.stages), len(one.kinds)))
    pooled = features_of(network, extractor.stages, widest)
    # Zeros: a drawn start would move the random state.
    logits = keras.layers.Dense(2, kernel_initializer="zeros", dtype="float32", name="logits")(pooled)
    model = tail(keras.Model(network.input, logits), extractor.stages, cut)
    optimizer = keras.optimizers.get(phase.tuning.optimizer if phase.tuning else "adamw")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, jit_compile=jit)
    return model


def _inputs(extractor: Extractor, cut: int, images: np.ndarray) -> np.ndarray:
    """float32 activations at the cut; of noise, as their values do not matter and need no network."""
    if not cut:
        return images.astype(np.float32)
    stage = extractor.stages[cut - 1]
    shape = (len(images), stage.size_px, stage.size_px, stage.channels)
    return np.random.default_rng(0).random(shape, np.float32)


@dataclass(frozen=True)
class _Timed:
    """Seconds: `first` once for compiling, of a `step` of `batch` images, of an `epoch` beside its steps."""

    first: float
    step: float
    epoch: float
    batch: int


@dataclass(frozen=True)
class _Held:
    """Inputs of a batch as a source of any number of rows."""

    inputs: np.ndarray

    def take(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.inputs[rows % len(self.inputs)])


def _steps(model: Any, inputs: np.ndarray) -> _Timed:
    """Epochs as training runs them, of one step and of three: what they differ by are two steps."""
    batch = len(inputs)

    def fit(steps: int) -> None:
        rows, source = np.arange(steps * batch), _Held(inputs)
        data = epoch_batches(source, rows % 2, rows, batch_size=batch)
        model.fit(data, epochs=1, shuffle=False, verbose=0)

    while True:
        try:
            # The least: where few cores feed and compute, single epochs take twice as long now and then.
            first, one = _timed(lambda: fit(1), min)
            _, three = _timed(lambda: fit(3), min)
        except Exception as error:
            batch = halved(batch, error)
            continue
        step = max((three - one) / 2, one / 10)
        return _Timed(first=first, step=step, epoch=max(0.0, one - step), batch=batch)


def _timed(
    call: Callable[[], object], of: Callable[[list[float]], float] = statistics.median
) -> tuple[float, float]:
    """(seconds of the first call beyond those of the others, seconds of the others)."""
    started = time.perf_counter()
    call()
    first = time.perf_counter() - started
    spent: list[float] = []
    while len(spent) < TIMES and sum(spent) < BUDGET_S:
        started = time.perf_counter()
        call()
        spent.append(time.perf_counter() - started)
    each = of(spent)
    return max(0.0, first - each), each
