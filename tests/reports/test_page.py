"""The HTML page as text; how a browser takes it: test_browser."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.reports.test_drawings import HOSTILE
from tests.toy_report import make_full_report, make_multilabel_report, make_report
from transferkit.reports import markdown, page, pages, sections


class Reader(HTMLParser):
    """Ids, links to them, and the texts of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append(tag)
        if named.get("id"):
            self.ids.append(str(named["id"]))
        if tag == "a":
            self.links.append(str(named["href"]))
        self.sources += [str(named[key]) for key in ("src", "href") if key in named and tag != "a"]


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


@pytest.mark.parametrize("make", [make_report, make_full_report, make_multilabel_report])
def test_every_link_leads_somewhere_and_nothing_leads_out(make, tmp_path: Path):
    report = make(tmp_path) if make is make_full_report else make()
    found = read(page.render(report, tmp_path))
    assert len(found.ids) == len(set(found.ids))
    assert {link.removeprefix("#") for link in found.links} <= set(found.ids)
    assert all(link.startswith("#") for link in found.links)
    assert all(source.startswith("data:") for source in found.sources)


def test_names_that_are_code_are_shown_as_text(tmp_path: Path):
    report = make_full_report(tmp_path, names=[f"{name}{i}" for i, name in enumerate(HOSTILE)], title="<b>&")
    text = page.render(report, tmp_path)
    assert read(text).tags.count("script") == 1 and "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text and "&lt;b&gt;&amp;" in text
    pages.write(report, tmp_path)
    plain = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "<script>" not in plain
    # What turns the direction of writing would turn the words around it.
    assert "\u202e" not in text and "\u202e" not in plain


def test_markdown_makes_no_links_of_names(tmp_path: Path):
    names = ["http://evil.example", "www.evil.example", "me@evil.example"]
    plain = markdown.render(make_full_report(tmp_path, names=names, classes=3))
    assert "http://" not in plain and "www.e" not in plain and "me@" not in plain
    assert "me&#64;evil.example" in plain


def test_the_pages_tell_the_same_numbers(tmp_path: Path):
    report = make_full_report(tmp_path)
    html, plain = page.render(report, tmp_path), markdown.render(report, page.pictures(report))
    test = report.single_label("test")
    for number in (
        f"{100 * test.top1:.1f} %",
        f"{test.macro_f1:.3f}",
        f"{report.calibration.temperature:.2f}",
    ):
        assert number in html and number in plain
    assert f"{report.conformal.mean_size:.2f} classes on average" in html
    for words in (
        "McNemar p =",
        "What to do next",
        "more images of all classes together",
        "Right, but least sure",
    ):
        assert words in html and words.lower() in plain.lower()
    told = "Against the linear classifier on the last stage: not distinguishable on n=100: +10.0 points"
    assert told in html and told in plain
    assert (
        "images of both, where this one has" in html
        and "better by +10.0 points" in html
        and "<b>60.0 %</b>" not in html
    )


def test_pictures_are_inside_and_bounded(tmp_path: Path):
    report = make_full_report(tmp_path)
    text = page.render(report, tmp_path)
    # Two of the mistakes, one unsure, one suspect: each with its heat; and one neighbour.
    assert text.count("data:image/jpeg;base64,") == 9
    (tmp_path / "pictures" / "0.jpg").unlink()
    assert page.render(report, tmp_path).count("data:image/jpeg;base64,") == 7


def test_pictures_that_are_gone_are_told(tmp_path: Path):
    report = make_full_report(tmp_path)
    assert "no longer in the run" not in page.render(report, tmp_path)
    (tmp_path / "pictures" / "0.jpg").unlink()
    assert "1 of 6 pictures are no longer in the run&#39;s folder." in page.render(report, tmp_path)


