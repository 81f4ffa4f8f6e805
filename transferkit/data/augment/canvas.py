"""How large images are decoded that a policy cuts its crops from: as large as these need, and no larger."""

import math

import numpy as np

from transferkit.data.augment.policy import Policy
from transferkit.data.decode import CROP_RATIO, DecodePolicy

# Largest side, in sides of the input: ResNet's, 480 for an input of 224. Beyond it memory is not worth it.
MOST = 480 / 224
# Sides go in steps of so much of the input, so that most other draws of train find the views of earlier runs.
STEP = 1 / 7


def canvas_px(policy: Policy, plain: DecodePolicy, sides: np.ndarray) -> int:
    """Side K of the images that a policy gets, at least that of `plain.canvas`.

    A window of 1/2 of a side that is to fill S pixels needs images of 2 S. Where these are smaller, by the
    median, nothing is gained by enlarging them first. Only a crop that is the policy's first step gets larger
    images: what stands before it would have other ones to blur or to move.

    Args:
        policy: its smallest window counts.
        plain: how images are decoded for evaluation.
        sides: width and height `(n, 2)` in pixels of the images that train, 0 where unknown.
    """
    usual = plain.canvas.size_px
    window = smallest_window(policy, plain.seen)
    known = sides[(sides > 0).all(axis=1)]
    if window is None or not len(known):
        return usual
    # The long side of padded images; of stretched ones the short one too, the other has pixels to spare.
    native = float(np.median(known.max(axis=1) if plain.resize == "pad" else known.min(axis=1)))
    step = plain.size_px * STEP
    whole = step * math.ceil(round(native / step, 6))
    side = round(min(plain.size_px / window, plain.size_px * MOST, whole))
    return side if side > usual + 1 else usual  # 1.143 in a file is 8/7 too


def smallest_window(policy: Policy, seen: float) -> float | None:
    """Share of an image's side that the smallest crop of a policy has; None where no crop comes first.

    Args:
        policy: named steps.
        seen: see `DecodePolicy.seen`.
    """
    if not policy.cuts_first:
        return None
    values = dict(policy.own[0].parameters)
    if policy.own[0].name == "random_crop":
        return float(seen * CROP_RATIO / values["scale"][1])
    (narrow, wide), least = values["ratio"], values["area"][0]  # of random_resized_crop
    return float(math.sqrt(least * min(narrow, 1 / wide, 1.0)))
