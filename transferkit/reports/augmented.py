"""A contact sheet of images and of what a policy makes of them."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from transferkit.reports.sheet import font

TILE_PX = 128
GAP_PX = 6
TITLE_PX = 24
LINE_PX = 17


def draw_augmented(
    originals: np.ndarray, versions: np.ndarray, *, title: str, lines: Sequence[str], target: Path
) -> None:
    """Draw a PNG: a row for each image, first as it is, then changed; the policy's steps under it.

    Args:
        originals: uint8 `(n, S, S, 3)`.
        versions: uint8 `(n, V, S, S, 3)`.
        title: above all.
        lines: written under all, wrapped.
        target: the file; written aside and renamed.
    """
    from PIL import Image, ImageDraw

    columns = versions.shape[1] + 1
    step = TILE_PX + GAP_PX
    # Between what is given and what is made of it.
    apart = 2 * GAP_PX
    width = columns * step + apart + GAP_PX
    wrapped = [part for line in lines for part in textwrap.wrap(line, width // 8, subsequent_indent="    ")]
    height = TITLE_PX + len(originals) * step + GAP_PX + LINE_PX * len(wrapped) + GAP_PX
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP_PX, 4), title, fill="black", font=font(14))
    for row, (original, changed) in enumerate(zip(originals, versions, strict=True)):
        for column, pixels in enumerate([original, *changed]):
            tile = Image.fromarray(pixels).resize((TILE_PX, TILE_PX), Image.Resampling.BICUBIC)
            sheet.paste(tile, (GAP_PX + column * step + apart * (column > 0), TITLE_PX + row * step))
    top = TITLE_PX + len(originals) * step + GAP_PX
    for number, line in enumerate(wrapped):
        draw.text((GAP_PX, top + number * LINE_PX), line, fill="black", font=font(12))
    aside = target.with_name(f".{target.name}.writing")
    sheet.save(aside, format="PNG")
    aside.rename(target)
