"""Markdown text from values that may hold anything, such as the names of files and folders."""

import re
from collections.abc import Iterable, Sequence

from transferkit.printable import visible

NAME_LIMIT = 60  # characters of a class name in a table; labels.json has it whole
LISTED_CLASSES = 30  # beyond, tables show some of the classes only

# Letters that Markdown, HTML inside it, or the formulas of some viewers would read as their own.
# An underscore inside a word is plain text and stays, since most class names have one.
_SPECIAL = re.compile(r"[\\|*\[\]~$#&<>`]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])")
_LINKS = re.compile(r"(?i)\b(?:https?|ftp):|\bwww\.|(?<=\w)@")
# A backslash before these is not enough for every viewer.
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "&#96;"}


def text(value: object, limit: int | None = None) -> str:
    """The value as one line of Markdown that reads exactly as it is, also inside a table.

    Letters that cannot be printed, line breaks and halves of a broken encoding among them, become
    spaces or `?`; with a `limit`, a longer text is cut to so many characters and ends with "…".
    """
    line = visible(value)
    if limit is not None and len(line) > limit:
        line = line[: limit - 1] + "…"
    line = _SPECIAL.sub(lambda match: _ENTITIES.get(match[0], "\\" + match[0]), line)
    # GitHub makes links of these by itself.
    return _LINKS.sub(lambda match: match[0][:-1] + f"&#{ord(match[0][-1])};", line)


def clause(sentence: object) -> str:
    """A sentence as `text` without its full stop, to go on with."""
    return text(sentence).rstrip(".")


def name(value: object) -> str:
    """A class name, as `text`, cut to NAME_LIMIT characters."""
    return text(value, NAME_LIMIT)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """A Markdown table of cells that are Markdown already.

    Args:
        header: the column names.
        rows: as many cells each.
        numbers: how many columns, counted from the right, hold numbers and are aligned right.
    """
    rules = ["---"] * (len(header) - numbers) + ["---:"] * numbers
    lines = [header, rules, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(fraction: float) -> str:
    """A fraction 0..1 as a percentage with one digit after the point."""
    return f"{100 * fraction:.1f} %"
