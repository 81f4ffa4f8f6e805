import math

import pytest

from transferkit.timing import Deadline, Stopwatch, in_words


def test_a_deadline_counts_down_from_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("transferkit.timing.time.monotonic", lambda: now[0])
    deadline = Deadline.after(0.5)
    now[0] = 120.0
    assert deadline.left() == 10.0
    now[0] = 131.0
    assert deadline.left() == -1.0


def test_without_a_limit_there_is_always_time() -> None:
    assert Deadline.after(None).left() == math.inf


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"), (8.24, "8.2 s"), (9.97, "10 s"), (59.4, "59 s"), (59.6, "1 min"),
        (130, "2 min 10 s"), (3599.7, "1 h"), (4800, "1 h 20 min"), (90000, "25 h"),
    ],
)  # fmt: skip
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_a_stopwatch_counts_a_part_that_is_entered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 1.0, 3.0, 10.0, 14.0, 20.0])
    monkeypatch.setattr("transferkit.timing.time.perf_counter", lambda: next(ticks))
    watch = Stopwatch()
    for _ in range(2):
        with watch.part("bank"):
            pass
    found = watch.seconds()
    assert (found["total"], found["bank"], found["linear"]) == (20.0, 6.0, 0.0)
