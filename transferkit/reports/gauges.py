"""Both axes of the matrix as places on a scale, for pages that draw them."""

from collections.abc import Mapping
from typing import Any

from transferkit.planning import Plan
from transferkit.strategies.amount import LOTS_FROM_IMAGES
from transferkit.strategies.evidence import IMAGENET
from transferkit.strategies.similarity import BATCHNORM_BORDERS


def gauges(plan: Plan) -> tuple[dict[str, Any], ...]:
    """Words, place (0 to 100, the border at 50) and names of the ends of each axis.

    Where the stages decided the similarity there is no scale of it: only words, and the place is None.
    """
    return tuple(filter(None, (_similarity(plan), _amount(plan))))


def pretrained_on(plan: Plan) -> str:
    """What the distance is from, in words."""
    return str(plan.evidence.get("measured", {}).get("pretrained_on", IMAGENET))


def _similarity(plan: Plan) -> dict[str, Any] | None:
    found = plan.evidence.get("similarity")
    if not found:
        return None
    near = ", near the border" if found["near"] else ""
    if found["measure"] != "batchnorm":
        words = f"Similarity: {plan.similarity}{near}; {stages_words(found)}."
        return {"words": words, "place": None, "low": "similar", "high": "different"}
    words = (
        f"Similarity: {plan.similarity}{near}; the images lie {found['score']:.2f} from "
        f"{pretrained_on(plan)}; {BATCHNORM_BORDERS}."
    )
    return _gauge(words, found["score"] / found["border"], ("similar", "different"))


def stages_words(found: Mapping[str, Any]) -> str:
    """What the stages say of the similarity."""
    return (
        f"the best of the earlier stages and of all together knows {100 * found['score']:+.1f} points more "
        f"than the last, and different starts at {100 * found['border']:+.1f}"
    )


def _amount(plan: Plan) -> dict[str, Any]:
    found = plan.evidence["amount"]
    near = ", near the border" if found["near"] else ""
    words = (
        f"Amount: {plan.amount}{near}; {found['per_class']:g} training images per class, "
        f"{found['images']:,} in all; "
        f"lots starts at {found['border']:g} per class and {LOTS_FROM_IMAGES} in all."
    )
    return _gauge(words, found["ratio"], ("little", "lots"))


def _gauge(words: str, ratio: float, ends: tuple[str, str]) -> dict[str, Any]:
    """The right end is twice the border and more."""
    place = round(100 * min(1.0, max(0.0, ratio / 2)), 1)
    return {"words": words, "place": place, "low": ends[0], "high": ends[1]}
