import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from tests.api.test_finetune import recipe
from tests.bad_files import make
from transferkit.api import audit, evaluate, finetune, predict
from transferkit.cli import cli
from transferkit.errors import DataError
from transferkit.runs import Run, write_csv

# Pillow warns of broken EXIF, which costs no pixel; the command line does not show it.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
BROKEN = {"unreadable", "truncated", "not-an-image", "too-large", "ignored"}


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, set[str]]]:
    folder = tmp_path_factory.mktemp("bad")
    return folder, make(folder)


def command(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def trained(bad: Path, tmp_path: Path) -> Run:
    write_csv(tmp_path / "exclude.csv", audit(bad).exclude)
    asked = recipe(strategy="linear", exclude=str(tmp_path / "exclude.csv"))
    return finetune(bad, asked, out=tmp_path / "run")


def files_in(folder: Path) -> set[str]:
    """Every file as it is printed, hidden ones aside."""
    found = set()
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        found |= {os.path.join(here, name) for name in names if not name.startswith(".")}
    return {path.encode("utf-8", "backslashreplace").decode() for path in found}


@pytest.mark.usefixtures("toy")
def test_the_list_of_inspect_makes_it_trainable_and_names_what_is_unusable(
    bad: tuple[Path, dict[str, set[str]]], tmp_path: Path
):
    folder, expected = bad
    listed = tmp_path / "exclude.csv"
    assert command("inspect", folder, "--exclude-list", listed).exit_code == 1
    words = ("--backbone", "toy", "--weights", "none", "--strategy", "linear", "--out", tmp_path / "run")
    result = command("finetune", folder, *words, "--exclude", listed)
    assert result.exit_code == 0, result.output
    excluded = pd.read_csv(tmp_path / "run" / "excluded.csv", dtype=str)
    assert excluded["reason"].str.len().min() > 5
    used = set(pd.read_csv(tmp_path / "run" / "splits.csv", dtype=str)["path"])
    unusable = {path for path, findings in expected.items() if findings & BROKEN}
    assert {path.rstrip("/") for path in unusable} <= {path.rstrip("/") for path in excluded["path"]}
    assert not used & unusable
    assert used >= {path for path, findings in expected.items() if not findings} - {"single/000.jpg"}
    assert used | set(excluded["path"]) >= {path for path in expected if not path.endswith("/")}


@pytest.mark.usefixtures("toy")
def test_a_class_of_one_file_is_named_and_the_way_on_told(
    bad: tuple[Path, dict[str, set[str]]], tmp_path: Path
):
    with pytest.raises(DataError, match="'single' has a single image.*inspect DATA --exclude-list FILE"):
        finetune(bad[0], recipe(strategy="linear"), out=tmp_path / "run")
    result = command("finetune", bad[0], "--backbone", "toy", "--weights", "none", "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("toy")
@pytest.mark.timeout(60, method="thread")
def test_predict_answers_or_says_why_not_for_every_file(
    bad: tuple[Path, dict[str, set[str]]], tmp_path: Path
):
    folder, expected = bad
    run = trained(folder, tmp_path)
    frame, failed = predict(run, [folder])
    assert not set(frame["path"]) & set(failed)
    assert files_in(folder) <= set(frame["path"]) | set(failed)
    good = {path for path, findings in expected.items() if not findings and path[-1] != "/"}
    assert {str(folder / path) for path in good} <= set(frame["path"])
    result = command("predict", run.folder, folder)
    assert result.exit_code == 1
    assert result.stderr.count("no prediction: ") == len(failed)


@pytest.mark.usefixtures("toy")
@pytest.mark.timeout(60, method="thread")
def test_evaluate_answers_or_says_why_not_for_every_file(
    bad: tuple[Path, dict[str, set[str]]], tmp_path: Path
):
    folder, _ = bad
    run = trained(folder, tmp_path)
    with pytest.raises(DataError, match="'single'"):
        evaluate(run, folder)
    found = evaluate(run, folder, renames={"single": "odd"})
    answered = {str(folder / path) for path in found.predictions["path"]}
    assert not answered & set(found.failed)
    assert files_in(folder) <= answered | set(found.failed)
    assert found.metrics.n == len(answered)


@pytest.mark.usefixtures("toy")
def test_names_reach_the_terminal_as_text(photos: Path, tmp_path: Path):
    folder = tmp_path / "hostile"
    for number, files in enumerate(sorted(photos.iterdir())):
        shutil.copytree(files, folder / ("two\nlines", "\x1b[31mred", "a|b [bold]")[number])
    first, second = sorted(folder.iterdir())[:2]
    (second / "dup\x1b[1m.png").write_bytes(next(first.iterdir()).read_bytes())
    (first / "bad\x1b[2J.jpg").write_bytes(b"no image")
    words = ("--backbone", "toy", "--weights", "none", "--strategy", "linear", "--out", tmp_path / "run")
    trained = command("finetune", folder, *words)
    assert trained.exit_code == 0, trained.output
    assert r"bad\x1b[2J.jpg: " in trained.stderr and r"stands under another label" in trained.stderr
    judged = command("evaluate", tmp_path / "run", folder)
    wrong = command("finetune", tmp_path / "no\x1b[2J", *words[:-1], tmp_path / "other")
    assert wrong.exit_code == 2 and r"no\x1b[2J" in wrong.stderr  # a runner drops what is no escape
    for one in (trained, judged, wrong):
        assert "\x1b" not in one.output
        assert not any(line.startswith("lines") for line in one.output.split("\n"))
