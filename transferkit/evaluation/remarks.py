"""Sentences that the scores themselves call for."""

from transferkit.evaluation.metrics import ClassRow, SplitMetrics
from transferkit.evaluation.paired import holm
from transferkit.printable import shown

NAMED = 5
# The chance of naming any class falsely.
LEVEL = 0.05


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


def surely_below(scores: SplitMetrics) -> list[ClassRow]:
    """Classes recognised less often than all images are, by more than chance; the surest first.

    A one-sided exact binomial test of each class against top-1 over all, its level by Holm's method (1979):
    of 100 classes that are all alike one would else be named nearly always.
    """
    from scipy.stats import binom

    judged = [row for row in scores.per_class if row.n]
    chances = [float(binom.cdf(round(row.recall * row.n), row.n, scores.top1)) for row in judged]
    adjusted = holm(chances)
    found = [number for number in range(len(judged)) if adjusted[number] <= LEVEL]
    return [judged[number] for number in sorted(found, key=chances.__getitem__)]
