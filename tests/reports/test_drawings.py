"""Figures are XML that holds their numbers, whatever the names are."""

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.toy_report import make_full_report, make_multilabel_report, make_report
from transferkit.reports import drawings, figures, matrix, page, svg

HOSTILE = (
    "$x_",
    "a|b",
    "<script>alert(1)</script>",
    "two\nlines",
    "x" * 300,
    "日本",
    "🐈",
    "\udcff",
    "‮rtl",
    "\"'&",
)


def parsed(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg.standalone(picture).encode("utf-8", "replace"))


@pytest.mark.parametrize("make", [make_report, make_full_report, make_multilabel_report])
def test_every_figure_is_xml_with_a_name(make):
    found = page.pictures(make())
    for picture in found.values():
        root = parsed(picture)
        assert root.get("role") == "img" and root.get("aria-label")
        assert "nan" not in picture and "inf" not in picture
    assert len(found) == (7 if make is make_full_report else 3 - (make is make_multilabel_report))


@pytest.mark.parametrize("classes", [2, 10, 50, 100, 250])
def test_a_matrix_of_any_size_and_any_names_has_a_square_for_each_pair(classes: int):
    names = tuple(f"{HOSTILE[i % 10]}{i}" for i in range(classes))
    report = make_full_report(classes=classes, names=names, images=max(300, 4 * classes))
    info = figures.confusion_figure(report, "test")
    picture = matrix.confusion(info)
    root = parsed(picture)
    titles = [one.text for one in root.iter() if one.tag.endswith("title")]
    pairs = sum(count > 0 for row in info.counts for count in row)
    assert len(titles) == pairs + 1
    assert "<script>" not in picture
    assert float(root.get("width", "0")) < 1100
    sizes = {float(one.get("font-size")) for one in root.iter() if one.get("font-size")}
    assert min(sizes) >= 8  # pixels; the page does not shrink it on a screen


def luminance(colour: str) -> float:
    """WCAG 2's relative luminance of #rgb or #rrggbb."""
    whole = colour * 2 if len(colour) == 3 else colour
    parts = np.array([int(whole[i : i + 2], 16) / 255 for i in (0, 2, 4)])
    linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("css", [svg.STYLE, svg.DARK], ids=["light", "dark"])
def test_numbers_in_squares_have_a_rim_that_they_can_be_read_on(css: str):
    picture = matrix.confusion(figures.confusion_figure(make_report(), "test"))
    assert picture.count('<text class="rimmed"') == 10
    assert ".rimmed{stroke:var(--paper);stroke-width:3;paint-order:stroke}" in svg.STYLE
    ink, paper = (luminance(re.findall(rf"--{name}:#([0-9a-f]+)", css)[0]) for name in ("ink", "paper"))
    low, high = sorted((ink, paper))
    assert (high + 0.05) / (low + 0.05) >= 7


def test_a_class_that_is_always_right_is_a_full_square():
    picture = matrix.confusion(figures.confusion_figure(make_report(classes=2), "test"))
    assert picture.count('fill-opacity="1"') == 2 and "class 0: 1 right, 100%" in picture


def test_points_stand_where_their_numbers_are():
    here = svg.panel((0, 0, 100, 200), (0, 10), (0, 1))
    assert (here.x.at(5), here.y.at(0.25)) == (50, 150)
    assert here.line([0, 10], [0, 1], "val") == '<path class="line val" d="M0.0 200.0L100.0 0.0"/>'
    assert here.line([0, 5, 10], [0, math.nan, 1], "val").count("M") == 2
    assert here.line([0], [math.nan], "val") == ""
    log = svg.panel((0, 0, 100, 100), (1, 100), (0, 1), log=True)
    assert log.x.at(10) == pytest.approx(50) and log.x.ticks() == [1, 10, 100]


@pytest.mark.parametrize(
    ("low", "high", "ticks"), [(0, 1, [0, 0.25, 0.5, 0.75, 1]), (0.62, 0.8, [0.65, 0.7, 0.75, 0.8])]
)
def test_ticks_are_round_numbers_within(low: float, high: float, ticks: list[float]):
    assert svg.Scale(low, high, 0, 100).ticks(4) == pytest.approx(ticks)


def test_one_epoch_without_val_and_a_phase_of_a_long_name_are_drawn():
    history = ({"phase": "$x_" * 99, "loss": 1.0, "top1": 0.5, "val_loss": math.nan},)
    info = figures.learning_curve(make_report(history=history, linear_score={}))
    parsed(drawings.learning_curve(info))


def test_runs_are_drawn_by_their_cost():
    picture = drawings.against_cost([("a", 10.0, 0.8, 0.7, 0.9), ("<b>", 300.0, 0.9, 0.85, 0.95)])
    assert "&lt;b&gt;" in picture and picture.count('class="f-val"') == 2
    parsed(picture)


def test_runs_of_one_cost_can_be_told_apart():
    rows = [(name, 10.0, top1, top1 - 0.1, top1 + 0.1) for name, top1 in (("a", 0.8), ("b", 0.8), ("c", 0.5))]
    picture = parsed(drawings.against_cost(rows))
    marks = [float(one.get("x")) for one in picture.iter() if one.get("class") == "f-val"]
    assert len(marks) == 3 and min(np.diff(sorted(marks))) >= 14
    names = {one.text: float(one.get("y")) for one in picture.iter() if one.text in ("a", "b", "c")}
    assert abs(names["a"] - names["b"]) >= 12
