"""Little or lots of data: where fine-tuning starts to pay, and how much the linear classifier leaves."""

from dataclasses import dataclass

from transferkit.strategies.evidence import Evidence

# Images per class from which fine-tuning is expected to beat the best linear classifier: readings of first
# looks with one seed (`docs/decision.md`). What is like ImageNet needs more: the features are right already.
LOTS_FROM_PER_CLASS = {"similar": 100, "different": 50}
# Of few classes it takes more of each: a step learns from all images, whatever they are called.
LOTS_FROM_IMAGES = 500
# A data set within this factor of the border is near it: both ways are tried. Assumed, not measured.
NEAR = 1.5
# The linear classifier leaves much to learn where it errs at least so often (assumed: its error does not tell
# where fine-tuning pays, `docs/decision.md`, but under it there is little to gain), ...
MUCH_LEFT = 0.05
# ... and there are images enough for a val that can tell good steps from bad ones, some fifteen of them.
# (Chosen between the study's sets of 53 and 90. On seven fresh draws of 46 to 67 fine-tuning was kept once,
# half a point better, for two to five times the time, `docs/decision.md`.)
ENOUGH_IMAGES = 80


@dataclass(frozen=True, kw_only=True)
class Amount:
    """Where a data set stands on the matrix' axis of amount.

    Attributes:
        verdict: `little` or `lots`.
        per_class: images of the median class in train.
        images: of train.
        border: images per class from which it is lots, if there are 500 in all.
        ratio: how many times the border's images there are, of the median class or in all, whichever is less.
        near: whether it is within a factor of 1.5 of being the other.
        error: share of images that the quick linear classifier gets wrong; None where not measured.
        sentences: why, with the numbers.
    """

    verdict: str
    per_class: float
    images: int
    border: int
    ratio: float
    near: bool
    error: float | None
    sentences: tuple[str, ...]

    @property
    def much_left(self) -> bool:
        """Whether the linear classifier leaves much to learn."""
        return self.error is not None and self.error >= MUCH_LEFT


def judge_amount(
    *,
    similarity: str,
    per_class: float,
    images: int,
    evidence: Evidence | None = None,
    stated: str | None = None,
) -> Amount:
    """Whether there is little or lots of data.

    Args:
        similarity: `similar` or `different`; the border depends on it.
        per_class: images of the median class in train.
        images: of train.
        evidence: its learning curve is told, and says how much is left to learn.
        stated: `little` or `lots` where the user says so, which goes first.
    """
    border = LOTS_FROM_PER_CLASS[similarity]
    # 1 and above is lots; what is scarcer counts.
    ratio = min(per_class / border, images / LOTS_FROM_IMAGES)
    measured = "lots" if ratio >= 1 else "little"
    told = (
        f"Amount stated: {stated} ({per_class:g} training images per class, {images:,} in all)."
        if stated
        else f"{per_class:g} training images per class (median), {images:,} in all: {measured}; where the "
        f"images are {similarity} {'to' if similarity == 'similar' else 'from'} ImageNet, lots starts at "
        f"{border} per class and {LOTS_FROM_IMAGES} in all."
    )
    return Amount(
        verdict=stated or measured,
        per_class=per_class,
        images=images,
        border=border,
        ratio=ratio,
        near=stated is None and 1 / NEAR <= ratio < NEAR,
        error=1 - evidence.curve[-1][1] if evidence and evidence.curve else None,
        sentences=(told, *_curve_sentence(evidence)),
    )


def _curve_sentence(evidence: Evidence | None) -> tuple[str, ...]:
    if evidence is None or not evidence.curve:
        return ()
    points = ", ".join(f"{top1:.1%} with {per_class:.0f}" for per_class, top1 in evidence.curve)
    return (
        f"Learning curve of a quick linear classifier: right on {points} images per class; it leaves "
        f"{1 - evidence.curve[-1][1]:.1%} wrong.",
    )
