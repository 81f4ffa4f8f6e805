"""Processes that are really killed, and what the command line says of it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from tests.conftest import draw_classes
from tests.toy_cli import know_little
from transferkit.cli import cli

ROOT = Path(__file__).parents[2]
WORDS = (
    "--backbone toy --weights none --strategy finetune-top --batch-size 8 --set epochs=12 "
    "--set patience=12 --set learning_rate=1e-2 --set classifier=logistic --set features=means"
).split()
LINEAR = "--backbone toy --weights none --strategy linear --set classifier=logistic".split()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return draw_classes(tmp_path / "photos", 12)


def started(folder: Path, epochs: int, *words: str) -> subprocess.Popen[str]:
    """A process that has trained so many epochs more."""
    command = [sys.executable, "-m", "tests.toy_cli", "finetune", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    state = folder.with_name(f"{folder.name}.unfinished") / "state-3.npz"
    seen = {state.stat().st_mtime_ns} if state.is_file() else set()
    wanted = len(seen) + epochs
    process = subprocess.Popen(
        command, cwd=folder.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while len(seen) < wanted:
        if state.is_file():
            seen.add(state.stat().st_mtime_ns)
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    return process


def same(first: Path, second: Path) -> None:
    import keras

    history = [pd.read_csv(folder / "history.csv").drop(columns="seconds") for folder in (first, second)]
    pd.testing.assert_frame_equal(*history, check_exact=True)
    weights = [keras.models.load_model(folder / "model.keras").get_weights() for folder in (first, second)]
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


@pytest.mark.usefixtures("toy")
def test_a_process_that_is_killed_and_then_interrupted_is_gone_on_with(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("transferkit.api.linear_candidates.fit_linear", know_little)
    folder = tmp_path / "run"
    killed = started(folder, 3, str(photos), *WORDS, "--out", str(folder))
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    stopped = started(folder, 2, "--resume", str(folder))
    stopped.send_signal(signal.SIGINT)
    out, err = stopped.communicate()
    assert stopped.returncode == 130, err
    assert "test: top-1" in out and (folder / "report.md").is_file()
    assert f"to go on: transferkit finetune --resume {folder}" in err
    assert "Traceback" not in err
    assert run("finetune", "--resume", folder).exit_code == 0
    assert run("finetune", photos, *WORDS, "--out", tmp_path / "whole").exit_code == 0
    same(tmp_path / "whole", folder)
    assert len(pd.read_csv(folder / "history.csv")) > 6


@pytest.mark.usefixtures("toy")
def test_ctrl_c_before_training_ends_with_130_and_says_how_to_go_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("transferkit.api.finetuning.pooled_bank", pressed)
        result = run("finetune", photos, *LINEAR, "--out", tmp_path / "run")
    assert result.exit_code == 130
    assert f"to go on: transferkit finetune --resume {tmp_path / 'run'}" in result.stderr
    assert not (tmp_path / "run").exists()
    assert run("finetune", "--resume", tmp_path / "run", "--json").exit_code == 0


REFUSED = [
    (["photos", "--resume", "run"], "leave out data. Allowed beside it: --device, --json"),
    (["--resume", "run", "--seed", "3", "--set", "epochs=3"], "leave out --seed, --set"),
    (["--resume", "run", "--out", "other", "--overwrite"], "leave out --out, --overwrite"),
    (["--resume", "run"], "there is no unfinished run of that name"),
    ([], "DATA is missing"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_what_would_make_another_run_of_it_is_refused(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    result = run("finetune", *words)
    assert result.exit_code == 2
    assert message in result.stderr
