"""Plain tables for the terminal."""

from collections.abc import Sequence

import click

# Letters of many scripts, and emoji, are shaped by these.
JOINERS = "\u200c\u200d"


def echo_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> None:
    """Print a table with aligned columns.

    Args:
        header: of the columns.
        rows: cells as text.
        left: columns from the left that are aligned left; the rest, numbers, is aligned right.
    """
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    for row in (header, *rows):
        cells = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())


def shown(text: str, limit: int = 80) -> str:
    """A name on one line: what does not print is written as an escape, a long middle left out."""
    line = "".join(
        letter if letter.isprintable() or letter in JOINERS else repr(letter)[1:-1] for letter in text
    )
    half = (limit - 1) // 2
    return line if len(line) <= limit else f"{line[:half]}…{line[-half:]}"
