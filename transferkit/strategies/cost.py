"""What a plan costs on this machine: seconds, memory and disk, from the rates of a pilot."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from transferkit.strategies.base import FeatureSet, Phase
from transferkit.strategies.rates import Load, Pilot, StageCost


@dataclass(frozen=True)
class Span:
    """Seconds: `expected`, and `at_most` where nothing stops early."""

    expected: float
    at_most: float


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a plan is going to cost.

    Attributes:
        seconds: of each part of the run, in order.
        memory: bytes of each thing that is held at the moment of the peak.
        disk: bytes of activations that are written.
    """

    seconds: dict[str, Span]
    memory: dict[str, int]
    disk: int

    @property
    def total(self) -> Span:
        """Of all parts."""
        spans = self.seconds.values()
        return Span(sum(span.expected for span in spans), sum(span.at_most for span in spans))

    @property
    def peak(self) -> int:
        """Bytes of memory at the peak."""
        return sum(self.memory.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain values for `plan.json`: all fields, `total` and `peak`."""
        return {"total": asdict(self.total), "peak": self.peak, **asdict(self)}


# Evaluation, figures, pictures, tables and the model's file, beside what a fine-tuned network takes for its
# test images: the median of 418 runs of the study (`benchmarks/results/decision-*.jsonl`, one core each) is
# 5.7 s for the report and 1.3 s for the evaluation; nine of ten took under 14 s for both.
REPORT_S, LONG_REPORT_S = 7.0, 14.0
# Images that pass a network once more for the report where that has moved: what new images are compared with,
# and how strange those are that it was not trained on.
PASSED_AGAIN = {"train": 1000, "val": 200, "test": 200}
# A backward pass takes twice as long as a forward pass: one product for the inputs' slopes and one for
# the weights' (Kaplan 2020, arXiv:2001.08361, section 2.1).
BACKWARD = 2
# Fewest and most steps of a range test: with fewer they are over 1.4 times apart in rate; more tell no more.
FINDER_STEPS = (40, 100)
# Weights between start and end of fine-tuning that are tried on val.
BLENDS = 8
# Images that a classifier is chosen on at most: above it the order of the feature sets no longer changes.
CHOICE_IMAGES = 1500


def estimate(phases: Sequence[Phase], pilot: Pilot, *, stages: Sequence[StageCost], load: Load) -> Estimate:
    """Seconds, memory and disk of a plan's phases.

    At most is with all epochs. Expected is with early stopping: see `expected_epochs`.

    Args:
        phases: of the plan.
        pilot: rates of this machine.
        stages: of the backbone, nearest the input first.
        load: how much there is to do.
    """
    linear = sum(_linear(phase, pilot, load) for phase in phases)
    fixed = {
        "startup": pilot.startup,
        "index": pilot.index,
        "bank": pilot.first_forward + load.new * (pilot.decode + pilot.forward) if load.new else 0.0,
        **_views(pilot, load),
        "evidence": pilot.evidence,
        **({"pilot": pilot.pilot} if pilot.pilot else {}),
        "linear": linear,
        # Each fold is judged once, by a classifier that was chosen and fitted on the rest.
        **({"folds": load.folds * linear} if load.folds else {}),
    }
    seconds = {part: Span(value, value) for part, value in fixed.items()}
    for phase in phases:
        if phase.kind == "finetune":
            before = _activations(phase, pilot, stages, load)
            seconds["activations"] = Span(before, before)
            seconds[phase.name] = _training(phase, pilot, stages, load)
    moved = any(phase.kind == "finetune" for phase in phases) and not load.multilabel
    again = sum(min(getattr(load, split), most) for split, most in PASSED_AGAIN.items()) if moved else 0
    seconds["report"] = Span(REPORT_S, LONG_REPORT_S + again * (pilot.decode + pilot.forward))
    disk = sum(_on_disk(phase, stages, load) for phase in phases if phase.kind == "finetune")
    return Estimate(seconds=seconds, memory=_memory(phases, pilot, stages, load), disk=disk)


def _views(pilot: Pilot, load: Load) -> dict[str, float]:
    """Seconds of the views in the bank, as if none were kept; nothing where there are none."""
    if not load.views:
        return {}
    each = _fresh(pilot) + load.views * (pilot.change + pilot.forward)
    return {"views": pilot.first_forward + pilot.first_change + load.train * each}


def _fresh(pilot: Pilot) -> float:
    """Seconds from the file of a training image to the pixels that are changed."""
    return pilot.decode_larger or pilot.decode


def _linear(phase: Phase, pilot: Pilot, load: Load) -> float:
    """Seconds of a linear phase; features and classifier are chosen on some images at most."""
    both, last = pilot.linear.get(phase.name, 0.0), pilot.refit.get(phase.name, 0.0)
    # With views the best is tried once more, and fitted on all of them.
    once_more = 1 + load.views
    return min(load.train, CHOICE_IMAGES) * (both - last) + load.train * last * once_more


def expected_epochs(phase: Phase) -> int:
    """Epochs until early stopping: the best one after a third of them, then the patience.

    A guess between what is seen: the start stays best (patience alone) or the end is (all of them).
    """
    return min(phase.epochs, phase.patience + math.ceil(phase.epochs / 3))


def inputs_of(phase: Phase, stages: Sequence[StageCost], load: Load) -> tuple[int, bool]:
    """(stages that a fine-tuning phase leaves out, whether its inputs are kept from epoch to epoch).

    Activations that fit neither on disk nor into memory are not kept: every image passes the whole
    network in each epoch then.
    """
    cut = 0 if load.anew else phase.freeze_depth
    room = max(load.disk_limit, load.memory_limit)
    if cut and load.maps and not _maps(phase, stages, load):
        cut = 0
    kept = map_bytes(cut, stages, load) <= room
    return (cut, True) if kept else (0, False)


def _maps(phase: Phase, stages: Sequence[StageCost], load: Load) -> int:
    """Views of each training image's activations at the cut that are kept."""
    each = load.train * stages[phase.freeze_depth - 1].output * 4
    return int(min(load.maps, load.disk_limit // each))


def _view_bytes(phase: Phase, stages: Sequence[StageCost], load: Load) -> int:
    """Bytes of the views of training images' activations at the cut; they are kept only where they fit."""
    cut, _ = inputs_of(phase, stages, load)
    if not cut or not load.maps:
        return 0
    return load.train * _maps(phase, stages, load) * stages[cut - 1].output * 4


def map_bytes(cut: int, stages: Sequence[StageCost], load: Load) -> int:
    """Bytes of the activations of all images behind `cut` stages; of their pixels at 0."""
    return load.images * stages[cut - 1].output * 4 if cut else sum(_pixel_bytes(load))


def _pixel_bytes(load: Load) -> tuple[int, int]:
    """Bytes of the images that crops are cut out of, and of the others: two arrays."""
    larger = _larger(load)
    return 3 * larger * load.canvas_px**2, 3 * (load.images - larger) * load.image_size**2


def _larger(load: Load) -> int:
    """Images that crops are cut out of; the same file may train twice."""
    return min(load.train, load.images) if load.canvas_px else 0


def step_seconds(phase: Phase, pilot: Pilot, stages: Sequence[StageCost], load: Load) -> tuple[float, float]:
    """Seconds of an image in a training step, and in a forward pass behind the cut.

    Where the phase is not the one that was timed they are scaled by the work of the stages that are computed
    and of those that are gone back through. Measured on two CPU cores, freeze depths 1 to 4 as shares
    of 0, in brackets as scaled: MobileNet 0.25 at 224 px .69 .42 .31 .06 (.71 .46 .32 .06), MobileNetV2 at
    160 px .74 .44 .31 .11 (.75 .50 .36 .13), ResNet50 at 96 px, depths 3 and 4, .53 .24 (.48 .16).
    """
    cut, _ = inputs_of(phase, stages, load)
    work = [_work(stage) for stage in stages]

    def passes(cut: int, depth: int) -> float:
        return sum(work[cut:]) + BACKWARD * sum(work[depth:])

    step = pilot.step * passes(cut, phase.freeze_depth) / passes(pilot.step_cut, pilot.step_depth)
    return step, step * sum(work[cut:]) / passes(cut, phase.freeze_depth)


# Multiply-adds that take as long as writing and reading back one value of an activation; fitted to the
# measurements in `step_seconds`.
MACS_PER_VALUE = 30


def _work(stage: StageCost) -> float:
    """Of one image in a forward pass, in values of activations."""
    return stage.activations + stage.macs / MACS_PER_VALUE


def _activations(phase: Phase, pilot: Pilot, stages: Sequence[StageCost], load: Load) -> float:
    cut, kept = inputs_of(phase, stages, load)
    if not kept:
        return 0.0
    work = [_work(stage) for stage in stages]
    share = sum(work[:cut]) / sum(work)
    compiling = pilot.first_forward if cut else 0.0
    views = 0.0
    if cut and load.maps:
        each = _fresh(pilot) + _maps(phase, stages, load) * (pilot.change + share * pilot.forward)
        views = pilot.first_change + load.train * each
    larger = 0.0 if cut else _larger(load) * (_fresh(pilot) - pilot.decode)
    return compiling + load.images * (pilot.decode + share * pilot.forward) + larger + views


def _training(phase: Phase, pilot: Pilot, stages: Sequence[StageCost], load: Load) -> Span:
    step, forward = step_seconds(phase, pilot, stages, load)
    cut, kept = inputs_of(phase, stages, load)
    fresh, train = (0.0, 0.0) if kept else (pilot.decode, _fresh(pilot))
    # Images that pass the whole network are changed anew in each epoch.
    changed = pilot.change if not cut and (load.maps or load.anew) else 0.0
    judging = load.val * (forward + fresh)
    # The last batch takes nearly as long as a whole one.
    whole = math.ceil(load.train / load.batch_size) * load.batch_size
    epoch = pilot.epoch + whole * step + load.train * (train + changed) + judging
    last = (load.val + load.test) * (forward + fresh)
    once = pilot.first_step + pilot.first_forward + (1 + BLENDS) * judging + last
    if phase.tuning and phase.tuning.find_rate:
        fewest, most = FINDER_STEPS
        steps = min(most, max(fewest, math.ceil(load.train / load.batch_size)))
        once += steps * load.batch_size * (step + train)
    return Span(once + expected_epochs(phase) * epoch, once + phase.epochs * epoch)


def _on_disk(phase: Phase, stages: Sequence[StageCost], load: Load) -> int:
    cut, _ = inputs_of(phase, stages, load)
    size = map_bytes(cut, stages, load)
    return (size if size <= load.disk_limit else 0) + _view_bytes(phase, stages, load)


# Copies of the weights that training holds: at the start, before the epoch, and the best.
COPIES = 3
# Values that an optimizer keeps of each weight.
SLOTS = {"adamw": 2, "adam": 2, "sgd": 1, "rmsprop": 2, "adagrad": 1}
# Bytes of a feature while a linear classifier is fitted: as it is in float32, standardised and rotated in
# float64, and rotated in float32 again.
LINEAR_BYTES = 4 + 8 + 8 + 4
# Values of a channel by what is pooled, as `training.pooling` gives them.
POOLED = {"means": 1, "deviations": 1, "grids": 4}


def _memory(phases: Sequence[Phase], pilot: Pilot, stages: Sequence[StageCost], load: Load) -> dict[str, int]:
    """Bytes by what they are for, at the moment of the highest sum."""
    held = {"program": pilot.resident}
    moments = []
    for phase in phases:
        if phase.kind == "finetune":
            training = _while_training(phase, stages, load)
            # Small arrays of a batch are kept beside what is held: measured, see docs/decision.md.
            most = min(pilot.kept * pilot.threads, 2 * training["batch"])
            moments.append(held | training | {"freed but kept": most})
        else:
            fitting = load.train * (1 + load.views) * _values_seen(phase, stages) * LINEAR_BYTES
            moments.append(held | {"linear classifier": fitting, "freed but kept": pilot.kept})
    highest = max(moments, key=lambda moment: sum(moment.values()))
    return {what: size for what, size in highest.items() if size or what != "freed but kept"}


def _values_seen(phase: Phase, stages: Sequence[StageCost]) -> int:
    """Features of an image in the largest of the feature sets that a linear phase may take."""
    channels = {stage.name: stage.channels for stage in stages}
    sets = phase.choices or (FeatureSet(stages=phase.features),)
    return max(
        sum(channels[stage] * POOLED[kind] for stage in one.stages for kind in one.kinds) for one in sets
    )


def _while_training(phase: Phase, stages: Sequence[StageCost], load: Load) -> dict[str, int]:
    cut, kept = inputs_of(phase, stages, load)
    parameters = [stage.parameters for stage in stages]
    optimizer = phase.tuning.optimizer if phase.tuning else "adamw"
    training = sum(parameters[phase.freeze_depth :]) * (1 + SLOTS[optimizer])
    arrays = (map_bytes(cut, stages, load) if kept else 0, _view_bytes(phase, stages, load))
    held = 0
    # Of images that are changed one array of two may fit; else it is all or nothing.
    for size in _pixel_bytes(load) if not cut and load.canvas_px else arrays:
        held += size if held + size <= load.memory_limit else 0
    return {
        "activations kept": held,
        "optimizer and best weights": 4 * (training + COPIES * sum(parameters[cut:])),
        "batch": load.batch_size * load.value_bytes * sum(stage.activations for stage in stages[cut:]),
    }
