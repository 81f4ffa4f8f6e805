"""Augmentation of a run: what is safe, the policy made ready, the views in the bank."""

from dataclasses import replace

import numpy as np

from transferkit.api.linear_candidates import sample_of
from transferkit.api.work import Work
from transferkit.data.augment.policy import Policy
from transferkit.data.decode import decode_batch
from transferkit.progress import say
from transferkit.strategies.augmenting import SAFETY_IMAGES, Recognised
from transferkit.training.evidence import sample_images, subsample
from transferkit.training.safety import measure_safety
from transferkit.training.views import Viewed, view_bank


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
    return measure_safety(work.extractor, images, np.unique(labels[apart], return_inverse=True)[1], folds)


def with_augmentation(work: Work) -> Work:
    """The work with its policy made ready, and with views in its bank where the plan has them."""
    policy = _usable(work)
    if not policy:
        return work
    from transferkit.data.augment.own import colour_axes
    from transferkit.data.augment.pipeline import pipeline

    train, extractor = work.rows["train"], work.extractor
    axes = None
    if policy.has("pca_noise"):
        axes = colour_axes(sample_images(extractor, work.index, train, work.recipe.seed))
    work = replace(work, pipeline=pipeline(policy, extractor.policy.size_px, axes))
    if not (work.plan.augment.views and policy.own):
        return work
    # What is cross-validated trains on every image once.
    rows = train if work.folds is None else np.arange(len(work.labels))
    own = pipeline(policy.without_mixing(), extractor.policy.size_px, axes)
    viewed = Viewed(index=work.index, rows=rows, pipeline=own, count=work.plan.augment.views)
    say(f"bank: {viewed.count} views of each of {len(rows)} training images")
    return replace(work, bank=view_bank(extractor, viewed, work.bank, work.watch), views=viewed.count)


def _usable(work: Work) -> Policy:
    """The plan's policy, without what blends labels where nothing of the plan takes them."""
    policy = work.plan.augment.policy
    return policy if work.plan.finetune else policy.without_mixing()
