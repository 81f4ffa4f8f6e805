"""Runs beside each other: as text for a terminal, and as a page."""

from typing import Any

from transferkit.evaluation.comparison import Comparison
from transferkit.evaluation.paired import Paired
from transferkit.reports import drawings
from transferkit.reports.cells import cell, share, table
from transferkit.reports.figures import cost_points
from transferkit.reports.page import environment

HEADER = ("run", "backbone", "strategy", "kept", "top-1", "95 %", "against the first", "million MACs", "MB")


def verdict(found: Paired | None) -> str:
    """Whether a run is better than the first one, in words."""
    if found is None:
        return "the first"
    ends = f"{100 * found.low:+.1f} to {100 * found.high:+.1f}"
    points = f"{100 * found.difference:+.1f} ({ends}), p = {found.p:.2g}"
    points += "" if found.p_holm is None else f", {found.p_holm:.2g} by Holm's method"
    points += f" ({found.at_odds})" if found.at_odds else ""
    if not found.distinguishable:
        return f"not distinguishable on n={found.n}: {points}"
    return f"{'better' if found.difference > 0 else 'worse'}: {points}"


def rows(found: Comparison) -> list[list[Any]]:
    """A row for each run, in the order given."""
    return [
        [
            one.name,
            one.backbone,
            one.strategy,
            one.kept,
            share(one.top1),
            cell(one.low, f"{100 * one.low:.1f} to {100 * one.high:.1f}"),
            verdict(one.against_first),
            cell("", "") if one.macs is None else cell(one.macs, f"{one.macs / 1e6:,.0f}"),
            cell(one.file_bytes, f"{one.file_bytes / 1e6:.1f}"),
        ]
        for one in found.runs
    ]


def caption(found: Comparison) -> str:
    """What the figures are of."""
    left = f"; {found.left_out} that only some of them judged are left out" if found.left_out else ""
    if found.relabelled:
        left += f"; {found.relabelled} whose labels differ between the runs are left out"
    without = sum(one.macs is None for one in found.runs)
    if without:
        verb = "are" if without > 1 else "is"
        left += f"; {without} of earlier versions, whose cost is not known, {verb} not drawn"
    if found.split == "val":
        left += "; val chose these models, so their figures are optimistic"
    if found.grouped:
        left += (
            "; images of one group count as independent, so intervals are too narrow where these are alike"
        )
    if len(found.runs) > 2:
        left += (
            "; p by Holm's method over all comparisons with the first decides, intervals are of each alone"
        )
    every = "both" if len(found.runs) == 2 else f"all {len(found.runs)}"
    return f"{found.images} {found.split} images that {every} runs judged{left}"


def page(found: Comparison) -> str:
    """The comparison as one HTML file."""
    from markupsafe import Markup

    points = cost_points(found)
    picture = Markup(drawings.against_cost(points)) if len(points) > 1 else ""  # noqa: S704
    made = table(HEADER, rows(found), caption(found))
    return (
        environment()
        .get_template("compare.html.j2")
        .render(title="Runs compared", table=made, picture=picture, several=len(found.runs) > 2)
    )
