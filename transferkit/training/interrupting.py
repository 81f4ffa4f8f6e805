"""Ctrl-C in the middle of training: the first one is heeded at the end of the step, the second at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


class AtOnce(KeyboardInterrupt):
    """Ctrl-C for the second time: nothing more is wanted, not even an evaluation."""


@dataclass
class Interrupt:
    """Whether Ctrl-C was pressed."""

    asked: bool = False


@contextmanager
def deferred() -> Iterator[Interrupt]:
    """Heed the first SIGINT by setting `asked`; the second raises `AtOnce`.

    Outside the main thread, where Python allows no handlers, and where SIGINT is ignored or somebody
    else's already, everything stays as it is.
    """
    interrupt = Interrupt()
    usual = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) != usual:
        yield interrupt
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise AtOnce

    def heed(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, stop)
        # Nothing is said here: the handler may come in the middle of another print.
        interrupt.asked = True

    signal.signal(signal.SIGINT, heed)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, usual)
