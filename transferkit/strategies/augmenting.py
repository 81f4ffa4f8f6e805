"""Which augmentation policy, how many views: what is safe for the images is measured, not guessed."""

from collections.abc import Mapping
from dataclasses import dataclass

# What is measured, and how people call it.
CHANGES = {
    "mirror": "mirroring",
    "upside-down": "turning upside down",
    "rotation": "rotation by up to 15 degrees",
    "colour": "changed colours",
}
# A change is unsafe where the classifier knows so much less of the changed images, as a share ...
LOST = 0.05
# ... and that is no chance: so many standard errors of the difference, one-sided 95 %.
ERRORS = 1.645
# Images that are looked at.
SAFETY_IMAGES = 400
# Images and views that a linear classifier is fitted on, beyond which views are not worth their time, and
# views of an image at most.
VIEWED_IMAGES, MOST_VIEWS = 2500, 4
# Views at a cut that a fine-tuning phase draws from, at most: more are seldom seen twice in its epochs.
MOST_MAPS = 8


@dataclass(frozen=True)
class Recognised:
    """How a classifier that has seen no changed image does on changed ones it has not seen either.

    Attributes:
        plain: share of images recognised as they are.
        changed: share recognised after the change.
        error: standard error of the difference.
    """

    plain: float
    changed: float
    error: float

    @property
    def unsafe(self) -> bool:
        """Whether the change makes something else of images, as far as can be told."""
        lost = self.plain - self.changed
        return lost > LOST * self.plain and lost > ERRORS * self.error

    @property
    def unclear(self) -> bool:
        """Whether there were too few images to see a loss that matters, and none was seen."""
        return not self.unsafe and ERRORS * self.error > SEEN * self.plain

    @property
    def safe(self) -> bool:
        """Whether it leaves images what they are: a loss would have been seen."""
        return not (self.unsafe or self.unclear)

    @property
    def verdict(self) -> str:
        """In words; a loss that may be chance is left in, and not called safe."""
        if self.unsafe:
            return "NOT safe"
        if self.unclear:
            return "too few images to tell"
        return "a loss that may be chance" if self.plain - self.changed > LOST * self.plain else "safe"


# Fewer images show nothing.
LEAST_IMAGES = 40
# Where a loss of this share would be no more than chance, nothing is said of a change.
SEEN = 0.1


def told_apart(safety: Mapping[str, Recognised], images: int, guess: float) -> dict[str, Recognised]:
    """What was measured, or nothing where it can say nothing: few images, or a classifier that guesses.

    Args:
        safety: of each change.
        images: that were asked about.
        guess: share of the most frequent class among them, 0..1, which an answer without a look reaches.
    """
    plain = min(one.plain for one in safety.values())
    guessing = guess + 3 * (plain * (1 - plain) / images) ** 0.5
    return dict(safety) if images >= LEAST_IMAGES and plain > guessing else {}


@dataclass(frozen=True)
class Chosen:
    """What `auto` decides.

    Attributes:
        policy: name of the one it starts from.
        left_out: changes that it makes and whose steps are left out of it.
        sentence: why.
    """

    policy: str
    left_out: tuple[str, ...]
    sentence: str


# By similarity and amount. Of little data light was best whatever they were, of 100 images per class and more
# all were alike (docs/augmentation.md); what ImageNet itself was trained with is taken there.
AUTO_POLICY = {
    ("similar", "little"): "light",
    ("different", "little"): "light",
    ("similar", "lots"): "standard",
    ("different", "lots"): "standard",
}


def choose_policy(
    similarity: str, amount: str, safety: Mapping[str, Recognised], makes: Mapping[str, frozenset[str]]
) -> Chosen:
    """The policy of a cell of the matrix, without what is not safe.

    Args:
        similarity: `similar` or `different`.
        amount: `little` or `lots`.
        safety: of each of `CHANGES`; empty where nothing could be measured: then only what photographs
            of things bear is safe.
        makes: which of `CHANGES` each policy makes.
    """
    policy = AUTO_POLICY[similarity, amount]
    # Photographs of things bear to be mirrored; of the rest nothing is taken for granted.
    doubtful = ("upside-down", "rotation", "colour", *(("mirror",) if similarity == "different" else ()))
    refused = {name for name in CHANGES if _refused(safety.get(name), name in doubtful)}
    left_out = tuple(name for name in CHANGES if name in refused & makes[policy])
    kept = "mirror" in makes[policy] - refused and not (safety and safety["mirror"].safe)
    return Chosen(policy, left_out, _sentence(policy, left_out, safety, _MIRRORED if kept else ""))


def _refused(found: Recognised | None, doubtful: bool) -> bool:
    """Whether a change is left out: by what was measured, and where that tells nothing by what it is."""
    return doubtful if found is None or found.unclear else found.unsafe


# Where mirroring stays though nothing was measured that speaks for it.
_MIRRORED = " Mirroring stays: data similar to ImageNet, photographs of things, bears it."


def _sentence(policy: str, left_out: tuple[str, ...], safety: Mapping[str, Recognised], mirrored: str) -> str:
    without = f", without {' and '.join(CHANGES[name] for name in left_out)}" if left_out else ""
    if not safety:
        return f"Augmentation: {policy}{without}; what is safe could not be measured.{mirrored}"
    told = "; ".join(
        f"{CHANGES[name]}: {found.verdict} ({found.changed:.1%} recognised, {found.plain:.1%} unchanged)"
        for name, found in safety.items()
    )
    rule = f"safe is at most {LOST:.0%} fewer recognised of enough images; NOT safe is more, beyond chance"
    return f"Augmentation: {policy}{without}. Measured on train ({rule}): {told}.{mirrored}"


def linear_views(images: int) -> int:
    """Views of each training image that a linear classifier gets; fewer the more images there are."""
    return max(0, min(MOST_VIEWS, VIEWED_IMAGES // max(images, 1) - 1))
