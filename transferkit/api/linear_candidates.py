"""Linear classifiers as candidates: chosen, fitted and judged on the bank."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from transferkit.api.work import Candidate, Work, evaluated_splits, scores
from transferkit.data.splits import fold_numbers
from transferkit.data.units import unit_numbers
from transferkit.errors import DataError, UsageError
from transferkit.progress import say
from transferkit.recipe import AUTO
from transferkit.strategies import FeatureSet, Phase
from transferkit.training import model as models
from transferkit.training.choosing import FOLDS, TriedClassifier, choose_classifier, scaling_of
from transferkit.training.discriminant import fit_discriminant, temperature
from transferkit.training.linear import LinearClassifier, check_finite, fit_linear, score
from transferkit.training.sample import Sample, drawn_rows
from transferkit.training.selection import row_norms, strongest

# Rows of images and views that are cross-validated: products of all pairs of them are taken.
VIEWED_ROWS = 2500


def linear_candidate(work: Work, phase: Phase) -> Candidate:
    """The linear classifier of a phase."""
    started = work.watch.seconds()["linear"]
    with work.watch.part("linear"):
        fitted, tried = fit(work, phase, work.rows["train"], work.rows["val"])
        # Evaluation of a frozen strategy comes from the bank: no image passes the network again.
        found = {
            split: fitted.probabilities(seen(work, fitted, rows)) for split, rows in evaluated_splits(work)
        }
        train = work.rows["train"]
        of_train = fitted.probabilities(seen(work, fitted, train))
        loss = score(of_train, work.labels[train], work.class_weights)[1]
        own = score(of_train, work.labels[train])[0]
    reached, val_loss = scores(work, found["val"], work.rows["val"])
    row: dict[str, Any] = {"phase": phase.name, "epoch": 0, "loss": loss, "val_loss": val_loss}
    if work.multilabel:
        row |= {"top1": None, "val_top1": None, "val_map": reached}
    else:
        row |= {"top1": own, "val_top1": reached}
    row |= {"learning_rate": 0.0, "seconds": work.watch.seconds()["linear"] - started}
    model = models.classifier(work.extractor.network, work.extractor.stages, fitted, len(work.class_names))
    notes = [_told(phase, tried, work.class_weights is not None)] if tried else _untold(phase, fitted)
    for note in notes:
        say(note)
    return Candidate(
        phase.name,
        found,
        (reached, -val_loss),
        model,
        fitted,
        [row],
        notes,
        {phase.name: tried} if tried else {},
    )


def seen(work: Work, fitted: LinearClassifier, rows: np.ndarray) -> np.ndarray:
    """float32 `(n, D)`: what a classifier made by `fit` sees of some rows."""
    assert fitted.features is not None
    return work.bank.at(fitted.features, rows)


def fit(
    work: Work, phase: Phase, train: np.ndarray, val: np.ndarray
) -> tuple[LinearClassifier, tuple[TriedClassifier, ...]]:
    """The linear classifier of a phase on some rows of the bank, and what it was chosen from.

    Features and kind are chosen on train. Val chooses the strength of a logistic regression, and the
    temperature of a discriminant where not all of train took part in the choice.
    """
    choices = phase.choices or (FeatureSet(stages=phase.features),)
    methods = ("logistic",) if work.multilabel else phase.classifiers
    check_finite(work.bank.at(choices[0], train))
    # Where nothing can be cross-validated, what the phase is for: as many stages as it may see.
    widest = max(choices, key=lambda features: len(features.stages))
    only = TriedClassifier(widest, methods[0], None, None, 0.0, math.nan, math.nan, work.views)
    if len(choices) == 1 and methods == ("logistic",) and not choices[0].selected and not work.views:
        return fit_tried(work, only, train, val), ()
    sample = sample_of(work, train)
    if sample is None:
        return fit_tried(work, only, train, val), ()
    tried = choose_classifier(work.bank, sample, choices, methods, _views_in_choice(work, sample))
    whole = len(sample.rows) == len(train)
    taken = tried[0] if whole else replace(tried[0], temperature=math.nan)
    return fit_tried(work, taken, train, val), tried


def sample_of(work: Work, train: np.ndarray) -> Sample | None:
    """What is cross-validated; None where fewer than two classes can be on both sides of a fold.

    A class that cannot, being a single image or group, is left out, so that one rare class does not take
    the choice from all others; the classifier that is taken learns it all the same.
    """
    rows, weights = drawn_rows(train, work.labels[train], work.recipe.seed), work.class_weights
    if not work.multilabel:
        rows = rows[has_company(work.labels[rows], unit_numbers(work.index.files.iloc[rows]))]
    files, labels = work.index.files.iloc[rows], work.labels[rows]
    if not work.multilabel:
        present, labels = np.unique(labels, return_inverse=True)
        if len(present) < 2:
            return None
        weights = None if weights is None else weights[present]
    for folds in range(FOLDS, 1, -1):
        try:
            numbers = fold_numbers(files, folds, work.recipe.seed, work.multilabel)
        except (DataError, UsageError):
            continue
        images = len(work.labels)
        return Sample(rows=rows, labels=labels, folds=numbers, weights=weights, images=images)
    return None


def _views_in_choice(work: Work, sample: Sample) -> int:
    """Views that are tried: as many as were asked for, or as there are rows to spare."""
    if not work.views or work.recipe.views != AUTO:
        return work.views
    return min(work.views, max(1, VIEWED_ROWS // len(sample.rows) - 1))


def has_company(labels: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Of each image whether its class lies in two units at least, bool `(n,)`."""
    pairs = np.unique(np.stack([labels, units]), axis=1)
    return np.asarray(np.bincount(pairs[0], minlength=int(labels.max()) + 1)[labels] > 1)


