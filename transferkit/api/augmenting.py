"""Augmentation of a run: what is safe, the policy made ready, the views in the bank."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from transferkit.api.linear_candidates import sample_of
from transferkit.api.work import Work
from transferkit.data.augment.canvas import canvas_px
from transferkit.data.augment.policy import Policy
from transferkit.data.decode import decode_batch
from transferkit.progress import say
from transferkit.strategies.augmenting import SAFETY_IMAGES, Recognised, told_apart
from transferkit.training.choosing import MOST_VIEWED
from transferkit.training.evidence import sample_images, subsample
from transferkit.training.safety import measure_safety
from transferkit.training.views import Viewed, view_bank

if TYPE_CHECKING:
    from transferkit.data.augment.pipeline import Pipeline


def measured_safety(work: Work) -> dict[str, Recognised]:
    """What changes the images of train bear, by name; empty where it cannot be measured.

    That is where images may have several classes, or too few have company in their class.
    """
    sample = None if work.multilabel else sample_of(work, work.rows["train"])
    if sample is None:
        return {}
    some = subsample(sample.labels, SAFETY_IMAGES, work.recipe.seed)
    rows, labels, folds = sample.rows[some], sample.labels[some], sample.folds[some]
    # Few of many classes: one of which all images fell into one fold cannot be asked about.
    apart = np.array([len(np.unique(folds[labels == label])) > 1 for label in labels])
    if len(np.unique(labels[apart])) < 2:
        return {}
    rows, folds = rows[apart], np.unique(folds[apart], return_inverse=True)[1]
    paths = [work.index.root / path for path in work.index.files["path"].iloc[rows]]
    say("evidence: what changes the images bear")
    images = decode_batch(paths, work.extractor.policy)
    numbers = np.unique(labels[apart], return_inverse=True)[1]
    guess = float(np.bincount(numbers).max() / len(numbers))
    return told_apart(measure_safety(work.extractor, images, numbers, folds), len(rows), guess)


def with_augmentation(work: Work) -> Work:
    """The work with its policy made ready, and with views in its bank where the plan has them."""
    policy = usable_policy(work)
    if not policy:
        return work
    train, extractor = work.rows["train"], work.extractor
    work = replace(work, pipeline=policy_pipeline(work, policy))
    work, count = _views(work)
    if not count:
        return work
    # What is cross-validated trains on every image of a fold once.
    rows = train if work.folds is None else np.union1d(train, np.flatnonzero(work.folds >= 0))
    own = policy_pipeline(work, policy.without_mixing())
    viewed = Viewed(index=work.index, rows=rows, pipeline=own, count=count)
    say(f"bank: {viewed.count} views of each of {len(rows)} images that train")
    return replace(work, bank=view_bank(extractor, viewed, work.bank, work.watch), views=viewed.count)


def policy_pipeline(work: Work, policy: Policy) -> "Pipeline":
    """A policy made ready for the images of a run.

    Raises:
        UsageError: see `data.augment.pipeline.pipeline`.
    """
    from transferkit.data.augment.own import colour_axes
    from transferkit.data.augment.pipeline import pipeline

    extractor, axes = work.extractor, None
    if policy.has("pca_noise"):
        axes = colour_axes(sample_images(extractor, work.index, work.rows["train"], work.recipe.seed))
    plain = extractor.policy
    return pipeline(policy, plain.size_px, axes, seen=plain.seen, side=side_of(work))


def side_of(work: Work) -> int:
    """Side in pixels of the images that the plan's policy gets; 0 without one.

    Plans of before had none; a run that was begun by one goes on with what it had.
    """
    augment = work.plan.augment
    if augment.side_px or not augment.steps:
        return augment.side_px
    sides = work.index.files[["width", "height"]].iloc[work.rows["train"]].to_numpy()
    return canvas_px(augment.policy, work.extractor.policy, sides)


def usable_policy(work: Work) -> Policy:
    """The plan's policy, without what blends labels where nothing of the plan takes them."""
    policy = work.plan.augment.policy
    return policy if work.plan.finetune else policy.without_mixing()


def _views(work: Work) -> tuple[Work, int]:
    """How many views the linear classifiers are tried with; a note where the plan's are too many.

    Where logistic regression alone is allowed its time grows with the square of the images and views.
    """
    count = work.plan.augment.views if work.pipeline.changes else 0
    if not (work.multilabel or work.recipe.classifier == "logistic") or not count:
        return work, count
    rows, classes = len(work.rows["train"]), len(work.class_names)
    most = int((MOST_VIEWED / classes) ** 0.5) // rows - 1
    if most >= count:
        return work, count
    told = (
        f"views: {max(0, most)} of {count} for the linear classifiers: logistic regression on more takes long"
    )
    say(told)
    return replace(work, notes=[*work.notes, told]), max(0, most)
