"""`transferkit predict`: what a run says of images."""

import json

import click

from transferkit.evaluation import VIEWS
from transferkit.printable import shown, visible

EXAMPLE = "\b\nExample:\n  transferkit predict runs/photos-1 new.jpg more/ > predictions.csv"


@click.command(epilog=EXAMPLE)
@click.argument("run")
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--views",
    type=click.Choice(VIEWS),
    default="none",
    show_default=True,
    help="Crops of each image whose logits are averaged.",
)
@click.option(
    "--sets",
    is_flag=True,
    help="Name the classes that hold the right one in the share of images that finetune's --target-coverage "
    "asked for (column set).",
)
@click.option(
    "--reject",
    is_flag=True,
    help="Say of each answer whether it is as sure as finetune's --target-precision needs (column accepted).",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, gpu or gpu:N.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def predict(
    context: click.Context,
    run: str,
    paths: tuple[str, ...],
    views: str,
    sets: bool,
    reject: bool,
    device: str,
    as_json: bool,
) -> None:
    """Classify images (files or folders) with a RUN; CSV on stdout.

    A file that cannot be read is named on stderr, the rest goes on, and the exit status is 1.
    """
    from transferkit.api import predict as run_predict
    from transferkit.evaluation.views import passes
    from transferkit.runs import Run

    opened = Run.open(run)
    frame, failed = run_predict(opened, paths, device=device, views=views, sets=sets, reject=reject)
    each = passes(views, int(opened.plan["image_size"]))
    if views != "none":
        click.echo(f"views: {views}, {each} forward passes an image instead of 1", err=True)
    if as_json:
        rows = frame.to_dict(orient="records")
        told = {"predictions": rows, "failed": failed, "passes": each}
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        click.echo(frame.to_csv(index=False, lineterminator="\n"), nl=False)
    for path, reason in failed.items():
        click.echo(f"{shown(path)}: no prediction: {visible(reason)}", err=True)
    if failed:
        context.exit(1)
