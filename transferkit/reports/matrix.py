"""The confusion matrix as SVG, readable from two classes to hundreds."""

import math

from transferkit.printable import visible
from transferkit.reports.figures import Confusion
from transferkit.reports.svg import drawing, tag, words

# Side of a cell in pixels: the most, and of the whole matrix at the most; where there are more classes than
# names at the columns it scrolls sideways on most screens, so that a name of each row can be read.
CELL, MOST, MANY = 46, 760, 880
# Cells hold their number up to so many classes; names stand at the columns too up to so many.
COUNTED, NAMED_BOTH = 15, 40
NAME_LIMIT = 22


def confusion(info: Confusion) -> str:
    """A square for each pair of classes that occurs, the fuller the larger its share of the true class.

    Squares have their words as a title, so that any of them can be asked with a mouse; the page has all pairs
    as a table for everybody else.
    """
    count = len(info.names)
    cell = max(2.0, min(CELL, (MOST if count <= NAMED_BOTH else MANY) / count))
    size = max(8.0, min(12.0, cell * 0.9))
    names = [_short(name) for name in info.names]
    left = 34 + max(map(len, names)) * size * 0.58
    below = left - 16 if count <= NAMED_BOTH else 36
    side = cell * count
    parts = [
        tag("rect", class_="axis", x=left, y=30, width=side, height=side),
        words(left + side / 2, 18, f"predicted, {info.split}", anchor="middle", kind="dim"),
        words(14, 30 + side / 2, "true", anchor="middle", kind="dim", turn=-90),
    ]
    for row, counts in enumerate(info.counts):
        for column, images in enumerate(counts):
            if images:
                parts.append(_cell(info, (row, column), (left, 30.0), cell))
    parts += _names(names, cell, (left, 30.0), size)
    return drawing(
        left + side + 12, 30 + side + below, parts, title="Confusion matrix", description=_told(info)
    )


def _cell(info: Confusion, place: tuple[int, int], origin: tuple[float, float], cell: float) -> str:
    row, column = place
    images, share = info.counts[row][column], info.shares[row][column]
    x, y = origin[0] + column * cell, origin[1] + row * cell
    what = "right" if row == column else f"taken for {info.names[column]}"
    title = tag("title", _escaped(f"{info.names[row]}: {images} {what}, {share:.0%}"))
    shade = {"fill": "var(--full)", "fill_opacity": round(0.08 + 0.92 * share, 3)}
    gap = 0.5 if cell < 12 else 1
    parts = tag("rect", title, x=x + gap, y=y + gap, width=cell - 2 * gap, height=cell - 2 * gap, **shade)
    if len(info.names) <= COUNTED:
        at = f'x="{x + cell / 2:.1f}" y="{y + cell / 2 + 4:.1f}"'
        # Neither ink nor paper alone can be read on every shade: ink with a rim of paper can.
        parts += f'<text class="rimmed" {at} text-anchor="middle">{images}</text>'
    return parts


def _names(names: list[str], cell: float, origin: tuple[float, float], size: float) -> list[str]:
    step = max(1, math.ceil(size / cell)) if len(names) > NAMED_BOTH else 1
    parts, (left, top) = [], origin
    bottom = top + cell * len(names)
    for place, name in enumerate(names):
        middle = (place + 0.5) * cell
        if place % step == 0:
            parts.append(_sized(words(left - 6, top + middle + size / 3, name, anchor="end"), size))
        if len(names) <= NAMED_BOTH:
            at = (left + middle + size / 3, bottom + 8)
            parts.append(_sized(words(*at, name, anchor="end", turn=-90), size))
    if len(names) > NAMED_BOTH:
        told = "columns stand in the order of the rows"
        parts.append(words(left, bottom + 20, told, kind="dim small"))
    return parts


def _sized(text: str, size: float) -> str:
    return text.replace("<text ", f'<text font-size="{size:.1f}" ', 1)


def _short(name: str) -> str:
    line = visible(name)
    return line if len(line) <= NAME_LIMIT else line[: NAME_LIMIT - 1] + "…"


def _escaped(text: str) -> str:
    from html import escape

    return escape(visible(text))


def _told(info: Confusion) -> str:
    right = sum(info.counts[place][place] for place in range(len(info.names)))
    images = sum(map(sum, info.counts))
    return f"{right} of {images} images on the diagonal; the tables of confused pairs tell the rest."
