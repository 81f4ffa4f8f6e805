"""The page, the Markdown and the JSON of a report tell the same."""

import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.toy_report import make_full_report, make_multilabel_report
from transferkit.reports import markdown, page, record

# What only one of the two writes: the page counts views where there were none, names its own columns.
OF_THE_PAGE = {"views", "value"}
OF_MARKDOWN = {"as it is → at the temperature"}


class Cells(HTMLParser):
    """The text of every cell of every table, but of those that Markdown leaves to the page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside = self.left_out = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.left_out = self.left_out or ("aria-label", "Every square off the diagonal") in attrs
        if tag in ("td", "th") and not self.left_out:
            self.inside = True
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.inside = False
        if tag == "table":
            self.left_out = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.found[-1] += data


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("◀", "←")).strip()


def of_page(text: str) -> set[str]:
    cells = Cells()
    cells.feed(text)
    return {squeezed(cell) for cell in cells.found}


def of_markdown(text: str) -> set[str]:
    plain = re.sub(r"\*\*|`|\\(?=[^\w\s])", "", text)
    rows = [line for line in plain.splitlines() if line.startswith("|") and not line.startswith("| ---")]
    return {squeezed(html.unescape(cell)) for row in rows for cell in row.strip("|").split("|")}


@pytest.mark.parametrize("make", [make_full_report, make_multilabel_report])
def test_every_cell_of_the_page_stands_in_markdown_and_the_other_way_round(make, tmp_path: Path):
    report = make(tmp_path) if make is make_full_report else make()
    own = of_page(page.render(report, tmp_path))
    plain = of_markdown(markdown.render(report, page.pictures(report)))
    assert len(own) > 60
    assert own - plain <= OF_THE_PAGE
    assert plain - own <= OF_MARKDOWN


def test_json_holds_all_that_the_pages_tell(tmp_path: Path):
    report = make_full_report(tmp_path)
    record.write(report, tmp_path)
    again = record.read(tmp_path)
    assert page.render(again, tmp_path) == page.render(report, tmp_path)
    assert markdown.render(again, page.pictures(again)) == markdown.render(report, page.pictures(report))


def test_lists_that_markdown_cuts_say_where_the_rest_is(tmp_path: Path):
    report = make_full_report(tmp_path, classes=40, images=2000)
    many = replace(report.doubts, suspects=(report.doubts.suspects * 30)[:30])
    text = markdown.render(replace(report, doubts=many))
    assert "The next 18 are in `report.html`, all of them in `fixes.csv`." in text
    assert re.search(r"The other \d{3,} pairs are in `report\.html`\.", text)
    assert "The other 10 classes are in `metrics.json`." in text
