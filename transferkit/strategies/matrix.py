"""The matrix of the CNN lectures: similarity and amount choose the strategy."""

from dataclasses import dataclass

from transferkit.strategies.amount import ENOUGH_IMAGES, Amount, judge_amount
from transferkit.strategies.evidence import Evidence
from transferkit.strategies.similarity import Similarity, judge

# rows of the matrix: amount; columns: similarity
MATRIX = {
    ("similar", "little"): "linear",
    ("different", "little"): "multistage",
    ("similar", "lots"): "finetune-top",
    ("different", "lots"): "finetune-deep",
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Where a data set falls, and why.

    Attributes:
        similar: on the axis of similarity; None where nothing was measured.
        similarity: `similar` or `different`.
        amount: on the other axis.
        images: of train.
        stated: what the user said of both axes; naming both names the cell, which then decides alone.
    """

    similar: Similarity | None
    similarity: str
    amount: Amount
    images: int
    stated: tuple[str | None, str | None]

    @property
    def quadrant(self) -> str:
        """Both axes in one word, such as `similar-little`."""
        return f"{self.similarity}-{self.amount.verdict}"

    @property
    def plain(self) -> str:
        """What the matrix says for this cell."""
        return MATRIX[self.similarity, self.amount.verdict]

    @property
    def strategy(self) -> str:
        """What is done: the matrix, or both ways where it is not sure; val decides between them then.

        The other way is what the matrix says for lots of such data. (On little data that are different it
        was `finetune-top` once; thawing more stages brought half a point in the study, `docs/decision.md`.)
        """
        if self.try_both:
            return MATRIX[self.similarity, "lots"]
        if self.grey:
            return MATRIX["different", "lots"]
        return "multistage" if self.several_stages else self.plain

    @property
    def grey(self) -> bool:
        """Whether there are lots of data whose similarity is not sure.

        Thawing many stages includes thawing few: those nearer the input take smaller steps, and what comes
        of it is kept only as far as val likes it.
        """
        near = self.similar is not None and self.similar.near
        return near and self.amount.verdict == "lots" and None in self.stated and self.stated[0] is None

    @property
    def several_stages(self) -> bool:
        """Whether several stages are tried where the matrix says the last.

        They cost nothing more, and val chooses better than always the one or always the other
        (`docs/decision.md`).
        """
        return (
            self.plain == "linear" and not self.try_both and None in self.stated and self.similar is not None
        )

    @property
    def reasons(self) -> tuple[str, ...]:
        """A sentence for each measure."""
        unmeasured = (
            f"Similarity stated: {self.stated[0]}."
            if self.stated[0]
            else "Similarity not stated and not measured yet: taken as similar to ImageNet (--similarity "
            "different where the images are not photographs of things)."
        )
        similar = self.similar.sentences if self.similar else (unmeasured,)
        return (*similar, *self.amount.sentences)

    @property
    def why(self) -> str:
        """The decision in a sentence."""
        relation = "similar to ImageNet" if self.similarity == "similar" else "different from ImageNet"
        much = {"little": "little data", "lots": "lots of data"}[self.amount.verdict]
        told = f"The matrix: {relation}, {much}: {self.plain}"
        if self.several_stages:
            return f"{told}; several stages cost nothing more, so multistage is tried too and val decides."
        if self.grey and self.strategy != self.plain:
            return (
                f"{told}; but the similarity is near its border, so {self.strategy}, which thaws those "
                "stages too, is done and val decides how much of it is kept."
            )
        if not self.try_both:
            return f"{told}."
        if self.amount.near:
            return (
                f"{told}; but {self.amount.per_class:g} images per class, {self.amount.images:,} in all, are "
                f"near the border, so {self.strategy} is tried too and val decides."
            )
        return (
            f"{told}; but the linear classifier leaves much to learn ({self.amount.error:.1%} wrong), so "
            f"{self.strategy} is tried too and val decides."
        )

    @property
    def try_both(self) -> bool:
        """Near the border, or where there is much left to learn and images enough to see whether it was.

        What comes of fine-tuning is kept only if it is better by more than the noise of val. Of
        photographs of things that gain was seen where the rule was read from, and not on the fresh draws
        (`docs/decision.md`).
        """
        if None not in self.stated or self.amount.verdict == "lots" or self.images < ENOUGH_IMAGES:
            return False
        return self.amount.near or self.amount.much_left


def place(
    *,
    similarity: str | None,
    amount: str | None,
    per_class: float,
    images: int,
    evidence: Evidence | None = None,
) -> Cell:
    """The cell of a data set.

    Args:
        similarity: stated by the user, or None.
        amount: stated by the user, or None.
        per_class: median number of training images of a class.
        images: of train.
        evidence: what was measured; without it, and without a statement, `similar` is assumed.
    """
    similar = judge(evidence, similarity) if evidence else None
    verdict = similarity or (similar.verdict if similar else "similar")
    return Cell(
        similar=similar,
        similarity=verdict,
        amount=judge_amount(
            similarity=verdict, per_class=per_class, images=images, evidence=evidence, stated=amount
        ),
        images=images,
        stated=(similarity, amount),
    )