def test_a_suspect_that_could_not_be_drawn_moves_no_other_link(tmp_path: Path):
    told = make_full_report(tmp_path)
    assert told.doubts is not None
    (drawn,) = told.doubts.suspects
    gone = replace(drawn, path="gone.jpg", thumbnail="", heat="", like=())
    several = replace(told, doubts=replace(told.doubts, suspects=(gone, replace(drawn, path="there.jpg"))))
    found = sections.doubts(several, tmp_path)
    assert found is not None
    (photo,), (first, second) = found["shown"], found["rows"]
    assert (photo["path"], photo["row"], photo["id"]) == ("there.jpg", second.id, second.cells[0].link)
    assert first.cells[0].text == "gone.jpg" and not first.cells[0].link
    nothing = page.render(replace(told, doubts=replace(told.doubts, suspects=(gone,))), tmp_path)
    assert "gone.jpg" in nothing and "Labels least believed" in nothing


def test_no_mark_of_markdown_stands_in_the_page(tmp_path: Path):
    text = re.sub(
        r"<(script|style)>.*?</\1>", "", page.render(make_full_report(tmp_path), tmp_path), flags=re.S
    )
    assert "`" not in text and "--target-coverage" in text


def test_every_pair_that_is_confused_stands_in_a_table(tmp_path: Path):
    report = make_full_report(tmp_path)
    wrong = report.single_label("test").confusion.copy()
    np.fill_diagonal(wrong, 0)
    pairs = int((wrong > 0).sum())
    text = page.render(report, tmp_path)
    assert pairs > 10 and f"All {pairs} pairs of the matrix that are confused" in text
    rows = text.split("Every square off the diagonal</caption>")[1].split("</table>")[0].count("<tr>")
    assert rows == pairs + 1


def test_weights_of_classes_and_every_fold_stand_in_both_pages(tmp_path: Path):
    report = make_full_report(tmp_path)
    weights = {name: 0.5 + number for number, name in enumerate(report.class_names)}
    told = {"method": "weights", "reason": "Classes are unequal.", "weights": weights}
    report = replace(report, decision=replace(report.decision, balance=told))
    html, plain = page.render(report, tmp_path), markdown.render(report)
    for words in ("9.500", "an image weighs by its class"):
        assert words in html and words in plain
    for one in report.cross_validation.values():
        folds = ", ".join(f"{100 * score:.1f}" for score in one.scores)
        assert folds in html and folds in plain


def test_a_large_report_is_small(tmp_path: Path):
    report = make_full_report(tmp_path, classes=100, images=10_000)
    assert len(page.render(report, tmp_path).encode()) < 6e6


def test_the_cell_of_the_data_is_lit(tmp_path: Path):
    text = page.render(make_full_report(), tmp_path)
    assert re.findall(r'<td class="lit">([\w-]+)', text) == ["finetune-deep"]


def test_what_to_do_next_is_never_empty(tmp_path: Path):
    assert "Nothing in the numbers asks for a change." in page.render(make_report(), tmp_path)


def test_bare_pixels_are_told_and_advise_where_the_network_adds_nothing(tmp_path: Path):
    plain = page.render(make_report(), tmp_path)
    assert "16 x 16 pixels" not in plain
    wrong = make_report(labels=[0, 1], predicted=[1, 0], classes=2)
    assert "16 x 16 pixels" not in page.render(wrong, tmp_path), "not even where nothing is right"
    worse = make_report(pixels_score={"val": 0.5, "test": 0.6})
    assert "60.0 %" in page.render(worse, tmp_path) and "add nothing here" not in page.render(worse, tmp_path)
    best = {"val": 1.0, "test": 1.0}
    for text in (
        page.render(make_report(pixels_score=best), tmp_path),
        markdown.render(make_report(pixels_score=best), {}),
    ):
        assert "logistic regression on 16 x 16 pixels" in text and "add nothing here" in text


def test_it_says_how_to_use_the_model_and_names_no_tie_with_itself(tmp_path: Path):
    report = make_full_report(tmp_path, kept="linear")
    text = page.render(report, tmp_path)
    assert "transferkit predict RUN new.jpg" in text and "images like" in text
    assert "transferkit predict RUN new.jpg" in markdown.render(report, page.pictures(report))
    assert "what it had to beat" not in text
    assert "what it had to beat" in page.render(make_full_report(tmp_path, kept="fine-tuned"), tmp_path)
    for id, name in page.CONTENTS:
        if f'id="{id}"' in text:
            assert f'<h2 id="{id}">{name}</h2>' in text, "contents and headings have one name"
