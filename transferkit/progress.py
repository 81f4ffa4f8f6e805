"""Progress of long work, told to whoever listens.

The library is silent: the command line (or a notebook) switches the display on. On a terminal a task
is a bar with rate and time left; in a log it is one line at its end. All of it goes to stderr.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_shown = False


class Task(Protocol):
    """Something that counts units of work."""

    def advance(self, units: int = 1) -> None:
        """Count units as done."""

    def note(self, text: str) -> None:
        """Show a short text beside the bar, such as the loss."""


class _Silent:
    def advance(self, units: int = 1) -> None:
        pass

    def note(self, text: str) -> None:
        pass


def show(on: bool = True) -> None:
    """Switch the display on or off for this process."""
    global _shown
    _shown = on


def say(text: str) -> None:
    """A line for people, on stderr, while the display is on."""
    if _shown:
        print(text, file=sys.stderr, flush=True)


@contextmanager
def task(description: str, total: int, unit: str = "images") -> Iterator[Task]:
    """A piece of work of `total` units; the value yielded counts them.

    Args:
        description: what is being done, such as "bank".
        total: how many units there are.
        unit: what is counted; the rate is told per second of it.
    """
    if not _shown or total == 0:
        yield _Silent()
        return
    if sys.stderr.isatty():
        with _bar(description, total, unit) as bar:
            yield bar
        return
    started = time.perf_counter()
    yield _Silent()
    seconds = time.perf_counter() - started
    say(f"{description}: {total} {unit} in {seconds:.1f} s ({total / max(seconds, 1e-9):.0f}/s)")


class _Bar:
    def __init__(self, progress: "object", task_id: int, unit: str) -> None:
        self._progress = progress
        self._id = task_id
        self._unit = unit

    def advance(self, units: int = 1) -> None:
        progress = self._progress
        progress.advance(self._id, units)  # type: ignore[attr-defined]
        speed = progress.tasks[0].speed  # type: ignore[attr-defined]
        if speed:
            progress.update(self._id, rate=f"{speed:.0f} {self._unit}/s")  # type: ignore[attr-defined]

    def note(self, text: str) -> None:
        self._progress.update(self._id, note=text)  # type: ignore[attr-defined]


@contextmanager
def _bar(description: str, total: int, unit: str) -> Iterator[_Bar]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bar(progress, progress.add_task(description, total=total, rate="", note=""), unit)
