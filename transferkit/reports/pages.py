"""The pages of a report, written into a run folder: `report.html`, `report.md` and `figures/`."""

from pathlib import Path

from transferkit.evaluation.report import Report
from transferkit.reports import markdown, page, svg

HTML, MARKDOWN, FIGURES = "report.html", "report.md", "figures"


def write(report: Report, folder: Path) -> None:
    """Write all pages; each file is written aside and renamed, so that none is ever half there."""
    drawn = page.pictures(report)
    (folder / FIGURES).mkdir(exist_ok=True)
    for name, picture in drawn.items():
        _whole(folder / FIGURES / f"{name}.svg", svg.standalone(picture))
    _whole(folder / MARKDOWN, markdown.render(report, drawn))
    _whole(folder / HTML, page.render(report, folder))


def _whole(target: Path, text: str) -> None:
    aside = target.with_name(f".{target.name}.writing")
    # Half of a broken encoding in a file's name has no place in UTF-8.
    aside.write_text(text, encoding="utf-8", errors="replace", newline="\n")
    aside.rename(target)