def fit_tried(work: Work, taken: TriedClassifier, train: np.ndarray, val: np.ndarray) -> LinearClassifier:
    """What was taken, fitted on all of train; where its temperature is NaN val gives it."""
    rows = np.concatenate([train + view * len(work.labels) for view in range(taken.views + 1)])
    labels, classes = np.concatenate([work.labels[train]] * (taken.views + 1)), len(work.class_names)
    features = work.bank.at(taken.features, rows)
    scaling = scaling_of(features, work.bank.block_widths(taken.features), taken.features)
    kept: np.ndarray | slice = slice(None)
    if taken.share is not None:
        kept = strongest(row_norms(scaling.apply(features), labels), taken.share)
    width, scaling = features.shape[1], scaling.columns(kept)
    own, others = (features[:, kept], labels), (work.bank.at(taken.features, val)[:, kept], work.labels[val])
    if taken.method == "logistic":
        l2 = None if work.recipe.l2 == AUTO else float(work.recipe.l2)
        strengths, weights = work.recipe.strengths, work.class_weights
        found = fit_linear(own, others, classes, strengths, l2=l2, weights=weights, scaling=scaling)
    else:
        equal = work.class_weights is not None
        found = fit_discriminant(*own, classes, shrinkage=taken.strength, equal_priors=equal, scaling=scaling)
        factor = taken.temperature
        if math.isnan(factor):
            factor = temperature(others[0] @ found.kernel + found.bias, others[1])
        found = found.tempered(factor)
    return replace(found.spread(kept, width), features=taken.features)


def _untold(phase: Phase, fitted: LinearClassifier) -> list[str]:
    """A sentence where something could have been chosen, but not by cross-validation."""
    if len(phase.choices) < 2 or fitted.features is None:
        return []
    what = f"{fitted.method} on {fitted.features.name}"
    return [f"{phase.name}: too few images of each class to cross-validate on train; {what} is taken unseen"]


def _told(phase: Phase, tried: tuple[TriedClassifier, ...], weighted: bool) -> str:
    """The choice in a sentence."""
    taken = tried[0]
    views = f" and {taken.views} views of each image" if taken.views else ""
    if not views and any(one.views for one in tried):
        views = " without the views, which were no better"
        if not any(one.views and one.method == taken.method for one in tried):
            views = f" without the views ({_of_others(tried)}; with {taken.method} they would take too long)"
    return (
        f"{phase.name}: {taken.method} on {taken.features.name}{views}, best of {len(tried)} by "
        f"cross-validation on train ({'weighted score' if weighted else 'score'} {taken.score:.1%}, "
        f"log-loss {taken.nll:.3f})"
    )


def _of_others(tried: tuple[TriedClassifier, ...]) -> str:
    methods = sorted({one.method for one in tried if one.views})
    return f"with {' and '.join(methods)} they were no better"
