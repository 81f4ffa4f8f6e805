"""The report as one HTML file that needs nothing beside it: no network, no server, no other file."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transferkit.evaluation.report import Report
from transferkit.printable import visible
from transferkit.reports import drawings, facts, figures, matrix, sections
from transferkit.reports.beside import BASELINES, beside
from transferkit.reports.cells import Table, fraction, share, table
from transferkit.reports.trust import against_words, over_linear_words

if TYPE_CHECKING:
    from jinja2 import Environment

FILES = Path(__file__).with_name("html")


def render(report: Report, folder: Path) -> str:
    """The page.

    Args:
        report: its numbers.
        folder: of the run; the pictures that the report names are read from it.
    """
    return environment().get_template("report.html.j2").render(_context(report, folder))


@cache
def environment() -> "Environment":
    """Where the templates are; everything that is filled in is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    found = Environment(loader=FileSystemLoader(FILES), autoescape=True, undefined=StrictUndefined)
    found.finalize = lambda value: visible(value) if type(value) is str else value
    found.trim_blocks = found.lstrip_blocks = True
    # Our own files, and no word of a user's.
    style = (FILES / "style.css").read_text(encoding="utf-8")
    from transferkit.reports import svg

    dark = f"@media (prefers-color-scheme:dark){{{svg.DARK}}}"
    found.globals["style"] = Markup(style + svg.STYLE + dark)  # noqa: S704
    found.globals["script"] = Markup((FILES / "script.js").read_text(encoding="utf-8"))  # noqa: S704
    return found


def pictures(report: Report) -> dict[str, str]:
    """The figures that this report has numbers for, by name, as SVG."""
    found: dict[str, str] = {}
    if not report.multilabel:
        found["confusion"] = matrix.confusion(figures.confusion_figure(report, report.headline))
    if (curve := figures.learning_curve(report)).epochs:
        found["learning_curve"] = drawings.learning_curve(curve)
    if report.linear_path:
        found["strength_curve"] = drawings.strength_curve(figures.strength_curve(report))
    if (probes := figures.stage_probes(report)).stages:
        found["stage_probes"] = drawings.stage_probes(probes)
    if (belief := figures.reliability(report)) is not None:
        found["reliability"] = drawings.reliability(belief)
    if (kept := figures.coverage(report)) is not None:
        found["coverage"] = drawings.coverage(kept)
    if (more := figures.growth_curve(report)) is not None:
        found["growth"] = drawings.growth(more)
    return found


def _context(report: Report, folder: Path) -> dict[str, Any]:
    from markupsafe import Markup

    drawn = {name: Markup(picture) for name, picture in pictures(report).items()}  # noqa: S704
    found = {
        "title": report.title,
        "subtitle": _subtitle(report),
        "headline": _headline(report),
        "kept": f"Kept: the {report.kept} model; {report.kept_reason or 'nothing else was tried'}",
        "verdicts": [
            words
            for words in (over_linear_words(report), against_words(report.against) if report.against else "")
            if words
        ],
        "remarks": report.remarks(),
        "steps": sections.next_steps(report),
        "root": report.data.root,
        "compared": _compared(report),
        "figures": {name: drawn.get(name) for name in NAMES},
        "diagnosis": report.diagnosis,
        "happened": report.happened,
        "growth": report.growth.sentence if report.growth else "",
        "gallery": sections.gallery(report, folder),
        "doubts": sections.doubts(report, folder),
        "trust": sections.trust(report),
        **sections.decision(report),
        **facts.classes(report),
        **facts.facts(report),
    }
    told = [(id, name) for id, name in CONTENTS if found.get(OPTIONAL.get(id, ""), True)]
    return found | {"contents": told}


NAMES = (
    "confusion", "learning_curve", "strength_curve", "stage_probes", "reliability", "coverage", "growth",
)  # fmt: skip
CONTENTS = (
    ("next", "What to do next"), ("compared", "Beside the simplest answers"),
    ("why", "Why it was trained this way"), ("training", "Training"), ("classes", "Class by class"),
    ("mistakes", "Where it fails"), ("suspects", "Suspect labels"), ("trust", "How far it can be believed"),
    ("data", "Data"), ("cost", "Cost and time"), ("words", "Words"), ("repeat", "How to use and repeat it"),
)  # fmt: skip

# Sections that are not always there, and what they are made of.
OPTIONAL = {"mistakes": "gallery", "suspects": "doubts", "trust": "trust"}


def _subtitle(report: Report) -> str:
    judged = report.splits[report.headline]
    return (
        f"{judged.n} {report.headline} images of {len(report.class_names)} classes, judged by "
        f"{report.backbone} "
        f"with the strategy {report.strategy}"
    )


def _headline(report: Report) -> list[dict[str, str]]:
    """The large numbers, each with what to hold it against."""
    split = report.headline
    boxes = []
    if report.multilabel:
        boxes.append(_box("mAP", report.score(split), "mean of the classes' average precisions"))
    else:
        found = report.single_label(split)
        boxes.append(_box("Top-1", found.top1, _interval(found.top1_ci95)))
        if len(report.class_names) > 5:
            boxes.append(_box("Top-5", found.top5, _interval(found.top5_ci95)))
    # The same number twice reads as a tie.
    if report.kept != "linear":
        boxes.append(_box("Linear classifier", report.linear_score[split], "what it had to beat"))
    boxes.append(_box("No look at all", report.baseline_score[split], BASELINES[report.measure]))
    if report.against:
        other = report.against
        both = f"on {other.paired.n} images of both, where this one has {other.own_top1:.1%}"
        boxes.append(_box("Earlier run", other.top1, both))
    return boxes


def _box(name: str, value: float, told: str) -> dict[str, str]:
    return {"name": name, "value": f"{100 * value:.1f} %", "range": told}


def _interval(ends: tuple[float, float]) -> str:
    return f"95 % interval {100 * ends[0]:.1f} to {100 * ends[1]:.1f} %"


def _compared(report: Report) -> Table:
    splits = list(report.splits)
    rows: list[list[Any]] = [
        [row.label, *((share if row.share else fraction)(row.values.get(split)) for split in splits)]
        for row in beside(report)
    ]
    return table(["", *splits], rows)
