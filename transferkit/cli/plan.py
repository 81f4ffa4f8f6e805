"""`transferkit plan`: decide and show, train nothing."""

import json
import shlex
import shutil

import click

from transferkit.cli.options import FLAGS, recipe_options
from transferkit.recipe import Recipe

EXAMPLE = """\b
Examples:
  transferkit plan photos/
  transferkit plan photos/ --similarity different --time-limit 10"""


@click.command(epilog=EXAMPLE)
@click.argument("data")
@recipe_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def plan(data: str, recipe: Recipe, as_json: bool) -> None:
    """Show how DATA would be trained on, why, and what it would cost; train nothing.

    Features of all images are computed, as the decision needs them; finetune then finds them ready.
    """
    from transferkit.api import plan as make_plan
    from transferkit.reports import panel

    found = make_plan(data, recipe)
    if as_json:
        click.echo(json.dumps(found.as_dict(), ensure_ascii=False))
        return
    width = min(100, max(72, shutil.get_terminal_size((100, 24)).columns))
    text = panel.render(found.plan, found.estimate, data=data, width=width)
    lit = panel.lit(found.plan)
    click.echo(text.replace(lit, click.style(lit, bold=True), 1))
    click.echo(f"\nNext: {command_for(data, recipe)}")


def command_for(data: str, recipe: Recipe) -> str:
    """The `finetune` command of a recipe: what differs from the defaults is stated."""
    words = ["transferkit", "finetune", data]
    default = Recipe().as_dict()
    for key, value in recipe.as_dict().items():
        if value == default[key]:
            continue
        if isinstance(value, list):  # steps of a policy, which no option takes
            words += ["--set", f"{key}={json.dumps(value)}"]
            continue
        if value is True:
            words.append(f"--{key.replace('_', '-')}")
            continue
        words += [f"--{key.replace('_', '-')}", f"{value}"] if key in FLAGS else ["--set", f"{key}={value}"]
    return shlex.join(words)
