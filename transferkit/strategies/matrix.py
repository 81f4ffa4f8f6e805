"""The matrix of the CNN lectures: similarity and amount choose the strategy."""

from dataclasses import dataclass

# rows of the matrix: amount; columns: similarity
MATRIX = {
    ("similar", "little"): "linear",
    ("different", "little"): "multistage",
    ("similar", "lots"): "finetune-top",
    ("different", "lots"): "finetune-deep",
}
# Seen with MobileNet 0.25: at 20 images per class fine-tuning loses to the linear classifier on
# flowers and satellite pictures, at 100 it wins on satellite and signs, at 200 on flowers. One seed
# each: a direction, to be measured.
LOTS_FROM_PER_CLASS = {"similar": 200, "different": 50}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Where a data set falls, and why.

    Attributes:
        similarity: `similar` or `different`; `amount`: `little` or `lots`.
        reasons: a sentence for each axis.
    """

    similarity: str
    amount: str
    reasons: tuple[str, ...]

    @property
    def quadrant(self) -> str:
        """Both axes in one word, such as `similar-little`."""
        return f"{self.similarity}-{self.amount}"

    @property
    def strategy(self) -> str:
        """What the matrix says for this cell."""
        return MATRIX[self.similarity, self.amount]


def place(*, similarity: str | None, amount: str | None, per_class: float) -> Cell:
    """The cell of a data set; None on an axis leaves it to the rule.

    Args:
        similarity: stated by the user, or None. Without a statement `similar` is assumed.
        amount: stated by the user, or None.
        per_class: median number of training images of a class.
    """
    border = LOTS_FROM_PER_CLASS[similarity or "similar"]
    many = per_class >= border
    relation = "at least" if many else "fewer than"
    measured = (
        f"{per_class:g} training images per class (median), {relation} {border}: "
        f"{'lots' if many else 'little'}."
    )
    similar = (
        f"Similarity stated: {similarity}."
        if similarity
        else "Similarity not stated: taken as similar to ImageNet (--similarity different where "
        "the images are not photographs of things)."
    )
    return Cell(
        similarity=similarity or "similar",
        amount=amount or ("lots" if many else "little"),
        reasons=(
            similar,
            f"Amount stated: {amount} ({per_class:g} per class)." if amount else measured,
        ),
    )
