"""Seconds of the parts of a run."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

PARTS = ("startup", "index", "decode", "bank", "linear", "phases", "evaluation", "report")


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
