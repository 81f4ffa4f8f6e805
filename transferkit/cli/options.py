"""Options that come from the recipe: stated there once, offered here."""

import functools
from collections.abc import Callable
from typing import Any

import click

from transferkit.recipe import KNOBS, load_recipe, parse_settings


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--recipe`, `--set` and every flag of the recipe; the command gets a `Recipe`.

    An option that is given wins over the recipe file, and that over the default.
    """

    @functools.wraps(command)  # carries the options that stand below this one
    def with_recipe(**arguments: Any) -> Any:
        given = {name: arguments.pop(name) for name in FLAGS}
        values = {name: value for name, value in given.items() if value is not None}
        values = parse_settings(arguments.pop("settings")) | values
        return command(recipe=load_recipe(arguments.pop("recipe_name"), values), **arguments)

    decorated: Callable[..., Any] = with_recipe
    for name in reversed(FLAGS):
        decorated = _option(name)(decorated)
    decorated = click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Any key of the recipe, such as epochs=20; 'transferkit recipes --keys' lists them.",
    )(decorated)
    return click.option(
        "--recipe",
        "recipe_name",
        metavar="NAME|FILE",
        help="Start from a recipe; options win over it.",
    )(decorated)


FLAGS = [name for name, knob in KNOBS.items() if knob.metadata["flag"]]


def _option(name: str) -> Callable[..., Any]:
    told, default = KNOBS[name].metadata, KNOBS[name].default
    choices = f" [{'|'.join(told['choices'])}]" if told["choices"] else ""
    shown = "" if default is None else f" [default: {default}]"
    flag = f"--{name.replace('_', '-')}"
    if told["kind"] is bool:
        return click.option(flag, name, is_flag=True, default=None, help=told["help"])
    metavar = {int: "N", float: "X"}.get(told["kind"], "TEXT")
    return click.option(flag, name, default=None, metavar=metavar, help=told["help"] + choices + shown)
