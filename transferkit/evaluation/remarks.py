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


def absent_classes(scores: SplitMetrics, split: str) -> list[str]:
    """One sentence if the split has no image of some classes, so that it says nothing of these.

    Args:
        scores: of the split.
        split: its name.
    """
    absent = [row for row in scores.per_class if not row.n]
    if not absent:
        return []
    named = ", ".join(shown(row.label, 40) for row in absent[:NAMED])
    named += " and others" if len(absent) > NAMED else ""
    return [
        f"{split} has no image of {len(absent)} of {len(scores.per_class)} classes: {named}; nothing is "
        "known of them, and macro-F1 counts them as 0"
    ]


def by_weakness(scores: SplitMetrics) -> list[tuple[int, ClassRow]]:
    """(number, row) of each class, that of the lowest F1 first; classes without an image last."""
    return sorted(enumerate(scores.per_class), key=lambda pair: (not pair[1].n, pair[1].f1))


def shares_of(row: ClassRow) -> tuple[float | None, float | None, float | None]:
    """Precision, recall and F1 of a class; None where the split has no image of it."""
    return (row.precision, row.recall, row.f1) if row.n else (None, None, None)


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
