"""`transferkit evaluate`: how well a run does on other labelled images."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from transferkit.cli.floor import check_floor, check_range
from transferkit.cli.tables import shown
from transferkit.errors import UsageError
from transferkit.evaluation import VIEWS

if TYPE_CHECKING:
    from transferkit.api.evaluating import Evaluation
    from transferkit.evaluation.metrics import SplitMetrics
    from transferkit.evaluation.multilabel import MultiLabelMetrics
    from transferkit.evaluation.unknown import Unknown

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

    check_range(min_top1)
    if predictions and not Path(predictions).absolute().parent.is_dir():
        raise UsageError(f"--predictions {predictions}: no such folder.")
    found = run_evaluate(
        Run.open(run),
        data,
        renames=_pairs(renames),
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
    check_floor(min_top1, getattr(found.metrics, "top1", None))


def _document(found: "Evaluation") -> dict[str, Any]:
    document = {"metrics": found.metrics.as_dict(), "failed": found.failed, "seen": found.seen}
    if found.plain and found.gain:
        told = {"views": found.views, "passes": found.passes, "gain": asdict(found.gain)}
        document |= told | {"plain_metrics": found.plain.as_dict()}
    if found.unknown:
        document["unknown"] = found.unknown.as_dict()
    return document


def _tell(found: "Evaluation") -> None:
    from transferkit.evaluation.multilabel import MultiLabelMetrics

    if isinstance(found.metrics, MultiLabelMetrics):
        _show_multilabel(found.metrics)
    else:
        _show(found.metrics)
    if found.gain:
        click.echo(_gained(found))
    if found.unknown:
        click.echo(_told_apart(found.unknown))
    for path, reason in found.failed.items():
        click.echo(f"left out: {shown(path)}: {reason}", err=True)


def _told_apart(found: "Unknown") -> str:
    return (
        f"unknown images: AUROC {found.auroc:.3f} ({found.unknown} unknown, {found.known} known); where "
        "95% of the "
        f"known pass, {found.fpr95:.1%} of the unknown do (strangeness up to {found.threshold:.3f})"
    )


def _gained(found: "Evaluation") -> str:
    """What views bring and cost, in a sentence."""
    assert found.gain is not None and found.plain is not None
    points = [f"{100 * value:+.1f}" for value in (found.gain.value, found.gain.low, found.gain.high)]
    several = hasattr(found.plain, "map")
    plain = f"mAP {found.plain.map:.3f}" if several else f"top-1 {found.plain.top1:.1%}"  # type: ignore[union-attr]
    return (
        f"{found.views}: {points[0]} points (95% {points[1]} to {points[2]}) over {plain} without views, for "
        f"{found.passes} forward passes an image instead of 1"
    )


def _show(metrics: "SplitMetrics") -> None:
    low, high = metrics.top1_ci95
    click.echo(f"top-1 {metrics.top1:.1%} (95% {low:.1%} to {high:.1%}, n={metrics.n})")
    if metrics.top5_k < len(metrics.per_class):
        click.echo(f"top-5 {metrics.top5:.1%}")
    click.echo(f"log-loss {metrics.nll:.3f}, ECE {metrics.ece:.3f} (lower is better)")
    present = [row for row in metrics.per_class if row.n]
    for row in present:
        click.echo(f"  {shown(row.label)}: recall {row.recall:.1%}, precision {row.precision:.1%}, n={row.n}")
    absent = len(metrics.per_class) - len(present)
    if absent:
        click.echo(f"  ({absent} of the run's classes are not in the data)")
    else:
        click.echo(f"macro-F1 {metrics.macro_f1:.3f}, balanced accuracy {metrics.balanced_accuracy:.3f}")


def _show_multilabel(metrics: "MultiLabelMetrics") -> None:
    click.echo(
        f"mAP {metrics.map:.3f} (n={metrics.n}); an image may have several classes, so no top-1 or top-5"
    )
    click.echo(
        f"at the threshold {metrics.threshold:.3f}: macro-F1 {metrics.macro_f1:.3f}, "
        f"micro-F1 {metrics.micro_f1:.3f}, all classes right {metrics.exact_match:.1%}"
    )
    for row in metrics.per_class:
        ap = "none" if row.ap is None else f"{row.ap:.3f}"
        click.echo(f"  {shown(row.label)}: AP {ap}, F1 {row.f1:.3f}, n={row.n}")


def _pairs(renames: tuple[str, ...]) -> dict[str, str]:
    pairs = [rename.partition("=") for rename in renames]
    for old, sign, new in pairs:
        if not (old and sign and new):
            raise UsageError(f"--map {old}{sign}{new}: OLD=NEW is needed, such as kitten=cat.")
    return {old: new for old, _, new in pairs}
