"""Runs in MLflow, on a real server in a process of its own."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.api.test_finetune import recipe
from transferkit.api import finetune
from transferkit.cli import cli
from transferkit.errors import TrackingError, UsageError
from transferkit.runs import Run


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A tracking server that keeps everything in a folder; MLflow's variable names it."""
    address = f"http://127.0.0.1:{free_port()}"
    words = ["server", "--host", "127.0.0.1", "--port", address.rsplit(":", 1)[1], "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db"]
    words += ["--artifacts-destination", str(tmp_path / "artifacts")]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words], stdout=log, stderr=log, cwd=tmp_path
        )
    try:
        _wait(address, process, tmp_path / "server.log")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _wait(address: str, process: Any, log: Path) -> None:
    for _ in range(240):
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def calls(address: str, name: str) -> Any:
    from mlflow import MlflowClient

    client = MlflowClient(address)
    found = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    return client, found


@pytest.mark.usefixtures("toy")
def test_a_run_is_logged_to_a_real_server(photos: Path, tmp_path: Path, server: str, monkeypatch: Any):
    run = finetune(photos, recipe(strategy="finetune-top", mlflow=True, epochs=2), out=tmp_path / "one")
    client, (found,) = calls(server, "transferkit")
    assert (found.info.run_name, found.info.status) == ("one", "FINISHED")
    assert found.data.params["plan.strategy"] == "finetune-top"
    assert found.data.params["epochs"] == "2"
    top1 = run.metrics["splits"]["test"]["top1"]
    assert found.data.metrics["test/top1"] == pytest.approx(top1)
    curve = client.get_metric_history(found.info.run_id, "epoch/val_loss")
    assert [point.step for point in curve] == list(range(1, len(curve) + 1)) != []
    names = {item.path for item in client.list_artifacts(found.info.run_id)}
    assert {"model.keras", "report.html", "recipe.yaml", "figures"} <= names
    copy = client.download_artifacts(found.info.run_id, "model.keras", str(tmp_path))
    assert Path(copy).read_bytes() == (run.folder / "model.keras").read_bytes()

    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "another")
    done = CliRunner().invoke(cli, ["report", str(run.folder), "--mlflow"])
    assert done.exit_code == 0, done.output
    assert len(calls(server, "another")[1]) == 1


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a server that is not there, asked once."""
    address = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return address


@pytest.mark.usefixtures("toy")
def test_a_server_that_is_away_is_told_before_any_work(photos: Path, tmp_path: Path, away: str):
    with pytest.raises(TrackingError, match=f"MLflow at {away}: .*MLFLOW_TRACKING_URI"):
        finetune(photos, recipe(mlflow=True), out=tmp_path / "run")
    assert not list(tmp_path.glob("run*"))


@pytest.mark.usefixtures("toy")
def test_a_password_in_the_address_is_not_shown(photos: Path, tmp_path: Path, away: str, monkeypatch: Any):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", away.replace("//", "//me:secret@"))
    with pytest.raises(TrackingError, match=f"MLflow at {away}: ") as told:
        finetune(photos, recipe(mlflow=True), out=tmp_path / "run")
    assert "secret" not in str(told.value)


@pytest.mark.usefixtures("toy")
def test_a_server_that_goes_away_meanwhile_takes_nothing_from_the_run(
    photos: Path, tmp_path: Path, away: str, monkeypatch: Any
):
    monkeypatch.setattr("transferkit.api.finetuning.check_trackers", lambda recipe: None)
    with pytest.raises(TrackingError, match="The run is whole in .*run; to log it later: transferkit report"):
        finetune(photos, recipe(mlflow=True, strategy="linear"), out=tmp_path / "run")
    assert Run.open(tmp_path / "run").metrics["splits"]


@pytest.mark.usefixtures("toy")
def test_a_missing_package_is_told_before_any_work(photos: Path, tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr("transferkit.api.tracking.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'transferkit\[mlflow\]'"):
        finetune(photos, recipe(mlflow=True), out=tmp_path / "run")
