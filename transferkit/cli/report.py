"""`transferkit report`: the pages of a run, made again from its numbers."""

import click

EXAMPLE = "\b\nExample:\n  transferkit report runs/pets-1"


@click.command(epilog=EXAMPLE)
@click.argument("run")
def report(run: str) -> None:
    """Write report.html, report.md and the figures of a RUN anew, from report.json and pictures/."""
    from transferkit.api.rereporting import report as make

    click.echo(f"report: {make(run)}")
