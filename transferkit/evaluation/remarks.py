"""Sentences that the scores themselves call for."""

from transferkit.evaluation.metrics import SplitMetrics
from transferkit.printable import shown

NAMED = 5


def lost_classes(scores: SplitMetrics, split: str) -> list[str]:
    """One sentence if there are classes of which no image was recognised, which top-1 over all can hide.

    Args:
        scores: of the split.
        split: its name.
    """
    judged = [row for row in scores.per_class if row.n]
    lost = [row for row in judged if not row.recall]
    if not lost:
        return []
    counts = sorted({row.n for row in lost})
    each = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    named = ", ".join(shown(row.label, 40) for row in lost[:NAMED]) + (
        " and others" if len(lost) > NAMED else ""
    )
    return [
        f"no {split} image of {len(lost)} of {len(judged)} classes was recognised ({each} of each): {named}; "
        f"with every class counted the same {scores.balanced_accuracy:.1%} are right"
    ]
