"""A process that ends at a chosen call, without the process."""

from typing import Any

import pytest


class Killed(BaseException):
    """As if the process ended here: nothing catches it and nothing tidies up."""


def die_at(patch: pytest.MonkeyPatch, target: Any, name: str, call: int = 1, after: bool = False) -> None:
    """Let the process end at a call of a function, or right after it."""
    original, calls = getattr(target, name), []

    def dying(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == call and not after:
            raise Killed
        found = original(*arguments, **named)
        if len(calls) == call:
            raise Killed
        return found

    patch.setattr(target, name, dying)
