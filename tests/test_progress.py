import io
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

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


NOTEBOOK = """
from transferkit import progress

with progress.task("bank", 6) as task:
    task.advance(6)
    task.note("loss 0.3")
"""


@pytest.mark.notebook
def test_a_notebook_gets_a_widget_and_no_line_for_each_step(tmp_path: Path):
    pytest.importorskip("ipywidgets")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK)])
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(book, timeout=60, kernel_name="python3", resources=resources).execute()
    outputs = book.cells[0].outputs
    widgets = [one for one in outputs if "application/vnd.jupyter.widget-view+json" in one.get("data", {})]
    assert len(widgets) == 1 and not [one for one in outputs if one.output_type == "stream"]
    # What the widget shows is kept with the notebook, for whoever opens it later.
    states = book.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"].values()
    shown = "".join(
        output.get("data", {}).get("text/html", "")
        for state in states
        for output in state["state"].get("outputs", ())
    )
    told = re.sub(r"<.*?>", "", shown)
    assert "bank" in told and "6/6" in told and "loss 0.3" in told


def test_what_is_said_is_text(capsys: pytest.CaptureFixture[str]):
    progress.show()
    progress.say("a name \x1b[2J\nanother")
    assert capsys.readouterr().err == "a name \\x1b[2J\nanother\n"
