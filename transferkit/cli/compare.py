"""`transferkit compare`: whether one run is better than another, or only luckier."""

import json
from dataclasses import asdict

import click

from transferkit.cli.pages import page_file
from transferkit.cli.tables import echo_table
from transferkit.printable import shown, told

EXAMPLE = """\b
Examples:
  transferkit compare runs/pets-1 runs/pets-2
  transferkit compare runs/pets-1 runs/pets-2 runs/pets-3 --out compared.html"""


@click.command(epilog=EXAMPLE)
@click.argument("runs", nargs=-1, required=True)
@click.option("--out", metavar="FILE.html", help="Write a page with the table and accuracy against cost.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def compare(runs: tuple[str, ...], out: str | None, as_json: bool) -> None:
    """Compare RUNS with the first of them, on the test images that all of them judged."""
    from transferkit.api.comparing import compare as run_compare
    from transferkit.reports import comparison

    target = page_file(out) if out else None
    found = run_compare(runs)
    if target:
        target.write_text(comparison.page(found), encoding="utf-8", errors="replace")
    if as_json:
        click.echo(json.dumps(asdict(found), ensure_ascii=False))
        return
    click.echo(told(comparison.caption(found)))
    cells = [[shown(str(getattr(one, "text", one))) for one in row] for row in comparison.rows(found)]
    echo_table(comparison.HEADER, cells, left=7)
    if out:
        click.echo(f"page: {out}")
