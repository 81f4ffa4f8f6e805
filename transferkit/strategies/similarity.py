"""Similar to ImageNet or different: what the evidence says, in numbers and in words.

The primary measure is how far the images' activations lie from the statistics in the BatchNorm layers.
Where the border comes from (16 layers, 128 images, MobileNet 0.25, MobileNetV2 0.35 and 1.0; the whole
table is in `docs/decision.md`, made by `benchmarks/decision/similarity.py`):

| set | at 224 px | at 128 px |
|---|---|---|
| ImageNet itself | .06-.07 | .13-.17 |
| hymenoptera, flowers (photographs of things) | .10-.15 | .18-.25 |
| tux (things cut out of photographs, on white) | .26-.30 | .25-.30 |
| clipart, emoji, grey clothes, hands, satellite, textures, digits | .35-.63 | .34-.57 |

Photographs of few pixels lie between and behind: flowers and hymenoptera of 128 px, enlarged to 224, at
.19-.23, of 64 px at .29-.35, of 32 px at .40-.49; flowers in grey at .17.
"""

from dataclasses import dataclass

from transferkit.strategies.evidence import IMAGENET, Evidence

# Under the first similar, over the second different. Between them the distance does not decide: small images
# raise it, plain grounds do too.
BATCHNORM_GREY = (0.20, 0.30)
# Where a scale is drawn this is its middle.
BATCHNORM_BORDER = sum(BATCHNORM_GREY) / 2
BATCHNORM_BORDERS = f"similar up to {BATCHNORM_GREY[0]:.2f}, different from {BATCHNORM_GREY[1]:.2f}"
SEEN_SIMILAR, SEEN_DIFFERENT = "0.05-0.25", "0.34-0.63"
# In images this much smaller than the network's own everything is smaller than in ImageNet: at 96 of 224 px
# ImageNet itself lies at .22, at 64 px at .33, as far as satellite pictures do.
LEAST_SIZE_RATIO = 0.5
# The gap between the stages decides where there is no BatchNorm, and in the grey zone. It counts from one
# standard error on, which doubts `different` where there are too few images to tell: right so were 85 of 105
# similar and 209 of 305 different draws of 10 to 100 per class; of 100 alone 25 of 30 and 79 of 91.
GAP_ERRORS = 1.0


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """Where a data set stands on the matrix' axis of similarity.

    Attributes:
        verdict: `similar` or `different`.
        measure: what decided, or would have if nothing were stated: `batchnorm` or `stages`.
        stated: whether the user said so.
        score: the measure's number; `border`: above it a set is different.
        near: whether this is the grey zone: a distance that both kinds have, or a gap that is within its
            error of the border where there is no distance.
        sentences: one for each measure, with its numbers.
    """

    verdict: str
    measure: str
    stated: bool
    score: float
    border: float
    near: bool
    sentences: tuple[str, ...]


def judge(evidence: Evidence, stated: str | None = None) -> Similarity:
    """What the evidence says.

    Args:
        evidence: what was measured.
        stated: `similar` or `different` where the user says so, which goes before what was measured.
    """
    distance = evidence.batchnorm if evidence.size_ratio >= LEAST_SIZE_RATIO else None
    if distance is None or _is_grey(distance):
        measure, score, border = "stages", evidence.gap, _gap_border(evidence)
        near = distance is not None or abs(score - border) <= evidence.gap_error
    else:
        measure, score, border, near = "batchnorm", distance, BATCHNORM_BORDER, False
    return Similarity(
        verdict=stated or ("different" if score > border else "similar"),
        measure=measure,
        stated=stated is not None,
        score=score,
        border=border,
        near=near,
        sentences=_sentences(evidence, stated),
    )


def _gap_border(evidence: Evidence) -> float:
    return GAP_ERRORS * evidence.gap_error


def _is_grey(distance: float) -> bool:
    return BATCHNORM_GREY[0] < distance < BATCHNORM_GREY[1]


def _sentences(evidence: Evidence, stated: str | None) -> tuple[str, ...]:
    told = [f"Similarity stated: {stated}."] if stated else []
    told.append(_batchnorm_sentence(evidence))
    told.append(_stages_sentence(evidence))
    if evidence.entropy is not None and evidence.confidence is not None:
        told.append(
            f"ImageNet's own classifier gives its first guess {evidence.confidence:.0%} on average, and "
            f"its answers are {evidence.entropy:.0%} as spread out as they can be (told only: it does not "
            "decide)."
        )
    if evidence.logme:
        told.append(_logme_sentence(evidence))
    return tuple(told)


def _batchnorm_sentence(evidence: Evidence) -> str:
    distance = evidence.batchnorm
    if distance is None:
        return (
            "Batch statistics: none to compare with (a backbone without BatchNorm, or without pretrained "
            "weights), so the stages decide."
        )
    if evidence.size_ratio < LEAST_SIZE_RATIO:
        return (
            f"Batch statistics: the images' activations lie {distance:.2f} from those of "
            f"{evidence.pretrained_on}, which says nothing at {evidence.size_ratio:.0%} of the image size "
            "that the network was trained at, so the stages decide."
        )
    low, high = BATCHNORM_GREY
    ruler = "" if evidence.pretrained_on == IMAGENET else "by what was measured with ImageNet's weights: "
    where = (
        f"between {low:.2f} and {high:.2f}, where both kinds occur, so the stages decide"
        if _is_grey(distance)
        else f"and from {high:.2f} on they are different"
        if distance >= high
        else f"and up to {low:.2f} they are similar"
    )
    return (
        f"Batch statistics: the images' activations lie {distance:.2f} from those of "
        f"{evidence.pretrained_on} ({ruler}photographs of things seen at {SEEN_SIMILAR}, others at "
        f"{SEEN_DIFFERENT}), {where}."
    )


def _stages_sentence(evidence: Evidence) -> str:
    earlier = {**dict(list(evidence.stages.items())[:-1]), "all stages together": evidence.together}
    last = list(evidence.stages)[-1]
    best = max(earlier, key=earlier.__getitem__)
    says = "different" if evidence.gap > _gap_border(evidence) else "similar"
    reached = (
        f"reaches an mAP of {evidence.stages[last]:.1%} by the last stage and {earlier[best]:.1%}"
        if evidence.multilabel
        else f"is right on {evidence.stages[last]:.1%} of images by the last stage and on {earlier[best]:.1%}"
    )
    return (
        f"Stages: a quick linear classifier {reached} by {best}; the best, chosen on other images than it is "
        f"judged on, is {100 * evidence.gap:+.1f} points from the last, where chance alone moves this by "
        f"{100 * evidence.gap_error:.1f}, which says {says}."
    )


def _logme_sentence(evidence: Evidence) -> str:
    best = max(evidence.logme, key=evidence.logme.__getitem__)
    last = list(evidence.logme)[-1]
    scores = "" if not evidence.h_score else f" (H-score of the last stage {evidence.h_score[last]:.2f})"
    return (
        f"LogME: of all stages {best} explains the labels best, {evidence.logme[best]:+.3f} an image, the "
        f"last {evidence.logme[last]:+.3f}{scores} (told only: it does not decide)."
    )
