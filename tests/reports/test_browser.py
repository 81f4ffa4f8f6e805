"""The HTML page as a browser takes it: no error, no request, tables sort, links lead to rows, axe is content.

Needs Debian's chromium and axe-core (`npm pack axe-core`, its axe.min.js named by AXE_CORE); `.ci/run` has
both.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reports.test_drawings import HOSTILE
from tests.toy_report import make_full_report
from transferkit.api.explaining import Explained, Explanation
from transferkit.api.filters import Filter
from transferkit.evaluation.comparison import Compared, Comparison
from transferkit.evaluation.paired import paired
from transferkit.reports import comparison, explanation, page

pytestmark = pytest.mark.browser
CHROMIUM, AXE = shutil.which("chromium"), os.environ.get("AXE_CORE", "")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tool:
        started = tool.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    report = make_full_report(folder, names=[f"{name}{i}" for i, name in enumerate(HOSTILE)])
    target = folder / "report.html"
    target.write_text(page.render(report, folder), encoding="utf-8", errors="replace")
    return target


@pytest.fixture(params=[("light", 1280), ("dark", 390)], ids=["light-1280", "dark-390"])
def opened(request: pytest.FixtureRequest, browser: Any, written: Path) -> Iterator[Any]:
    scheme, width = request.param
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    tab = context.new_page()
    tab.told, tab.asked = [], []
    tab.on("console", lambda message: tab.told.append(message.text))
    tab.on("pageerror", lambda error: tab.told.append(str(error)))
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.goto(written.as_uri())
    yield tab
    context.close()


def test_nothing_is_wrong_and_nothing_leaves_the_file(opened: Any, written: Path):
    assert opened.told == []
    outside = [url for url in opened.asked if url != written.as_uri() and not url.startswith("data:")]
    assert outside == []
    assert opened.evaluate("document.title").endswith("transferkit report")


def test_the_page_is_no_wider_than_the_screen(opened: Any):
    assert opened.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_pictures_show(opened: Any):
    opened.wait_for_function("[...document.images].every(image => image.complete)")
    sizes = opened.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(sizes) == 9 and min(sizes) == 64


def test_tables_sort_by_a_column_both_ways(opened: Any):
    body = "document.querySelectorAll('#classes ~ .scroll tbody')[0]"
    column = f"[...{body}.rows].map(row => Number(row.cells[3].dataset.v))"
    button = opened.locator("#classes ~ .scroll th button", has_text="precision").first
    button.click()
    rising = opened.evaluate(column)
    button.click()
    assert rising == sorted(rising) and opened.evaluate(column) == rising[::-1]
    assert len(set(rising)) > 3


def test_a_picture_leads_to_its_row_and_back(opened: Any):
    opened.locator("#mp1 a").click()
    assert opened.evaluate("location.hash") == "#mr1"
    assert (
        opened.evaluate("getComputedStyle(document.querySelector('#mr1 td')).backgroundColor")
        != "rgba(0, 0, 0, 0)"
    )
    opened.locator("#mr1 a").click()
    assert opened.evaluate("location.hash") == "#mp1"


def serious_faults(tab: Any) -> list[Any]:
    """What axe-core finds, with all that is folded away shown."""
    if not Path(AXE).is_file():
        pytest.skip("AXE_CORE names no axe.min.js (npm pack axe-core)")
    tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    tab.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found = tab.evaluate("axe.run()")["violations"]
    serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    return [(fault["id"], [node["html"][:120] for node in fault["nodes"]][:3]) for fault in serious]


def test_axe_finds_no_serious_fault(opened: Any):
    assert serious_faults(opened) == []


def test_a_table_is_sorted_from_the_keyboard_and_what_is_not_there_stands_last(browser: Any, tmp_path: Path):
    target = tmp_path / "report.html"
    target.write_text(page.render(make_full_report(tmp_path), tmp_path), encoding="utf-8")
    tab = browser.new_page()
    tab.goto(target.as_uri())
    column = "[...document.querySelectorAll('#classes ~ .scroll tbody')[0].rows].map(row => row.cells[3])"
    tab.evaluate(f"{column}.slice(0, 2).forEach(one => {{ one.textContent = '–'; delete one.dataset.v; }})")
    tab.locator("#classes ~ .scroll th button", has_text="precision").first.focus()
    for rising in (True, False):
        tab.keyboard.press("Enter")
        shown = tab.evaluate(f"{column}.map(one => one.textContent.trim())")
        values = [float(one) for one in shown[:-2]]
        assert shown[-2:] == ["–", "–"] and values == sorted(values, reverse=not rising)
    tab.close()


def test_on_paper_nothing_is_wider_than_the_sheet(browser: Any, written: Path):
    tab = browser.new_page(viewport={"width": 720, "height": 1000})  # A4 less its margins
    tab.emulate_media(media="print")
    tab.goto(written.as_uri())
    wide = "[...document.querySelectorAll('svg.fig')].map(one => one.getBoundingClientRect().right)"
    assert max(tab.evaluate(wide)) <= 721
    # A table too wide for the sheet would be cut off: nothing scrolls on paper.
    tables = "[...document.querySelectorAll('.scroll')]"
    assert tab.evaluate(f"{tables}.filter(one => one.scrollWidth > one.clientWidth + 1).length") == 0
    tab.close()


def other_pages() -> dict[str, str]:
    """The pages of `compare` and `explain`, of hostile names, and what a notebook shows of both."""
    pixels, names = np.zeros((8, 8, 3), np.uint8), [f"{name}/{i}" for i, name in enumerate(HOSTILE)]
    better = paired(np.arange(40) < 20, np.arange(40) < 30)
    runs = [
        Compared(
            name=name, backbone=name, strategy="linear", kept="linear", top1=0.5, low=0.4, high=0.6,
            macs=10**6 * (1 + number), parameters=9, file_bytes=9, against_first=better if number else None,
        )
        for number, name in enumerate(names)
    ]  # fmt: skip
    images = [
        Explained(
            path=name, pixels=pixels, heat=np.eye(2), top5=((name, 0.9), (names[0], 0.1)),
            nearest=((name, name, 0.5),), strange=0.1,
        )
        for name in names
    ]  # fmt: skip
    filters = [Filter(number=0, kernel=pixels, images=tuple(names[:3]))]
    compared = Comparison(runs=tuple(runs), images=40, split="test", left_out=0)
    told = explanation.page("why", images, filters, stage="stage2", read=lambda path: pixels)
    explained = Explanation(stage="stage2", images=tuple(images), failed={HOSTILE[0]: HOSTILE[0]})
    return {
        "compare": comparison.page(compared),
        "explain": told,
        "compared": f"<title>x</title>{compared._repr_html_()}",
        "explained": f"<title>x</title>{explained._repr_html_()}",
    }


@pytest.mark.parametrize("name", ["compare", "explain"])
@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
def test_the_other_pages_are_as_sound(browser: Any, tmp_path: Path, name: str, scheme: str, width: int):
    target = tmp_path / "page.html"
    target.write_text(other_pages()[name], encoding="utf-8", errors="replace")
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    tab, told = context.new_page(), []
    tab.on("console", lambda message: told.append(message.text))
    tab.on("pageerror", lambda error: told.append(str(error)))
    tab.on("dialog", lambda dialog: told.append(dialog.message))
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(target.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [target.as_uri()]
    assert tab.locator("svg.fig").count() == (1 if name == "compare" else 0)
    tab.wait_for_function("[...document.images].every(image => image.complete)")
    sizes = tab.evaluate("[...document.images].map(image => image.naturalWidth)")
    # Of each image itself, its heat and the nearest; the filter and those that excite it.
    assert len(sizes) == (0 if name == "compare" else 3 * len(HOSTILE) + 4) and all(sizes)
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert "<script>alert(1)</script>" in tab.inner_text("body") and told == []
    assert serious_faults(tab) == []
    context.close()


@pytest.mark.parametrize("name", ["compared", "explained"])
def test_what_a_notebook_shows_has_names_as_text(browser: Any, tmp_path: Path, name: str):
    target = tmp_path / "cell.html"
    target.write_text(other_pages()[name], encoding="utf-8", errors="replace")
    tab, told = browser.new_page(), []
    tab.on("dialog", lambda dialog: told.append(dialog.message))
    tab.on("pageerror", lambda error: told.append(str(error)))
    tab.goto(target.as_uri())
    assert "<script>alert(1)</script>" in tab.inner_text("body") and told == []
    assert tab.locator("script, [onerror], [onload]").count() == 0
    tab.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_long_names_everywhere_make_the_page_no_wider(browser: Any, tmp_path: Path, width: int):
    names = [f"{'x' * 300}{number}" for number in range(10)]
    report = make_full_report(tmp_path, names=names, title="y" * 300, notes=("z" * 300,))
    target = tmp_path / "report.html"
    target.write_text(page.render(report, tmp_path), encoding="utf-8")
    tab = browser.new_page(viewport={"width": width, "height": 900})
    tab.goto(target.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    tab.close()
