"""`transferkit evaluate`: how well a run does on other labelled images."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from transferkit.cli.floor import check_asked, check_floor
from transferkit.errors import UsageError
from transferkit.evaluation import VIEWS
from transferkit.printable import shown, visible

if TYPE_CHECKING:
    from transferkit.api.evaluating import Evaluation

LISTED = 10
EXAMPLE = "\b\nExample:\n  transferkit evaluate runs/pets-1 new-photos/ --map kitten=cat"


@click.command(epilog=EXAMPLE)
@click.argument("run")
@click.argument("data")
@click.option(
    "--map",
    "renames",
    multiple=True,
    metavar="OLD=NEW",
    help="The data's class OLD is the run's NEW.",
)
@click.option("--allow-missing", is_flag=True, help="Accept data without some of the run's classes.")
@click.option("--split", metavar="NAME", help="Only the folder's train, val or test part.")
@click.option("--exclude", metavar="FILE", help="Text or CSV file with paths to leave out.")
@click.option("--predictions", metavar="FILE", help="Write a CSV row for every image.")
@click.option(
    "--views",
    type=click.Choice(VIEWS),
    default="none",
    show_default=True,
    help="Crops of each image whose logits are averaged: itself and its mirror, 10 crops, or these at 5 "
    "sizes. The gain is told with its interval.",
)
@click.option(
    "--unknown", metavar="DATA", help="Images of none of the classes: how well they are told apart."
)
@click.option("--min-top1", type=float, metavar="X", help="Exit with 1 where top-1 is below, 0 to 1.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, gpu or gpu:N.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def evaluate(
    run: str,
    data: str,
    renames: tuple[str, ...],
    allow_missing: bool,
    split: str | None,
    exclude: str | None,
    predictions: str | None,
    views: str,
    unknown: str | None,
    min_top1: float | None,
    device: str,
    as_json: bool,
) -> None:
    """Evaluate a RUN on labelled images.

    The classes of DATA are joined with those of the run by name, never by position.
    """
    from transferkit.api import evaluate as run_evaluate
    from transferkit.runs import Run, write_csv

    opened = Run.open(run)
    check_asked(min_top1, opened.multilabel)
    if predictions and not Path(predictions).absolute().parent.is_dir():
        raise UsageError(f"--predictions {predictions}: no such folder.")
    found = run_evaluate(
        opened,
        data,
        renames=_pairs(renames, opened.labels),
        allow_missing=allow_missing,
        split=split,
        exclude=exclude,
        device=device,
        views=views,
        unknown=unknown,
    )
    if predictions:
        write_csv(Path(predictions), found.predictions)
    if as_json:
        click.echo(json.dumps(_document(found), ensure_ascii=False))
    else:
        _tell(found)
    check_floor(min_top1, getattr(found.metrics, "top1", None), "these images")


def _document(found: "Evaluation") -> dict[str, Any]:
    document: dict[str, Any] = {
        "metrics": found.metrics.as_dict(),
        "failed": found.failed,
        "seen": found.seen,
    }
    if found.plain and found.gain:
        told = {"views": found.views, "passes": found.passes, "gain": asdict(found.gain)}
        document |= told | {"plain_metrics": found.plain.as_dict()}
    if found.unknown:
        document["unknown"] = found.unknown.as_dict()
    return document


def _tell(found: "Evaluation") -> None:
    from transferkit.reports import evaluated

    for line in evaluated.lines(found):
        click.echo(line)
    for path, reason in list(found.failed.items())[:LISTED]:
        click.echo(f"left out: {shown(path)}: {visible(reason)}", err=True)
    if len(found.failed) > LISTED:
        click.echo(f"and {len(found.failed) - LISTED} more; --json has all of them", err=True)


def _pairs(renames: tuple[str, ...], labels: Sequence[str]) -> dict[str, str]:
    """OLD -> NEW; a sign in a name is told from that between them by what the run's classes are called."""
    pairs = {}
    for rename in renames:
        places = [at for at, letter in enumerate(rename) if letter == "="]
        splits = [(rename[:at], rename[at + 1 :]) for at in places if rename[:at] and rename[at + 1 :]]
        if not splits:
            raise UsageError(f"--map {rename}: OLD=NEW is needed, such as kitten=cat.")
        old, new = next((pair for pair in splits if pair[1] in labels), splits[0])
        pairs[old] = new
    return pairs
