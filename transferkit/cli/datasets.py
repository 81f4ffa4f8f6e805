"""`transferkit datasets`: the public data sets, and how to get one."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from transferkit.data.public import Card

HEADER = ("name", "images", "classes", "size", "licence", "matrix", "top-1", "cached")


# "\b" keeps click from joining the lines that follow it.
LIST_EXAMPLE = "\b\nExample:\n  transferkit datasets\n  transferkit datasets fetch hymenoptera"
FETCH_EXAMPLE = "\b\nExample:\n  transferkit finetune $(transferkit datasets fetch hymenoptera)"


@click.group(invoke_without_command=True, epilog=LIST_EXAMPLE)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def datasets(context: click.Context, as_json: bool) -> None:
    """List the public data sets, or fetch one.

    The column top-1 is the best published accuracy on the card; --json says whose it is.
    """
    if context.invoked_subcommand:
        return
    from transferkit.cache import cache_root
    from transferkit.data.public import cached_folder, cards

    known = [(card, cached_folder(card.name, cache=cache_root())) for card in cards()]
    click.echo(_json(known) if as_json else _table(known))


@datasets.command(epilog=FETCH_EXAMPLE)
@click.argument("name")
@click.option("--url", help="Another address of the archive: a mirror, or file:///PATH.")
def fetch(name: str, url: str | None) -> None:
    """Bring the data set NAME into the cache and print its folder.

    A download that was cut goes on where it stopped, and a known checksum is compared.
    """
    from transferkit.api import fetch_dataset

    click.echo(fetch_dataset(name, url=url))


def _json(known: "list[tuple[Card, Path | None]]") -> str:
    entries = [
        asdict(card) | {"cell": card.cell, "cached": str(folder) if folder else None}
        for card, folder in known
    ]
    return json.dumps(entries, indent=2)


def _table(known: "list[tuple[Card, Path | None]]") -> str:
    rows = [HEADER, *(_row(card, folder) for card, folder in known)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(card: "Card", folder: Path | None) -> tuple[str, ...]:
    return (
        card.name,
        str(card.images),
        str(card.classes),
        f"{card.bytes / 1e6:.0f} MB" if card.bytes else "none",
        card.licence,
        card.cell,
        f"{max(one.top1 for one in card.expected):.3f}" if card.expected else "",
        "yes" if folder else "no",
    )
