"""`transferkit augment`: see what a policy does to images before training with it."""

from pathlib import Path

import click

from transferkit.cli.options import recipe_options
from transferkit.cli.tables import echo_table
from transferkit.errors import UsageError
from transferkit.recipe import Recipe

EXAMPLE = """\b
Examples:
  transferkit augment photos/ --policy standard --sheet sheet.png
  transferkit augment photos/ --policy auto --sheet sheet.png
  transferkit augment --steps"""


@click.command(epilog=EXAMPLE)
@click.argument("data", required=False)
@click.option("--policy", metavar="NAME|FILE", help="A policy, auto, or a YAML file of steps; as --augment.")
@click.option("--sheet", metavar="FILE.png", help="Where the contact sheet is written.")
@click.option("--steps", is_flag=True, help="List all policies, steps and their parameters.")
@recipe_options
def augment(data: str | None, policy: str | None, sheet: str | None, steps: bool, recipe: Recipe) -> None:
    """Draw some images of DATA beside what a policy makes of them; train nothing."""
    if steps:
        _list()
        return
    if not data or not sheet:
        missing = " and ".join([*([] if data else ["DATA"]), *([] if sheet else ["--sheet FILE.png"])])
        raise UsageError(
            f"missing: {missing}. augment needs DATA and --sheet FILE.png; or --steps, which lists what "
            "there is."
        )
    target = Path(sheet)
    _check(target, policy, recipe)
    if policy:
        recipe = recipe.updated({"augment": policy}, "--policy")
    from transferkit.api.augmented import augment as make

    found = make(data, recipe)
    found.save(target)
    for line in found.lines:
        click.echo(line)
    click.echo(f"sheet: {sheet}")


def _check(target: Path, policy: str | None, recipe: Recipe) -> None:
    from transferkit.api.augmented import check_sheet

    check_sheet(target, "--sheet ")
    default = Recipe().augment
    if policy and recipe.augment not in (default, policy):
        told = f"--policy {policy} and --augment {recipe.augment} say two things"
        raise UsageError(f"{told}; give one of them.")
    if not policy and recipe.augment == default:
        raise UsageError(
            "give --policy NAME, such as standard; 'transferkit augment --steps' lists what there is."
        )


def _list() -> None:
    from transferkit.data.augment.catalogue import STEPS
    from transferkit.data.augment.policy import load_policy, policy_names, shown

    rows = [(name, "; ".join(map(str, load_policy(name).steps)) or "-") for name in policy_names()]
    rows.append(("auto", "one of these by the matrix, without what the images do not bear (measured)"))
    echo_table(("policy", "steps"), rows, left=2)
    click.echo("\nSteps, each with its parameters (default; allowed). Every step takes a probability too.")
    for name, spec in STEPS.items():
        chance = f" (probability {spec.probability:g})" if spec.probability < 1 else ""
        click.echo(f"{name}{chance}: {spec.summary}")
        for key, parameter in spec.parameters.items():
            click.echo(f"    {key}: {shown(parameter.default)}; {parameter.rule}")
    click.echo(
        "\nLayers of keras-cv and Keras are steps too, such as keras_cv.GridMask: {ratio_factor: 0.3}."
    )
