"""Seconds: of the parts of a run, until its time is up, and in words."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

PARTS = ("startup", "index", "decode", "bank", "linear", "pilot", "phases", "evaluation", "report")


class Stopwatch:
    """Adds up wall-clock seconds by part; a part may be entered many times."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._seconds = dict.fromkeys(PARTS, 0.0)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time of a block for a part."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - started

    def seconds(self) -> dict[str, float]:
        """`total` since the stopwatch was made, and each part; what is left is overhead."""
        return {"total": time.perf_counter() - self._started, **self._seconds}


@dataclass(frozen=True)
class Deadline:
    """When the time of a run is up.

    Attributes:
        limit: seconds from `started` on; infinite where there is no limit.
        started: on the monotonic clock.
    """

    limit: float = math.inf
    started: float = field(default_factory=lambda: time.monotonic())

    @classmethod
    def after(cls, minutes: float | None) -> "Deadline":
        """The deadline so many minutes from now; None sets none."""
        return cls(math.inf if minutes is None else 60 * minutes)

    def less(self, seconds: float) -> "Deadline":
        """The same, so many seconds earlier."""
        return Deadline(self.limit - seconds, self.started)

    def left(self) -> float:
        """Seconds that are left, below 0 when the time is up; infinite without a limit."""
        return self.started + self.limit - time.monotonic()


def in_words(seconds: float) -> str:
    """A duration as people say it: `8.2 s`, `2 min 10 s`, `1 h 20 min`; below 10 s with a decimal."""
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
