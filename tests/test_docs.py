"""The documentation: it builds without a warning, tells every public name, and its commands are real ones."""

import re
import shlex
import subprocess
import sys
import zlib
from pathlib import Path

import click
import pytest

import transferkit as tk
from tests.told_commands import CHECKOUT, commands
from transferkit.cli import cli


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_has_the_options_and_arguments_that_are_told(page: str, line: str):
    words = shlex.split(line, comments=True)[1:]
    words = words[: words.index(">")] if ">" in words else words
    command: click.Command = cli
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    assert command is not cli, f"{page}: no such command: {line}"
    command.make_context(line, list(words)).close()


def test_it_builds_without_a_warning_and_tells_every_public_name(tmp_path: Path):
    pytest.importorskip("sphinx")
    words = ["-m", "sphinx", "-q", "-W", "--keep-going", str(CHECKOUT / "docs"), str(tmp_path)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    inventory = (tmp_path / "objects.inv").read_bytes().split(b"\n", 4)[4]
    told = {line.split()[0] for line in zlib.decompress(inventory).decode().splitlines()}
    told = {name for name in told if re.fullmatch(r"transferkit\.\w+", name)}
    assert told == {f"transferkit.{name}" for name in tk.__all__ if name != "__version__"}
    assert "transferkit finetune" in (tmp_path / "commands.html").read_text(encoding="utf-8")
