"""The contact sheet: a section for each kind of finding, copies beside their originals."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.conftest import draw
from transferkit.data.audit import Audit
from transferkit.reports import sheet
from transferkit.reports.sheet import COLUMNS, GAP_PX, SHOWN, TILE_PX, draw_sheet

HEADER = 26  # px above the tiles of a section


def audit_of(root: Path, *rows: tuple[str, str, str, str]) -> Audit:
    findings = pd.DataFrame(rows, columns=["path", "finding", "level", "detail"])
    return Audit(root, {}, findings, len(rows), len(rows), 1.0, findings[:0])


def tile(image: Image.Image, column: int, section_top: int = GAP_PX) -> tuple[int, int, int]:
    """The colour in the middle of a tile of the first row of a section."""
    middle = TILE_PX // 2
    found = image.getpixel((GAP_PX + column * (TILE_PX + GAP_PX) + middle, section_top + HEADER + middle))
    assert isinstance(found, tuple)
    return found[:3]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name, colour in (("red", (250, 0, 0)), ("green", (0, 250, 0))):
        Image.new("RGB", (50, 50), colour).save(tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    return tmp_path


def test_a_tile_shows_the_file_and_a_copy_stands_beside_its_original(photos: Path):
    audit = audit_of(photos, ("red.png", "near-duplicate", "warning", "looks like green.png"))
    draw_sheet(audit, photos / "sheet.png")
    with Image.open(photos / "sheet.png") as image:
        assert image.size[0] == COLUMNS * (TILE_PX + GAP_PX) + GAP_PX
        assert (tile(image, 0), tile(image, 1)) == ((250, 0, 0), (0, 250, 0))
        assert tile(image, 2) == (255, 255, 255)


def test_a_pair_that_is_told_from_both_sides_is_drawn_once(photos: Path):
    rows = [
        ("red.png", "label-conflict", "error", "same bytes as green.png, labelled b"),
        ("green.png", "label-conflict", "error", "same bytes as red.png, labelled a"),
    ]
    draw_sheet(audit_of(photos, *rows), photos / "sheet.png")
    with Image.open(photos / "sheet.png") as image:
        assert (tile(image, 1), tile(image, 2)) == ((0, 250, 0), (255, 255, 255))


def test_what_cannot_be_decoded_is_a_grey_tile(photos: Path):
    draw_sheet(audit_of(photos, ("broken.png", "truncated", "error", "cut")), photos / "sheet.png")
    with Image.open(photos / "sheet.png") as image:
        assert image.getpixel((GAP_PX + 5, GAP_PX + HEADER + 5)) == (220, 220, 220)


def test_folders_and_what_is_not_there_have_no_tile(photos: Path, monkeypatch: pytest.MonkeyPatch):
    drawn: list[Path] = []
    monkeypatch.setattr(sheet, "_tile", lambda sheet, path, place, caption: drawn.append(path))
    rows = [(path, "unreadable", "error", "") for path in ("folder/", "gone.png", "red.png")]
    draw_sheet(audit_of(photos, *rows), photos / "sheet.png")
    assert drawn == [photos / "red.png"]


def test_what_is_ignored_has_no_section(photos: Path):
    draw_sheet(audit_of(photos, ("red.png", "ignored", "note", "no image")), photos / "sheet.png")
    draw_sheet(audit_of(photos), photos / "nothing.png")
    assert (photos / "sheet.png").read_bytes() == (photos / "nothing.png").read_bytes()


@pytest.mark.parametrize(
    ("more", "told"), [(0, f"({SHOWN})"), (1, f"({SHOWN + 1}, the first {SHOWN} drawn)")]
)
def test_a_title_tells_how_many_of_its_files_are_drawn(photos: Path, more: int, told: str):
    rows = [("red.png", "tiny", "warning", f"{n}") for n in range(SHOWN + more)]
    ((title, _, _),) = sheet._sections(audit_of(photos, *rows))
    assert title.startswith(f"warning: tiny {told}: ")


@pytest.mark.parametrize("line", ["W" * 60, "i" * 60, "deep/" * 20 + "WW.png", "cat.png"])
def test_a_caption_is_as_long_as_fits_under_its_tile(line: str):
    font = sheet.font(10)
    short = sheet._short(line, font)
    kept = short.strip("…")
    assert font.getlength(short) <= TILE_PX
    assert line.endswith(kept) if "/" in line else line.startswith(kept)
    longer = line[-len(kept) - 1 :] if "/" in line else line[: len(kept) + 1]
    assert (short == line) == (kept == line)
    assert kept == line or font.getlength(f"…{longer}") > TILE_PX


def test_a_sheet_is_known_from_other_pictures(photos: Path):
    draw_sheet(audit_of(photos), photos / "sheet.png")
    assert sheet.is_sheet(photos / "sheet.png")
    assert not any(sheet.is_sheet(photos / f"{name}.png") for name in ("red", "broken", "gone"))


def test_a_section_shows_two_rows_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    draw(tmp_path / "one.png", (9, 9, 9), 0)
    drawn: list[Path] = []
    monkeypatch.setattr(sheet, "_tile", lambda sheet, path, place, caption: drawn.append(path))
    rows = [("one.png", "tiny", "warning", f"{n}") for n in range(SHOWN + 5)]
    draw_sheet(audit_of(tmp_path, *rows), tmp_path / "sheet.png")
    assert len(drawn) == SHOWN


def test_nothing_found_is_said(photos: Path):
    draw_sheet(audit_of(photos), photos / "sheet.png")
    with Image.open(photos / "sheet.png") as image:
        assert image.convert("L").getextrema()[0] < 100
