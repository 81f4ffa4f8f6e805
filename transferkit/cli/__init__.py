"""The command line: a guest of the library. Nothing here imports Keras before a command must."""

import logging
import os
import warnings
from typing import Any

import click

from transferkit import progress
from transferkit._version import __version__
from transferkit.allocation import keep_memory
from transferkit.cli.augment import augment
from transferkit.cli.backbones import backbones
from transferkit.cli.compare import compare
from transferkit.cli.datasets import datasets
from transferkit.cli.evaluate import evaluate
from transferkit.cli.explain import explain
from transferkit.cli.finetune import finetune
from transferkit.cli.inspect import inspect
from transferkit.cli.plan import plan
from transferkit.cli.predict import predict
from transferkit.cli.recipes import recipes
from transferkit.cli.report import report
from transferkit.cli.weights import weights
from transferkit.errors import TransferkitError
from transferkit.printable import told


class _Failure(click.ClickException):
    """An error of the library as click shows it: one message, its exit code, no traceback."""

    @classmethod
    def of(cls, error: TransferkitError) -> "_Failure":
        """The failure with that error's message and exit code."""
        kind: type[_Failure] = type("Failure", (cls,), {"exit_code": error.exit_code})
        return kind(told(str(error)))


class _Group(click.Group):
    """Turns the library's errors into messages, in one place."""

    def invoke(self, context: click.Context) -> Any:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        progress.show()
        # What Pillow has to say of a file, it says again as an error where it matters.
        warnings.filterwarnings("ignore", module="PIL")
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        try:
            return super().invoke(context)
        except TransferkitError as error:
            raise _Failure.of(error) from error
        except KeyboardInterrupt as error:
            # click would end with 1, as if the work had failed.
            raise click.exceptions.Exit(130) from error


EXAMPLE = "\b\nExample:\n  transferkit finetune photos/\n  transferkit predict runs/photos-1 new.jpg"


@click.group(cls=_Group, epilog=EXAMPLE)
@click.version_option(__version__, prog_name="transferkit")
def cli() -> None:
    """The best image classifier that a folder of photos allows.

    Progress goes to stderr, results to stdout. Exit status: 0 done, 1 the work failed, 2 wrong usage,
    130 stopped by Ctrl-C.
    """


COMMANDS = (
    finetune, plan, inspect, augment, evaluate, predict, explain, compare, report,
    backbones, recipes, weights, datasets,
)  # fmt: skip
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """The entry point `transferkit`: the process is ours."""
    keep_memory()
    cli()
