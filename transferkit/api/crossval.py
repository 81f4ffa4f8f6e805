"""Cross-validation of the linear strategies: nearly free, because the bank is there."""

import numpy as np

from transferkit.api.linear_candidates import fit, seen
from transferkit.api.work import Work
from transferkit.evaluation.crossval import CrossValidation, summarise
from transferkit.progress import say, task
from transferkit.training.linear import score


def cross_validate(work: Work) -> dict[str, CrossValidation]:
    """Scores over folds of each linear phase of the plan, by the phase's name; {} if none are asked.

    Each fold is judged once, by a classifier whose L2 strength the next fold chose and that was chosen and
    fitted on the rest. Nothing of a run depends on it.
    """
    if work.folds is None:
        return {}
    found = {}
    for phase in work.plan.phases:
        if phase.kind != "linear":
            continue
        scores = []
        folds = int(work.folds.max()) + 1
        with work.watch.part("linear"), task(f"folds of {phase.name}", folds, "folds") as bar:
            for fold in range(folds):
                val = work.folds == (fold + 1) % folds
                judged = np.flatnonzero(work.folds == fold)
                train = np.flatnonzero((work.folds >= 0) & (work.folds != fold) & ~val)
                fitted, _ = fit(work, phase, train, np.flatnonzero(val))
                probabilities = fitted.probabilities(seen(work, fitted, judged))
                scores.append(score(probabilities, work.labels[judged])[0])
                bar.advance()
        measure = "map" if work.multilabel else "top1"
        found[phase.name] = summarise(scores, int((work.folds >= 0).sum()), measure)
        one = found[phase.name]
        low, high = one.ci95
        say(f"{phase.name}: mean of {folds} folds {one.mean:.1%} (95% {low:.1%} to {high:.1%})")
    return found
