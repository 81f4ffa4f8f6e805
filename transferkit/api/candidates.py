"""What a plan's phases produce: classifiers that compete on val."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from transferkit.api.linear_candidates import linear_candidate
from transferkit.api.tuned_candidates import tuned_candidate
from transferkit.api.work import Candidate, Work
from transferkit.evaluation.metrics import SMALLEST_P
from transferkit.progress import say
from transferkit.strategies import Phase
from transferkit.training import model as models
from transferkit.training import stopping
from transferkit.training.interrupting import AtOnce
from transferkit.training.state import StateFile, StateFolder


def run_phases(work: Work, states: StateFolder | None = None) -> tuple[Candidate, Candidate]:
    """(the linear classifier on the last stage, the candidate that is best on val).

    The linear classifier itself competes, so what is kept is never worse on val. Ctrl-C in a phase behind
    it ends that phase, and none follows; the second one ends everything.

    Args:
        work: what phases share.
        states: where fine-tuning phases keep how far they have come, and go on from.
    """
    base = best = linear_candidate(work, work.plan.linear)
    linear = [base]
    for number, phase in enumerate(work.plan.phases[1:], start=2):
        kept = best
        before = models.weights_of(work.extractor.network)
        try:
            new = _tried(work, phase, linear, states.of(number) if states else None)
        except AtOnce:
            raise
        except KeyboardInterrupt:  # not while steps were taken: that ends in a candidate
            told = f"{phase.name}: interrupted before it was judged; kept is the {best.name} model"
            say(told)
            work.extractor.network.set_weights(before)
            best = replace(best, interrupted=True, notes=[*best.notes, told])
            break
        won, why = beats(work, new, kept)
        if not won:
            work.extractor.network.set_weights(before)
        # What happened is told whoever is kept.
        best = replace(
            new if won else kept,
            history=[*kept.history, *new.history],
            notes=[*kept.notes, *new.notes, *why],
            chosen={**kept.chosen, **new.chosen},
            proof=(*kept.proof, *new.proof),
            interrupted=new.interrupted,
            fed=new.fed or kept.fed,
        )
        if new.interrupted:
            break
    return base, best


def _tried(work: Work, phase: Phase, linear: list[Candidate], states: StateFile | None) -> Candidate:
    if phase.kind != "linear":
        return tuned_candidate(work, phase, starting_point(work, phase, linear), states)
    new = linear_candidate(work, phase)
    linear.append(new)
    return new


def starting_point(work: Work, phase: Phase, linear: Sequence[Candidate]) -> Candidate:
    """The linear classifier that a network is fine-tuned from.

    It is the best there is by cross-validation on train (where there was none: on val). If that sees stages
    in front of the activations at the cut, the best of those that do not is fitted; it does not compete.

    Args:
        work: what phases share.
        phase: what is fine-tuned; its `features` are the stages that may be seen, its `choices` how.
        linear: the classifiers there are, that on the last stage first.
    """

    def order(one: Candidate) -> tuple[float, ...]:
        tried = one.chosen.get(one.name)
        return (0.0, tried[0].nll) if tried else (1.0, *(-value for value in one.score))

    best = min(linear, key=order)
    if set(_seen_by(best)) <= set(phase.features):
        return best
    return linear_candidate(work, replace(phase, name="start", kind="linear")) if phase.choices else linear[0]


def _seen_by(one: Candidate) -> tuple[str, ...]:
    return one.fitted.features.stages if one.fitted and one.fitted.features else ()


def beats(work: Work, new: Candidate, best: Candidate) -> tuple[bool, list[str]]:
    """Whether a candidate takes the place of the best so far, and what a reader should know of it.

    Decided as `stopping.beats` does for epochs; and what was fine-tuned must be better by more than the
    noise of val, for it may be far worse where a linear classifier is never. A higher top-1 that is not
    enough is told.
    """
    if not new.moved:
        return False, []
    images = len(work.rows["val"])
    won = stopping.beats(standing(new), standing(best), images, ranked=work.multilabel)
    if won and new.name == "fine-tuned" and not work.multilabel:
        labels = work.labels[work.rows["val"]]
        own, others = (losses(one.probabilities["val"], labels) for one in (new, best))
        higher = stopping.surely_higher(standing(new), standing(best), images)
        won = higher or stopping.surely_lower(own, others)
    if won:
        return True, []
    measure = "mAP" if work.multilabel else "top-1"
    told = (
        f"{new.name}: val {measure} {new.score[0]:.1%}, log-loss {-new.score[1]:.3f} against "
        f"{best.score[0]:.1%} and {-best.score[1]:.3f} of the {best.name} classifier"
    )
    if not new.score > best.score:
        say(f"{told}: not kept")
        return False, []
    note = f"{told}: on {images} images that may be chance, so it is not kept"
    say(note)
    return False, [note]


def losses(probabilities: np.ndarray, labels: np.ndarray) -> list[float]:
    """-log p(label) of each image, as `evaluation.metrics.nll` takes it."""
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return [float(value) for value in -np.log(np.clip(np.nan_to_num(own), SMALLEST_P, 1.0))]


def standing(one: Candidate) -> stopping.Standing:
    """A candidate as epochs are compared."""
    return stopping.Standing(one.score[0], -one.score[1])


def kept_reason(work: Work, base: Candidate, best: Candidate) -> str:
    """Why the run keeps what it keeps, in one sentence."""
    measure = "val mAP" if work.multilabel else "val top-1"
    if best.name == base.name:
        if len(work.plan.phases) == 1:
            return f"nothing else was asked for; {measure} {base.score[0]:.1%}."
        return f"nothing else was better on val; its {measure} is {base.score[0]:.1%}."
    if best.score[0] > base.score[0]:
        return f"{measure} {best.score[0]:.1%} against {base.score[0]:.1%} of the linear classifier."
    return (
        f"{measure} equal at {best.score[0]:.1%}, val log-loss {-best.score[1]:.4f} "
        f"against {-base.score[1]:.4f} of the linear classifier."
    )
