"""What a notebook shows of a run: the scores in a table, what to know and to do, the figures."""

import base64
from dataclasses import dataclass
from html import escape
from pathlib import Path

from transferkit.evaluation.report import MEASURES, Report
from transferkit.printable import visible
from transferkit.reports import page, pages, sections, svg

SHOWN = ("learning_curve", "confusion")


@dataclass(frozen=True)
class ReportView:
    """A run's report for people: `repr` in words, in notebooks as HTML.

    Attributes:
        folder: of the run; `report.html` in it has all.
        numbers: everything that was found.
    """

    folder: Path
    numbers: Report

    @property
    def html(self) -> Path:
        """The whole report."""
        return self.folder / pages.HTML

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Split, images, the measure with its interval, that of the linear classifier and without a look."""
        report, found = self.numbers, []
        for split, scores in report.splits.items():
            value = f"{report.score(split):.1%}"
            if not report.multilabel:
                low, high = report.single_label(split).top1_ci95
                value += f" ({low:.1%} to {high:.1%})"
            linear, nothing = report.linear_score[split], report.baseline_score[split]
            found.append((split, str(scores.n), value, f"{linear:.1%}", f"{nothing:.1%}"))
        return found

    def __repr__(self) -> str:
        report = self.numbers
        lines = [f"{report.title}: {report.kept} on {report.backbone}, strategy {report.strategy}"]
        for split, images, value, linear, nothing in self.rows():
            measured = f"{MEASURES[report.measure]} {value}, n={images}"
            lines.append(f"{split}: {measured}; linear classifier {linear}, without a look {nothing}")
        lines += [f"- {step}" for step in sections.next_steps(report)]
        return "\n".join([*lines, f"all of it: {self.html}"])

    def _repr_html_(self) -> str:
        report, cells = self.numbers, []
        head = [
            "split",
            "images",
            f"{MEASURES[report.measure]} (95 %)",
            "linear classifier",
            "without a look",
        ]
        cells.append("".join(f"<th>{escape(one)}</th>" for one in head))
        cells += ["".join(f"<td>{escape(one)}</td>" for one in row) for row in self.rows()]
        table = "".join(f"<tr>{row}</tr>" for row in cells)
        told = [*report.remarks(), *sections.next_steps(report)]
        steps = "".join(f"<li>{escape(visible(one))}</li>" for one in told)
        drawn = page.pictures(report)
        figures = "".join(_figure(name, drawn[name]) for name in SHOWN if name in drawn)
        title = f"{report.title}: {report.kept} on {report.backbone}, strategy {report.strategy}"
        return (
            f"<h3>{escape(visible(title))}</h3><table>{table}</table><ul>{steps}</ul>{figures}"
            f"<p>All of it: <code>{escape(visible(str(self.html)))}</code></p>"
        )


def _figure(name: str, picture: str) -> str:
    """A figure whose style stays its own."""
    data = base64.b64encode(svg.standalone(picture).encode("utf-8", "replace")).decode("ascii")
    return (
        f'<img alt="{name.replace("_", " ")}" style="max-width:480px" src="data:image/svg+xml;base64,{data}">'
    )
