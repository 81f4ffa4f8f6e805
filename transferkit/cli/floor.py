"""`--min-top1`: a floor under the result, for CI."""

import click

from transferkit.errors import UsageError


def check_asked(floor: float | None, multilabel: bool) -> None:
    """Refuse a floor that cannot be one, before any work.

    Raises:
        UsageError: it is below 0 or above 1, or images have several classes.
    """
    if floor is not None and not 0 <= floor <= 1:
        raise UsageError(f"--min-top1 {floor:g} is not allowed; a share from 0 to 1 is needed, such as 0.9.")
    if floor is not None and multilabel:
        raise UsageError(
            "--min-top1 says nothing here: images of several classes have no top-1. Leave it out; mAP is in "
            "what --json gives."
        )


def check_floor(floor: float | None, reached: float | None, split: str) -> None:
    """End with 1, and say so, where top-1 is below the floor.

    Args:
        floor: a share; None for none.
        reached: top-1; None where images have several classes.
        split: whose top-1 it is, in words.

    Raises:
        UsageError: see `check_asked`.
    """
    check_asked(floor, reached is None)
    if floor is not None and reached is not None and reached < floor:
        click.echo(f"top-1 {reached:.4f} of {split} is below the floor of {floor:g} (--min-top1)", err=True)
        raise click.exceptions.Exit(1)
