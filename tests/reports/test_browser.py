"""The HTML page as a browser takes it: no error, no request, tables sort, links lead to rows, axe is content.

Needs Debian's chromium and axe-core (`npm pack axe-core`, its axe.min.js named by AXE_CORE); `.ci/run` has
both.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reports.test_drawings import HOSTILE
from tests.toy_report import make_full_report
from transferkit.reports import page

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


def test_axe_finds_no_serious_fault(opened: Any):
    if not Path(AXE).is_file():
        pytest.skip("AXE_CORE names no axe.min.js (npm pack axe-core)")
    opened.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found = opened.evaluate("axe.run()")["violations"]
    serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    assert [(fault["id"], [node["html"][:120] for node in fault["nodes"]][:3]) for fault in serious] == []


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
