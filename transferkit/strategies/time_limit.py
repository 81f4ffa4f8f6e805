"""Making a plan fit into the time there is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from transferkit.errors import TrainingError
from transferkit.strategies.base import Phase
from transferkit.strategies.cost import Estimate, estimate
from transferkit.strategies.rates import Load, Pilot, StageCost
from transferkit.timing import in_words

# The first epoch is warm-up, and with fewer behind it a network is no better than the linear classifier
# that it starts from.
FEWEST_EPOCHS = 3
# Views at a cut that are tried where all are too many. None would be no augmentation.
FEWER_MAPS = (4, 2, 1)


@dataclass(frozen=True)
class Fitted:
    """Phases that fit, and a sentence on that and on each thing that was given up.

    Attributes:
        views: of each training image that linear classifiers are still tried with.
        maps: views of its activations that fine-tuning draws among.
    """

    phases: tuple[Phase, ...]
    reasons: tuple[str, ...] = ()
    views: int = 0
    maps: int = 0


def fit_into(
    phases: tuple[Phase, ...], limit: float, *, pilot: Pilot, stages: Sequence[StageCost], load: Load
) -> Fitted:
    """The phases, cut until all of their epochs fit into the time.

    First views are given up (of linear classifiers, then most of those at a cut), then epochs, down to three;
    then stages that train, those nearest the input first; then fine-tuning as a whole; then all but the first
    linear classifier.

    Args:
        phases: of the plan; one of them at most is fine-tuning.
        limit: seconds there are.
        pilot: rates of this machine.
        stages: of the backbone.
        load: how much there is to do.

    Raises:
        TrainingError: even the linear classifier takes longer.
    """

    def cost(some: Sequence[Phase]) -> float:
        return estimate(some, pilot, stages=stages, load=load).total.at_most

    if cost(phases) <= limit:
        told = f"The plan fits into the time limit: up to {in_words(cost(phases))} of {in_words(limit)}."
        return Fitted(phases, (told,), load.views, load.maps)
    reasons = [
        f"Time limit: the plan may take {in_words(cost(phases))} on this machine, and {in_words(limit)} "
        "are there."
    ]
    for told, lighter in _fewer_views(load):
        load = lighter
        reasons.append(told)
        if cost(phases) <= limit:
            return Fitted(phases, tuple(reasons), maps=load.maps)
    check_linear_fits(estimate(phases[:1], pilot, stages=stages, load=load), limit)
    linear = tuple(phase for phase in phases if phase.kind != "finetune")
    for phase in _shallower(phases):
        floor = min(FEWEST_EPOCHS, phase.epochs)
        once = cost((*linear, replace(phase, epochs=0)))
        epoch = cost((*linear, replace(phase, epochs=1))) - once
        if once + floor * epoch <= limit:
            epochs = min(phase.epochs, int((limit - once) / epoch))
            reasons.append(_cut_reason(phase, epochs))
            return Fitted((*linear, replace(phase, epochs=epochs)), tuple(reasons), maps=load.maps)
        reasons.append(
            f"With freeze depth {phase.freeze_depth} not even {floor} epochs fit: with them the run takes "
            f"{in_words(once + floor * epoch)}."
        )
    if cost(linear) <= limit:
        return Fitted(linear, (*reasons, "So nothing is fine-tuned; the linear classifier fits."))
    return Fitted(phases[:1], (*reasons, "So only the linear classifier on the last stage is fitted."))


def _fewer_views(load: Load) -> Iterator[tuple[str, Load]]:
    """Fewer and fewer views, each with a sentence."""
    if load.views:
        load = replace(load, views=0)
        yield "So the linear classifiers see no views.", load
    for fewer in (maps for maps in FEWER_MAPS if maps < load.maps):
        load = replace(load, maps=fewer)
        yield f"So fine-tuning draws among {fewer} kept view{'s' * (fewer > 1)} of each image.", load


def check_linear_fits(needed: Estimate, limit: float) -> None:
    """Refuse a time that not even the linear classifier fits into.

    Args:
        needed: estimate of the plan's first phase.
        limit: seconds there are.

    Raises:
        TrainingError: says how long it takes, what of it is longest, and what helps.
    """
    seconds = needed.total.at_most
    if seconds <= limit:
        return
    if limit <= 0:
        raise TrainingError(
            "the time limit was over before anything could be fitted: starting and reading the images "
            "took all of "
            "it. Give a longer --time-limit (it is in minutes)."
        )
    part, longest = max(needed.seconds.items(), key=lambda pair: pair[1].at_most)
    raise TrainingError(
        f"the time limit leaves {in_words(max(0.0, limit))}, and the linear classifier alone takes about "
        f"{in_words(seconds)} on this machine ({part}: {in_words(longest.at_most)}). Give a longer "
        "--time-limit, a smaller --backbone ('transferkit backbones' lists them with their cost), a smaller "
        "--image-size or fewer images."
    )


def _shallower(phases: Sequence[Phase]) -> Iterator[Phase]:
    """The fine-tuning phase, then the same with fewer and fewer stages that train."""
    for phase in phases:
        if phase.kind != "finetune":
            continue
        yield phase
        while phase.tuning and len(phase.tuning.stages) > 1:
            tuning = replace(phase.tuning, stages=phase.tuning.stages[1:], rates=phase.tuning.rates[1:])
            seen = phase.features[1:] if phase.freeze_depth else phase.features
            choices = tuple(one for one in phase.choices if set(one.stages) <= set(seen))
            depth = phase.freeze_depth + 1
            phase = replace(phase, features=seen, choices=choices, freeze_depth=depth, tuning=tuning)
            yield phase


def _cut_reason(phase: Phase, epochs: int) -> str:
    trained = ", ".join(phase.tuning.stages) if phase.tuning else "what is behind it"
    return (
        f"So freeze depth is {phase.freeze_depth} ({trained} train) and epochs are at most {epochs}"
        f"{f' instead of {phase.epochs}' if epochs < phase.epochs else ''}."
    )
