"""`transferkit finetune`: from a folder of images to a reported classifier."""

import json
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from transferkit.cli.floor import check_floor
from transferkit.cli.options import recipe_options
from transferkit.errors import UsageError
from transferkit.printable import told
from transferkit.recipe import Recipe

if TYPE_CHECKING:
    from transferkit.runs import Run

EXAMPLE = """\b
Examples:
  transferkit finetune photos/
  transferkit finetune photos/ --backbone resnet50 --strategy finetune-top
  transferkit finetune digits --recipe quickstart --out runs/digits
  transferkit finetune --resume runs/photos-1"""
INTERRUPTED = 130  # as a shell tells of SIGINT


@click.command(epilog=EXAMPLE)
@click.argument("data", required=False)
@recipe_options
@click.option("--out", metavar="DIR", help="The run folder [default: runs/NAME-N].")
@click.option("--overwrite", is_flag=True, help="Replace the run in --out.")
@click.option("--resume", metavar="RUN", help="Go on with a run that was stopped; takes no DATA.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def finetune(
    data: str | None, recipe: Recipe, out: str | None, overwrite: bool, resume: str | None, as_json: bool
) -> None:
    """Train a classifier on DATA and report how good it is.

    DATA is a folder with one sub-folder of images for each class (or train/, val/ and test/ with
    such folders), a .zip or .tar.gz of one, a CSV or Parquet table with columns path and label (and
    perhaps split, group; labels joined by | are several), or the name of a public data set.

    Ctrl-C ends the training after the step and reports what is best so far, with exit status 130; twice
    stops at once. --resume goes on with a run that was stopped in whatever way.
    """
    if resume is not None:
        run = _resumed(resume)
    elif data is None:
        raise UsageError(
            "DATA is missing: a folder of images, a table, an archive or the name of a data set."
        )
    else:
        from transferkit.api import finetune as run_finetune

        run = run_finetune(data, recipe, out=out, overwrite=overwrite)
    _tell(run, as_json)
    if run.interrupted:
        click.echo(f"interrupted; to go on: transferkit finetune --resume {told(str(run.folder))}", err=True)
        raise click.exceptions.Exit(INTERRUPTED)
    if run.recipe.min_top1 is not None:
        splits = run.metrics["splits"]
        split = "test" if "test" in splits else "val"
        whose = split if split == "test" else "val, which chose the model (there is no test part),"
        check_floor(run.recipe.min_top1, splits[split].get("top1"), whose)


def _resumed(name: str) -> "Run":
    """The run gone on with, if nothing is asked that would make another run of it."""
    context = click.get_current_context()
    given = [
        one for one in context.params if context.get_parameter_source(one) is ParameterSource.COMMANDLINE
    ]
    options = {one.name: one.opts[0] for one in context.command.params}
    other = [str(options[one]) for one in given if one not in ("resume", "device", "as_json")]
    if other:
        raise UsageError(
            f"--resume takes DATA, recipe and folder from the unfinished run; leave out {', '.join(other)}. "
            "Allowed beside it: --device, --json."
        )
    from transferkit.api import resume

    return resume(name, device=context.params.get("device"))


def _tell(run: "Run", as_json: bool) -> None:
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
        click.echo(f"report: {told(str(run.folder / 'report.html'))}")
        return
    for name, split in metrics["splits"].items():
        low, high = split["top1_ci95"]
        linear = metrics["linear_top1"][name]
        click.echo(
            f"{name}: top-1 {split['top1']:.1%} (95% {low:.1%} to {high:.1%}, n={split['n']}); "
            f"linear classifier {linear:.1%}, majority {metrics['majority_top1'][name]:.1%}"
        )
    click.echo(f"report: {told(str(run.folder / 'report.html'))}")
