"""The audit's findings as one picture: what was found, with the files to look at."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transferkit.data.findings import KINDS
from transferkit.printable import visible

if TYPE_CHECKING:
    from transferkit.data.audit import Audit

TILE_PX = 132
CAPTION_PX = 30
GAP_PX = 8
COLUMNS = 9
SHOWN = 2 * COLUMNS  # files of one finding
MADE_BY = "transferkit inspect"
COLOURS = {"error": (176, 32, 32), "warning": (150, 96, 0), "note": (70, 70, 70)}


def draw_sheet(audit: "Audit", target: Path) -> None:
    """Draw a contact sheet of the findings on files as a PNG: a section for each kind, errors first.

    A copy stands beside what it is a copy of. Files that cannot be decoded are grey tiles.
    """
    from PIL import Image, ImageDraw
    from PIL.PngImagePlugin import PngInfo

    sections = [section for section in _sections(audit) if section[1]]
    width = COLUMNS * (TILE_PX + GAP_PX) + GAP_PX
    heights = [_height(len(tiles)) for _, tiles, _ in sections]
    sheet = Image.new("RGB", (width, max(60, sum(heights) + GAP_PX)), "white")
    draw = ImageDraw.Draw(sheet)
    top = GAP_PX
    for (title, tiles, level), height in zip(sections, heights, strict=True):
        draw.text((GAP_PX, top), title, fill=COLOURS[level], font=font(15))
        for place, (path, caption) in enumerate(tiles):
            row, column = divmod(place, COLUMNS)
            left = GAP_PX + column * (TILE_PX + GAP_PX)
            _tile(sheet, audit.root / path, (left, top + 26 + row * (TILE_PX + CAPTION_PX + GAP_PX)), caption)
        top += height
    if not sections:
        draw.text((GAP_PX, 20), "nothing was found on any file", fill="black", font=font(15))
    made = PngInfo()
    made.add_text("Software", MADE_BY)
    sheet.save(target, compress_level=6, pnginfo=made)


def is_sheet(path: Path) -> bool:
    """Whether a file is a contact sheet that `draw_sheet` wrote."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.info.get("Software") == MADE_BY
    except Exception:  # Pillow raises many kinds for what is no picture
        return False


def _sections(audit: "Audit") -> list[tuple[str, list[tuple[str, tuple[str, str]]], str]]:
    """(title, tiles of (path, two lines), level) for each kind of finding."""
    found = []
    drawn = audit.findings[audit.findings["finding"] != "ignored"]
    for (level, name), part in drawn.groupby(["level", "finding"], sort=False):
        tiles: list[tuple[str, tuple[str, str]]] = []
        pairs: set[frozenset[str]] = set()
        for path, detail in part[["path", "detail"]].itertuples(index=False):
            # Not for what is no plain file: to open a pipe would wait for ever.
            if len(tiles) >= SHOWN or not (audit.root / path).is_file():
                continue
            other = _other(detail, audit)
            if other and frozenset((path, other)) in pairs:
                continue
            tiles.append((path, (path, detail)))
            if other:
                tiles.append((other, (other, "the other one")))
                pairs.add(frozenset((path, other)))
        more = f", the first {SHOWN} drawn" if len(part) > SHOWN else ""
        title = f"{level}: {name} ({len(part)}{more}): {KINDS[str(name)].meaning}"
        found.append((title, tiles[:SHOWN], str(level)))
    return found


def _other(detail: str, audit: "Audit") -> str:
    """The file that a detail compares with, or ""."""
    match = re.match(
        r"(?:same bytes as|looks like|mirrored copy of) (.*?)(?:, labelled .*|, in \w+)?$", detail
    )
    return match[1] if match and (audit.root / match[1]).is_file() else ""


def _height(tiles: int) -> int:
    rows = -(-tiles // COLUMNS)
    return 26 + rows * (TILE_PX + CAPTION_PX + GAP_PX) + GAP_PX


def _tile(sheet: Any, path: Path, place: tuple[int, int], caption: tuple[str, str]) -> None:
    from PIL import Image, ImageDraw

    from transferkit.data.decode import DecodePolicy, decode
    from transferkit.errors import UnreadableImage

    left, top = place
    draw = ImageDraw.Draw(sheet)
    try:
        pixels = decode(path, DecodePolicy(size_px=TILE_PX, resize="pad", background=(235, 235, 235)))
        sheet.paste(Image.fromarray(pixels), place)
    except UnreadableImage:
        draw.rectangle((left, top, left + TILE_PX, top + TILE_PX), fill=(220, 220, 220))
        draw.text((left + 14, top + TILE_PX // 2), "no picture", fill="black", font=font(12))
    for number, line in enumerate(caption):
        at = (left, top + TILE_PX + 2 + 13 * number)
        small = font(10)
        draw.text(at, _short(line, small), fill="black" if number == 0 else (90, 90, 90), font=small)


def _short(line: str, font: Any) -> str:
    """A line that fits under a tile; the end of a path says more than its beginning."""
    line = visible(line)
    if font.getlength(line) <= TILE_PX:
        return line
    at_front = "/" in line
    while line and font.getlength(f"…{line}") > TILE_PX:
        line = line[1:] if at_front else line[:-1]
    return f"…{line}" if at_front else f"{line}…"


def font(size: int) -> Any:
    """DejaVu, which has most letters and comes with matplotlib."""
    from matplotlib import font_manager
    from PIL import ImageFont

    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)
