import io
import sys

import pytest

from transferkit import progress
from transferkit.timing import PARTS, Stopwatch


def test_the_library_is_silent_until_asked(capsys: pytest.CaptureFixture[str]):
    progress.say("hello")
    with progress.task("work", 3) as task:
        task.note("half")
    assert capsys.readouterr() == ("", "")


def test_a_log_gets_notes_and_the_end_with_a_rate(capsys: pytest.CaptureFixture[str]):
    progress.show()
    with progress.task("bank", 6) as task:
        task.advance(4)
        task.note("loss 0.3")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "bank: loss 0.3"
    assert lines[1].startswith("bank: 4 images in 0.0 s (")


def test_work_of_nothing_says_nothing(capsys: pytest.CaptureFixture[str]):
    progress.show()
    with progress.task("bank", 0):
        pass
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_with_count_rate_and_note(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    progress.show()
    with progress.task("bank", 6) as task:
        for _ in range(6):
            task.advance()
        task.note("loss 0.3")
    assert "bank" in terminal.getvalue()
    assert "6/6" in terminal.getvalue()
    assert "images/s" in terminal.getvalue()
    assert "loss 0.3" in terminal.getvalue()


def test_parts_add_up_and_count_even_what_fails():
    watch = Stopwatch()
    for _ in range(2):
        with pytest.raises(ValueError, match="x"), watch.part("bank"):
            raise ValueError("x")
    seconds = watch.seconds()
    assert set(seconds) == {"total", *PARTS}
    assert seconds["bank"] > 0
    assert seconds["total"] >= sum(seconds[part] for part in PARTS)
