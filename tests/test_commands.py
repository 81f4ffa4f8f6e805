"""Every command of README and docs, run one after the other as a reader would, on toys."""

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.backbone.test_weights import keras_legacy
from tests.conftest import TOY, draw, toy_network
from tests.told_commands import blocks, commands, options, passing
from transferkit.backbone import build, catalogue, table
from transferkit.cli import cli

# Options of the benchmarks and of TensorBoard, and the colours of figures.
THEIRS = {
    "--table", "--rounds", "--method", "--epochs", "--redecide", "--decide", "--test", "--cold", "--part",
    "--logdir", "--full", "--ink", "--dim", "--rule", "--train", "--val", "--other", "--paper",
    "--plain-memory",
}  # fmt: skip
INNER = re.compile(r"\$\(.*?\)")
COLOURS = {"cat": (40, 60, 200), "dog": (40, 180, 60), "owl": (210, 50, 40)}


def photos(folder: Path, per_class: int, seed: int, **names: str) -> None:
    """Folders of pictures of three colours, under other names where they are given."""
    for number, (name, colour) in enumerate(COLOURS.items()):
        for i in range(per_class):
            draw(folder / names.get(name, name) / f"{i:03d}.png", colour, seed + 1000 * number + i)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the commands name, where every backbone is the toy, whose weights are at hand."""
    photos(tmp_path / "photos", 20, 0)
    draw(tmp_path / "photos" / "dog" / "wrong.png", COLOURS["cat"], 99)
    photos(tmp_path / "other-photos", 5, 50_000, cat="kitten")
    photos(tmp_path / "new-photos", 10, 60_000)
    rows = [
        {"path": f"scans/{label}/{i:03d}.png", "label": label, "patient": f"p{i // 2}"}
        for label in COLOURS
        for i in range(20)
    ]
    photos(tmp_path / "scans", 20, 70_000)
    pd.DataFrame(rows).to_csv(tmp_path / "scans.csv", index=False)
    for name in ("new.jpg", "some.png"):
        pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "weights").mkdir()
    keras_legacy(toy_network(), tmp_path / "weights" / "toy.h5")
    monkeypatch.setenv("TRANSFERKIT_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(table, "TABLE", tuple(replace(TOY, name=spec.name) for spec in catalogue.every()))

    def built(spec: Any, image_size: int | None = None, *, classifier: bool = False) -> Any:
        return toy_network(image_size or 32)

    monkeypatch.setattr(build, "build", built)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fill_in(fixes: Path) -> None:
    """Take the first suggestion, as a reader of the report would."""
    found = pd.read_csv(fixes, dtype=str, keep_default_na=False)
    found.loc[0, "fix"] = "suggested"
    found.to_csv(fixes, index=False)


def test_commands_told_in_passing_are_understood():
    """Their words and options are those of the command; nothing runs."""
    told = passing()
    assert len(told) > 30 and {"README.md", "finetune --help"} <= {where for where, _ in told}
    for where, line in told:
        # Of alternatives, as in `--views flip|10crop`, the first.
        words = [
            word.partition("|")[0] for word in shlex.split(INNER.sub("DATA", line).partition(" > ")[0])[1:]
        ]
        command, context = cli, click.Context(cli)
        while words and isinstance(command, click.Group) and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        no_such = isinstance(command, click.Group) and words and not words[0].startswith("-")
        assert not no_such, f"{where}: {line}: there is no such command"
        try:
            command.make_context(command.name, words, parent=context)
        except (click.MissingParameter, click.exceptions.Exit):
            continue  # named alone, or what answers at once, as --help
        except click.ClickException as error:
            pytest.fail(f"{where}: {line}: {error.format_message()}")


def test_options_that_are_told_exist():
    """In pages and in messages, of this program or of those that are named beside it."""
    known = {"--help", "--version"} | THEIRS
    for command in cli.commands.values():
        for one in (command, *getattr(command, "commands", {}).values()):
            known |= {
                name for parameter in one.params for name in (*parameter.opts, *parameter.secondary_opts)
            }
    told = options()
    assert len(told) > 100
    assert not [(where, option) for where, option in told if option not in known]


@pytest.mark.told
def test_every_command_that_is_told_works(desk: Path):
    """From the README on; a run that is finished has nothing to resume, and says so."""
    for page, line in commands():
        words = shlex.split(line, comments=True)[1:]
        words, into = (words[: words.index(">")], words[-1]) if ">" in words else (words, "")
        if "--fixes" in words:
            fill_in(Path(words[words.index("--fixes") + 1]))
        done = CliRunner().invoke(cli, words)
        if into:
            Path(into).write_text(done.stdout)
        told = f"{page}: {line}\n{done.output[-2000:]}\n{done.exception!r}"
        if "--resume" in words:
            assert done.exit_code == 2 and "finished" in done.output, told
        else:
            assert done.exit_code == 0, told
    made = {"compared.html", "why.html", "sheet.png", "recipe.schema.json", "runs/digits/report.html"}
    assert not [name for name in made if not (desk / name).stat().st_size]


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")  # Keras' own, of any data set given to fit
def test_every_block_of_python_that_is_told_works(desk: Path):
    """One after the other; only the size of the images is the toy's."""
    files = sorted((desk / "photos").rglob("*.png"))
    names = {"paths": [str(file) for file in files], "labels": [file.parent.name for file in files]}
    assert len(blocks()) >= 5
    for page, code in blocks():
        exec(compile(code.replace("(224, 224)", "(32, 32)"), page, "exec"), dict(names))
