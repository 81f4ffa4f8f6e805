"""Tables for the HTML page: plain values in rows; the template escapes them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from transferkit.printable import visible


@dataclass(frozen=True)
class Cell:
    """One place of a table.

    Attributes:
        text: as it is shown.
        value: what it is sorted by, where that is a number; None sorts by the text.
        link: id that it leads to, or "".
    """

    text: str
    value: float | None = None
    link: str = ""


@dataclass(frozen=True)
class Row:
    """A row, with an id that figures lead to, or ""."""

    cells: tuple[Cell, ...]
    id: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its header; `caption` where the template has none of its own."""

    header: Sequence[str] = ()
    rows: Sequence[Row] = field(default_factory=tuple)
    caption: str = ""


def cell(value: Any, shown: str | None = None, link: str = "") -> Cell:
    """A cell; numbers are sorted as numbers."""
    number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    return Cell(visible(value if shown is None else shown), number, link)


def share(value: float | None) -> Cell:
    """A fraction 0..1 as a percentage."""
    return cell("", "") if value is None else cell(value, f"{100 * value:.1f} %")


def fraction(value: float | None) -> Cell:
    """A number with three digits."""
    return cell("", "–") if value is None else cell(value, f"{value:.3f}")


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> Table:
    """A table of values, each a `Cell` or anything that can be shown."""
    made = [Row(tuple(one if isinstance(one, Cell) else cell(one) for one in row)) for row in rows]
    return Table(header, made, caption)
