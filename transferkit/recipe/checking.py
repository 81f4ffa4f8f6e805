"""What a key of the recipe may be, and values checked against it."""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from transferkit.errors import UsageError, nearest_first

AUTO = "auto"


def knob(
    default: Any,
    help: str,
    *,
    kind: type = str,
    choices: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
    auto: bool = False,
    words: tuple[str, ...] = (),
    flag: bool = False,
) -> Any:
    """A recipe field: its default and what it may be.

    `low` and `high` bound numbers (both ends allowed), `words` are allowed beside numbers, `auto` is
    one of them, `flag` makes it an option of the command line besides `--set`.
    """
    told = {"help": help, "kind": kind, "choices": choices, "low": low, "high": high}
    words = (AUTO, *words) if auto else words
    return field(default=default, metadata={**told, "words": words, "flag": flag})


def checked_value(value: Any, told: Mapping[str, Any]) -> Any:
    """A value in its right type.

    Args:
        value: as it came from YAML or the command line.
        told: of the key: `kind`, `choices`, `words`, `low` and `high`, see `knob`.

    Raises:
        UsageError: it is not allowed; says what is.
    """
    if isinstance(value, str) and value in told["words"]:
        return value
    if told["choices"]:
        return _choice(value, told["choices"])
    if told["kind"] is bool:
        return _flag(value)
    if told["kind"] is list and isinstance(value, (list, dict)):
        return value  # what is in it the reader of the policy checks
    if told["kind"] in (str, list):
        return _text(value)
    return _number(value, told)


def _choice(value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        allowed = ", ".join(nearest_first(str(value), choices))
        raise UsageError(f"{value!r} is not allowed. Allowed: {allowed}.")
    return str(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{value!r} is not allowed. Allowed: true, false.")
    return value


def _text(value: Any) -> str:
    if isinstance(value, (str, int, float, Path)) and not isinstance(value, bool) and str(value).strip():
        return str(value)
    raise UsageError(f"{value!r} is not allowed. A name or a path is needed.")


def _number(value: Any, told: Mapping[str, Any]) -> int | float:
    kind, low, high = told["kind"], told["low"], told["high"]
    rule = f"A whole number from {low:,} to {high:,}" if kind is int else f"A number from {low:g} to {high:g}"
    words = list(told["words"])
    rule += f" or {' or '.join(words)} is needed." if words else " is needed."
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"{value!r} is not allowed. {rule}") from None
    whole = kind is not int or number.is_integer()
    if isinstance(value, bool) or not whole or not low <= number <= high:
        raise UsageError(f"{value!r} is not allowed. {rule}")
    return int(number) if kind is int else number
