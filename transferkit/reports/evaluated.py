"""What an evaluation found, as lines for a terminal or a prompt."""

from typing import TYPE_CHECKING, Any

from transferkit.evaluation.multilabel import MultiLabelMetrics
from transferkit.printable import shown

if TYPE_CHECKING:
    from transferkit.evaluation.metrics import SplitMetrics
    from transferkit.evaluation.unknown import Unknown


def lines(found: Any) -> list[str]:
    """The scores, then a line for each class, then what views and unknown images gave.

    Args:
        found: as `evaluate` gives it: `metrics`, `plain`, `views`, `gain`, `passes`, `unknown`.
    """
    several = isinstance(found.metrics, MultiLabelMetrics)
    told = _of_several(found.metrics) if several else _of_one(found.metrics)
    if found.gain:
        told.append(_gained(found))
    if found.unknown:
        told.append(_told_apart(found.unknown))
    return told


def _told_apart(found: "Unknown") -> str:
    (low, high), (least, most) = found.auroc_ci95, found.fpr95_ci95
    return (
        f"unknown images: AUROC {found.auroc:.3f} (95% {low:.3f} to {high:.3f}; {found.unknown} unknown, "
        f"{found.known} known); where {found.passing:.0%} of the known pass, {found.fpr95:.1%} "
        f"({least:.1%} to {most:.1%}) of the unknown do (strangeness up to {found.threshold:.3f})"
    )


def _gained(found: Any) -> str:
    """What views bring and cost, in a sentence."""
    points = [f"{100 * value:+.1f}" for value in (found.gain.value, found.gain.low, found.gain.high)]
    of = found.plain
    plain = f"mAP {of.map:.3f}" if isinstance(of, MultiLabelMetrics) else f"top-1 {of.top1:.1%}"
    return (
        f"{found.views}: {points[0]} points (95% {points[1]} to {points[2]}) over {plain} without views, for "
        f"{found.passes} forward passes an image instead of 1"
    )


def _of_one(metrics: "SplitMetrics") -> list[str]:
    low, high = metrics.top1_ci95
    told = [f"top-1 {metrics.top1:.1%} (95% {low:.1%} to {high:.1%}, n={metrics.n})"]
    if metrics.top5_k < len(metrics.per_class):
        told.append(f"top-5 {metrics.top5:.1%}")
    told.append(f"log-loss {metrics.nll:.3f}, ECE {metrics.ece:.3f} (lower is better)")
    present = [row for row in metrics.per_class if row.n]
    told += [
        f"  {shown(row.label)}: recall {row.recall:.1%}, precision {row.precision:.1%}, n={row.n}"
        for row in present
    ]
    if absent := len(metrics.per_class) - len(present):
        return [*told, f"  ({absent} of the run's classes are not in the data)"]
    return [*told, f"macro-F1 {metrics.macro_f1:.3f}, balanced accuracy {metrics.balanced_accuracy:.3f}"]


def _of_several(metrics: MultiLabelMetrics) -> list[str]:
    told = [
        f"mAP {metrics.map:.3f} (n={metrics.n}); an image may have several classes, so no top-1 or top-5",
        f"at the threshold {metrics.threshold:.3f}: macro-F1 {metrics.macro_f1:.3f}, "
        f"micro-F1 {metrics.micro_f1:.3f}, all classes right {metrics.exact_match:.1%}",
    ]
    for row in metrics.per_class:
        ap = "none" if row.ap is None else f"{row.ap:.3f}"
        told.append(f"  {shown(row.label)}: AP {ap}, F1 {row.f1:.3f}, n={row.n}")
    return told
