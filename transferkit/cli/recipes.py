"""`transferkit recipes`: the recipes that come with transferkit, and every key of one."""

import json
from typing import Any

import click

from transferkit.cli.tables import echo_table
from transferkit.errors import UsageError, nearest_first
from transferkit.recipe import KNOBS, load_recipe, recipe_file, recipe_names

EXAMPLE = """\b
Examples:
  transferkit recipes
  transferkit recipes show quickstart > mine.yaml
  transferkit recipes diff similar-little runs/photos-1
  transferkit recipes --schema > recipe.schema.json"""


@click.command(epilog=EXAMPLE)
@click.argument("words", nargs=-1, metavar="[[show] NAME | diff A B]")
@click.option("--keys", is_flag=True, help="List every key with its default and what is allowed.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of recipes, for editors.")
def recipes(words: tuple[str, ...], keys: bool, schema: bool) -> None:
    """List the recipes, print one, or tell two apart.

    A recipe is one of the list, a YAML file, or a run, whose recipe.yaml is taken. diff compares with the
    defaults filled in.
    """
    if keys:
        echo_table(("key", "default", "meaning"), [_key(key) for key in KNOBS], left=3)
    elif schema:
        from transferkit.recipe.schema import recipe_schema

        click.echo(json.dumps(recipe_schema(), indent=1))
    elif not words:
        echo_table(("recipe", "for"), [(each, _purpose(each)) for each in recipe_names()], left=2)
    elif words[0] == "diff":
        if len(words) != 3:
            raise UsageError(
                "recipes diff needs two recipes, such as: recipes diff similar-little runs/photos-1"
            )
        _differ(words[1], words[2])
    else:
        names = words[1:] if words[0] == "show" else words
        if len(names) != 1:
            near = ", ".join(nearest_first(words[0], ["show", "diff", *recipe_names()])[:3])
            raise UsageError(f"recipes {' '.join(words)}: one recipe is needed. Nearest: {near}.")
        click.echo(recipe_file(names[0]).read_text(encoding="utf-8"), nl=False)


def _differ(first: str, second: str) -> None:
    one, other = (load_recipe(name, {}).as_dict() for name in (first, second))
    rows = [(key, _shown(one[key]), _shown(other[key])) for key in one if one[key] != other[key]]
    if rows:
        echo_table(("key", first, second), rows, left=3)
    else:
        click.echo(f"{first} and {second} ask for the same.")


def _purpose(name: str) -> str:
    """The first comment line of a recipe."""
    first = recipe_file(name).read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("#").strip()


def _shown(value: Any) -> str:
    """A value as YAML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "-" if value is None else str(value)


def _key(key: str) -> tuple[str, str, str]:
    told = KNOBS[key].metadata
    allowed = f" [{'|'.join(told['choices'])}]" if told["choices"] else ""
    if told["low"] is not None:
        numbers = f"{told['low']:g} to {told['high']:g}"
        allowed = f" [{' or '.join([numbers, *told['words']])}]"
    return key, _shown(KNOBS[key].default), told["help"] + allowed
