"""The tables of the HTML page: classes, images, cost, seconds and versions."""

from typing import Any

from transferkit.data.findings import KINDS, LEVELS
from transferkit.evaluation.remarks import by_weakness, shares_of
from transferkit.evaluation.report import Report
from transferkit.reports import trust as told
from transferkit.reports.cells import Table, cell, fraction, share, table
from transferkit.reports.data import SHARED

LISTED_FILES = 200
# Pairs that are shown at once; the rest is folded away.
CONFUSED = 10


def classes(report: Report) -> dict[str, Any]:
    """How each class fared, and the pairs that are confused."""
    split = report.headline
    if report.multilabel:
        rows = [
            [number, row.label, row.n, fraction(row.ap), *map(fraction, (row.precision, row.recall, row.f1))]
            for number, row in enumerate(report.multi_label(split).per_class)
        ]
        header = ["no.", "class", "images", "AP", "precision", "recall", "F1"]
        none = {"confused": Table(), "all_confused": Table()}
        return {"classes": table(header, rows, f"The {split} split")} | none
    found = by_weakness(report.single_label(split))
    rows = [[number, row.label, row.n, *map(fraction, shares_of(row))] for number, row in found]
    header = ["no.", "class", "images", "precision", "recall", "F1"]
    listed = report.confused(split, limit=len(report.class_names) ** 2)
    pairs = [[pair.label, pair.predicted, pair.images, share(pair.share)] for pair in listed]
    heads = ["class", "taken for", "images", "share of the class"]
    return {
        "classes": table(
            header, rows, f"The {split} split, the weakest classes first; press a column to sort"
        ),
        "confused": table(heads, pairs[:CONFUSED]),
        "all_confused": table(heads, pairs if len(pairs) > CONFUSED else []),
    }


def facts(report: Report) -> dict[str, Any]:
    """The images, the cost, the seconds and the versions."""
    cost = told.cost_rows(report) if report.cost else []
    spent = [(part, value) for part, value in report.seconds.items() if part != "total"]
    spent += [("total", report.seconds["total"])] if "total" in report.seconds else []
    return {
        "data": _data(report),
        "cost": table(["", "value"], cost),
        "seconds": table(
            ["part", "seconds"], [[part, cell(value, f"{value:.1f}")] for part, value in spent]
        ).rows,
        "versions": table(["", ""], [list(pair) for pair in report.environment.items()]).rows,
    }


def _data(report: Report) -> dict[str, Any]:
    data, totals = report.data, report.data.totals()
    rows = [["all", *totals.values()]] + [
        [label, *(data.counts[split].get(label, 0) for split in totals)] for label in report.class_names
    ]
    made = table(["class", *totals], rows)
    pairs = list(dict.fromkeys(pair for shared in data.intersections.values() for pair in shared))
    proof = table(
        ["shared", *(pair.replace("&", "and") for pair in pairs)],
        [
            [SHARED.get(what, what), *(shared.get(pair, "") for pair in pairs)]
            for what, shared in data.intersections.items()
        ],
        "THE SPLITS ARE NOT APART: do not trust the figures"
        if data.shared()
        else "What the splits share: nothing",
    )
    order = sorted(data.findings, key=lambda kind: LEVELS.index(KINDS[kind].level))
    findings = [
        [kind, KINDS[kind].level, KINDS[kind].meaning, KINDS[kind].remedy, data.findings[kind]]
        for kind in order
    ]
    excluded = table(["file", "reason"], [list(pair) for pair in data.excluded[:LISTED_FILES]])
    return {
        "caption": f"{data.name}: {sum(totals.values())} images of {data.classes} classes",
        "header": made.header,
        "rows": made.rows,
        "proof": proof,
        "findings": table(["finding", "level", "meaning", "what is done, or to do", "files"], findings),
        "excluded": {
            "summary": f"{len(data.excluded)} files were set aside"
            + (f"; the first {LISTED_FILES} of them" if len(data.excluded) > LISTED_FILES else ""),
            "header": excluded.header,
            "rows": excluded.rows,
        },
    }
