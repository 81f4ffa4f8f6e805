"""`transferkit finetune`: from a folder of images to a reported classifier."""

import json

import click

from transferkit.cli.options import recipe_options
from transferkit.recipe import Recipe

EXAMPLE = """\b
Examples:
  transferkit finetune photos/
  transferkit finetune photos/ --backbone resnet50 --strategy finetune-top
  transferkit finetune digits --recipe quickstart --out runs/digits"""


@click.command(epilog=EXAMPLE)
@click.argument("data")
@recipe_options
@click.option("--out", metavar="DIR", help="The run folder [default: runs/NAME-N].")
@click.option("--overwrite", is_flag=True, help="Replace the run in --out.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def finetune(data: str, recipe: Recipe, out: str | None, overwrite: bool, as_json: bool) -> None:
    """Train a classifier on DATA and report how good it is.

    DATA is a folder with one sub-folder of images for each class (or train/, val/ and test/ with
    such folders), a .zip or .tar.gz of one, a CSV or Parquet table with columns path and label (and
    perhaps split, group; labels joined by | are several), or the name of a public data set.
    """
    from transferkit.api import finetune as run_finetune

    run = run_finetune(data, recipe, out=out, overwrite=overwrite)
    metrics = run.metrics
    if as_json:
        strategy = run.plan["strategy"]
        document = {"run": str(run.folder), "strategy": strategy, "metrics": metrics}
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    if run.multilabel:
        for name, split in metrics["splits"].items():
            click.echo(
                f"{name}: mAP {split['map']:.3f} (n={split['n']}); linear classifier "
                f"{metrics['linear_map'][name]:.3f}, constant answer {metrics['baseline_map'][name]:.3f}"
            )
        click.echo(f"report: {run.folder / 'report.md'}")
        return
    for name, split in metrics["splits"].items():
        low, high = split["top1_ci95"]
        linear = metrics["linear_top1"][name]
        click.echo(
            f"{name}: top-1 {split['top1']:.1%} (95% {low:.1%} to {high:.1%}, n={split['n']}); "
            f"linear classifier {linear:.1%}, majority {metrics['majority_top1'][name]:.1%}"
        )
    click.echo(f"report: {run.folder / 'report.md'}")
