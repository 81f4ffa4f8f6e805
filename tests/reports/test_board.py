"""TensorBoard's events: read back by TensorBoard's own reader."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.api.test_finetune import recipe
from tests.toy_report import make_full_report
from transferkit.api import finetune
from transferkit.api.rereporting import report
from transferkit.errors import UsageError
from transferkit.reports.board import Board
from transferkit.runs import Run

ROWS = [
    {"phase": "a", "epoch": n, "loss": 1 / max(n, 1), "val_loss": 2 / max(n, 1), "top1": None, "seconds": 1.0}
    for n in range(5)
]


def events(folder: Path, curve: str = ".") -> Any:
    found = EventAccumulator(str(folder / "tensorboard" / curve), size_guidance={"images": 0, "tensors": 0})
    return found.Reload()


def curve(folder: Path, which: str, tag: str) -> list[tuple[int, float]]:
    return [(one.step, round(one.value, 6)) for one in events(folder, which).Scalars(tag)]


def test_epochs_can_be_read_while_the_run_trains_and_each_stands_once(tmp_path: Path):
    board = Board(tmp_path)
    board.follow("a", ROWS[:3])
    assert curve(tmp_path, "train", "epoch_loss") == [(1, 1.0), (2, 0.5)]
    board.follow("a", ROWS)
    board.follow("b", [{**ROWS[1], "phase": "b"}])
    assert [step for step, _ in curve(tmp_path, "train", "epoch_loss")] == [1, 2, 3, 4, 5]
    assert curve(tmp_path, "validation", "epoch_loss")[-2:] == [(4, 0.5), (5, 2.0)]
    assert events(tmp_path, "train").Tags()["scalars"] == ["epoch_loss", "epoch_seconds"]
    board.close()


def test_what_an_earlier_process_told_is_not_told_twice(tmp_path: Path):
    first = Board(tmp_path)
    first.follow("a", ROWS[:3])
    first.close()
    second = Board(tmp_path)
    second.follow("a", ROWS)
    second.close()
    assert [step for step, _ in curve(tmp_path, "train", "epoch_loss")] == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["class", "$\\frac{<b>\u05d0\U0001f436" + "x" * 300])
def test_the_confusion_picture_shows_shares_whatever_classes_are_called(tmp_path: Path, name: str):
    told = make_full_report(classes=40, names=[f"{name}{number}" for number in range(40)])
    (tmp_path / "report.md").write_text("words")
    Board(tmp_path).finish(told, {"seed": 3, "against": None}, "run")
    found = events(tmp_path)
    assert found.Tags()["images"] == ["confusion/val", "confusion/test"]
    picture = Image.open(io.BytesIO(found.Images("confusion/test")[0].encoded_image_string))
    assert picture.size == (1530, 1530)
    assert len(np.unique(np.asarray(picture))) > 50
    assert found.Scalars("test/top1")[0].value == pytest.approx(told.score("test"))
    assert b"words" in found.Tensors("report")[0].tensor_proto.string_val


def hyperparameters(folder: Path) -> dict[str, Any]:
    from tensorboard.plugins.hparams import metadata

    for tag, content in events(folder).PluginTagToContent("hparams").items():
        if tag == metadata.SESSION_START_INFO_TAG:
            start = metadata.parse_session_start_info_plugin_data(content)
            found = {
                key: getattr(value, str(value.WhichOneof("kind"))) for key, value in start.hparams.items()
            }
            return {"trial": start.group_name, **found}
    return {}


@pytest.mark.usefixtures("toy")
def test_a_run_writes_the_curves_of_its_history_and_a_report_writes_them_again(photos: Path, tmp_path: Path):
    asked = recipe(strategy="finetune-top", tensorboard=True, epochs=2, seed=4)
    run = finetune(photos, asked, out=tmp_path / "run")
    rows = [json.loads(line) for line in _history(run).to_json(orient="records", lines=True).splitlines()]
    expected = [row["val_loss"] for row in rows]
    assert expected
    for _ in range(2):
        losses = curve(run.folder, "validation", "epoch_loss")
        assert [step for step, _ in losses] == [1, 2]
        assert [value for _, value in losses] == pytest.approx(expected, abs=1e-6)
        assert curve(run.folder, "train", "epoch_learning_rate")
        found = hyperparameters(run.folder)
        told = (found["trial"], found["seed"], found["plan.strategy"], found["tensorboard"])
        assert told == ("run", 4, "finetune-top", True)
        assert "bank_limit_gb" not in found
        assert report(run.folder, tensorboard=True)


def _history(run: Run) -> Any:
    import pandas as pd

    found = pd.read_csv(run.folder / "history.csv")
    return found[found["epoch"] >= 1]


@pytest.mark.usefixtures("toy")
def test_a_missing_package_is_told_before_any_work(photos: Path, tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr("transferkit.reports.board.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'transferkit\[tensorboard\]'"):
        finetune(photos, recipe(tensorboard=True), out=tmp_path / "run")
    assert not list(tmp_path.glob("run*"))
