"""Progress of long work, told to whoever listens.

The library is silent: the command line switches the display on, and a notebook is shown it. On a terminal
a task is a bar with rate and time left, in a notebook a widget (with ipywidgets); in a log its notes and its
end are lines. All of it goes to stderr, in a notebook to the cell.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from transferkit.printable import told

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_shown: bool | None = None  # None: in notebooks alone


class Task(Protocol):
    """Something that counts units of work."""

    def advance(self, units: int = 1) -> None:
        """Count units as done."""

    def note(self, text: str) -> None:
        """Tell a short text beside the count, such as the loss."""


def show(on: bool = True) -> None:
    """Switch the display on or off for this process."""
    global _shown
    _shown = on


@contextmanager
def hidden() -> Iterator[None]:
    """Tell nothing while this lasts, such as of a trial that is no part of the work."""
    global _shown
    before = _shown
    _shown = False
    try:
        yield
    finally:
        _shown = before


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get_ipython is not None and type(get_ipython()).__name__ == "ZMQInteractiveShell"


def _on() -> bool:
    return in_notebook() if _shown is None else _shown


def say(text: str) -> None:
    """A line for people, on stderr, while the display is on."""
    if _on():
        print(told(text), file=sys.stdout if in_notebook() else sys.stderr, flush=True)


@contextmanager
def task(description: str, total: int, unit: str = "images") -> Iterator[Task]:
    """A piece of work of `total` units; the value yielded counts them.

    Args:
        description: what is being done, such as "bank".
        total: how many units there are.
        unit: what is counted; the rate is told per second of it.
    """
    if _on() and total and (sys.stderr.isatty() or (in_notebook() and find_spec("ipywidgets"))):
        with _bar(description, total, unit) as bar:
            yield bar
        return
    lines = _Lines(description)
    started = time.perf_counter()
    yield lines
    seconds = max(time.perf_counter() - started, 1e-9)
    if total:
        say(f"{description}: {lines.done} {unit} in {seconds:.1f} s ({lines.done / seconds:.0f}/s)")


class _Lines:
    """A task in a log."""

    def __init__(self, description: str) -> None:
        self._description = description
        self.done = 0

    def advance(self, units: int = 1) -> None:
        self.done += units

    def note(self, text: str) -> None:
        say(f"{self._description}: {text}")


class _Bar:
    """A task on a terminal."""

    def __init__(self, progress: "Progress", number: "TaskID", unit: str) -> None:
        self._progress = progress
        self._number = number
        self._unit = unit

    def advance(self, units: int = 1) -> None:
        self._progress.advance(self._number, units)
        if speed := self._progress.tasks[0].speed:
            self._progress.update(self._number, rate=f"{speed:.0f} {self._unit}/s")

    def note(self, text: str) -> None:
        self._progress.update(self._number, note=told(text))


@contextmanager
def _bar(description: str, total: int, unit: str) -> Iterator[_Bar]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    console = Console() if in_notebook() else Console(stderr=True)
    with Progress(*columns, console=console) as progress:
        yield _Bar(progress, progress.add_task(description, total=total, rate="", note=""), unit)
        # Rich draws a last time on terminals alone: a widget would stay where its last tick left it.
        progress.refresh()
