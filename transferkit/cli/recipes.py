"""`transferkit recipes`: the recipes that come with transferkit, and every key of one."""

import click

from transferkit.cli.tables import echo_table
from transferkit.recipe import KNOBS, recipe_file, recipe_names

EXAMPLE = "\b\nExamples:\n  transferkit recipes\n  transferkit recipes quickstart > mine.yaml"


@click.command(epilog=EXAMPLE)
@click.argument("name", required=False)
@click.option("--keys", is_flag=True, help="List every key with its default and what is allowed.")
def recipes(name: str | None, keys: bool) -> None:
    """List the recipes, or print one."""
    if keys:
        echo_table(("key", "default", "meaning"), [_key(key) for key in KNOBS], left=3)
    elif name is not None:
        click.echo(recipe_file(name).read_text(encoding="utf-8"), nl=False)
    else:
        echo_table(("recipe", "for"), [(each, _purpose(each)) for each in recipe_names()], left=2)


def _purpose(name: str) -> str:
    """The first comment line of a recipe."""
    first = recipe_file(name).read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("#").strip()


def _key(key: str) -> tuple[str, str, str]:
    told, default = KNOBS[key].metadata, KNOBS[key].default
    allowed = f" [{'|'.join(told['choices'])}]" if told["choices"] else ""
    if told["low"] is not None:
        numbers = f"{told['low']:g} to {told['high']:g}"
        allowed = f" [{' or '.join([numbers, *told['words']])}]"
    shown = "-" if default is None else str(default).lower() if isinstance(default, bool) else str(default)
    return key, shown, told["help"] + allowed
