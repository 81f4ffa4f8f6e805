"""A plan read back from plan.json."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from transferkit.planning.making import Plan


def read_plan(content: Mapping[str, Any]) -> Plan:
    """The plan whose `as_dict` this is.

    Raises:
        TypeError, KeyError: keys are missing or unknown, as when another version wrote it.
    """
    asked = {key: value for key, value in content.items() if key not in OUTCOMES}
    plan: Plan = _built(Plan, asked)
    return plan


# What a finished run adds to plan.json: what came of the plan.
OUTCOMES = ("tried", "freeze")


def _built(kind: Any, value: Any) -> Any:
    """A value of a type, from what JSON makes of it."""
    if value is None:
        return None
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{name: _built(hints[name], one) for name, one in value.items()})  # type: ignore[operator]
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        repeated = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_built(one, item) for one, item in zip(repeated, value, strict=True))
    if type(None) in arguments:
        return _built(next(one for one in arguments if one is not type(None)), value)
    return value
