"""A run that is killed anywhere and gone on with is the run that was never killed."""

import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import draw_classes
from tests.dying import Killed, die_at
from tests.toy_cli import know_little
from transferkit import progress
from transferkit.api import finetune, finetuning, resume, unfinished
from transferkit.errors import DataError, OutputExists, TransferkitError, UsageError
from transferkit.recipe import Recipe
from transferkit.reports import pages
from transferkit.runs import Run
from transferkit.runs import unfinished as places
from transferkit.training import feeding, phases

pytestmark = pytest.mark.usefixtures("toy")
ASKED = Recipe.from_mapping(
    {
        "backbone": "toy", "weights": "none", "strategy": "finetune-top", "batch_size": 8, "epochs": 3,
        "learning_rate": 1e-2, "classifier": "logistic", "features": "means",
    }
)  # fmt: skip


@pytest.fixture(autouse=True)
def clueless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transferkit.api.linear_candidates.fit_linear", know_little)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return draw_classes(tmp_path / "photos", 12)


@contextmanager
def dying(target: Any, name: str, call: int = 1, after: bool = False) -> Iterator[None]:
    """The process ends at a call of a function, or right after it."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        die_at(patch, target, name, call, after)
        patch.setattr(places, "_remove", lambda *_: None)
        patch.setattr(places, "_remove_empty", lambda *_: None)
        yield


def result(run: Run) -> tuple[str, list[bytes], str, str]:
    import keras

    history = pd.read_csv(run.folder / "history.csv").drop(columns="seconds").to_csv()
    weights = keras.models.load_model(run.folder / "model.keras").get_weights()
    files = [(run.folder / name).read_text() for name in ("predictions.csv", "metrics.json")]
    return history, [values.tobytes() for values in weights], files[0], files[1]


unbroken: list[Any] = []  # the result of the run that is never killed: the same for each test


@pytest.fixture
def expected(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if not unbroken:
        run = finetune(photos, ASKED, out=tmp_path_factory.mktemp("unbroken"))
        assert run.metrics["kept"] == "fine-tuned"
        unbroken.append(result(run))
    return unbroken[0]


DEATHS: list[tuple[Any, str, int, bool]] = [
    (finetuning, "pooled_bank", 1, False),
    (unfinished, "write_json_whole", 2, True),  # of the plan's files one is there
    (feeding, "map_bank", 1, True),  # between linear classifier and fine-tuning
]


@pytest.mark.parametrize(("target", "name", "call", "after"), DEATHS)
def test_killed_anywhere_and_gone_on_with_it_is_the_same_run(
    target: Any, name: str, call: int, after: bool, photos: Path, tmp_path: Path, expected: Any
):
    with dying(target, name, call, after):
        finetune(photos, ASKED, out=tmp_path / "run")
    assert (tmp_path / "run.unfinished").is_dir()
    assert not (tmp_path / "run").exists()
    run = resume(tmp_path / "run")
    assert result(run) == expected
    assert run.folder == tmp_path / "run" and not run.interrupted
    assert not (tmp_path / "run.unfinished").exists()


@pytest.mark.parametrize("policy", ["standard", ["trivial_augment", "mixup"]])
def test_a_run_that_changes_images_goes_on_to_the_same_too(photos: Path, tmp_path: Path, policy: Any):
    asked = ASKED.updated({"augment": policy}, "test")
    whole = finetune(photos, asked, out=tmp_path / "whole")
    with dying(phases, "fit_epoch", 2):
        finetune(photos, asked, out=tmp_path / "run")
    assert result(resume(tmp_path / "run")) == result(whole)


def test_pixels_that_a_version_makes_others_of_are_told(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    with dying(phases, "fit_epoch", 2):
        finetune(photos, ASKED.updated({"augment": "light"}, "test"), out=tmp_path / "run")
    monkeypatch.setattr("transferkit.data.augment.pipeline.AUGMENT_VERSION", 0)
    progress.show()
    resume(tmp_path / "run")
    told = [line for line in capsys.readouterr().err.splitlines() if "WARNING: begun with" in line]
    assert len(told) == 1 and told[0].count("augmentation ") == 2


def test_a_run_of_before_augmentation_was_noted_is_gone_on_with_in_silence(stopped: Path, capsys: Any):
    begun = stopped.with_name("run.unfinished") / "begun.json"
    told = json.loads(begun.read_text())
    del told["augmentation"]
    begun.write_text(json.dumps(told))
    progress.show()
    resume(stopped)
    assert "WARNING: begun with" not in capsys.readouterr().err


def test_killed_again_and_again(photos: Path, tmp_path: Path, expected: Any):
    with dying(phases, "measure", 2):
        finetune(photos, ASKED, out=tmp_path / "run")
    for target, name, call in ((phases, "measure", 2), (unfinished, "read_plan", 1), (phases, "measure", 1)):
        with dying(target, name, call):
            resume(tmp_path / "run.unfinished")
    assert result(resume(tmp_path / "run")) == expected


@pytest.fixture
def stopped(photos: Path, tmp_path: Path) -> Path:
    """A run that was killed in its second epoch."""
    with dying(phases, "fit_epoch", 2):
        finetune(photos, ASKED, out=tmp_path / "run")
    return tmp_path / "run"


def test_an_unfinished_run_looks_like_none_and_its_name_is_not_taken(stopped: Path, photos: Path):
    for name in (stopped, f"{stopped}.unfinished"):
        with pytest.raises(UsageError):
            Run.open(name)
    with pytest.raises(UsageError, match=f"no unfinished run of that name. Unfinished are: {stopped}"):
        resume(stopped.with_name("other"))
    with pytest.raises(OutputExists) as caught:
        finetune(photos, ASKED, out=stopped)
    assert f"transferkit finetune --resume {stopped}. To start anew: --overwrite" in str(caught.value)
    linear = ASKED.updated({"strategy": "linear"}, "")
    run = finetune(photos, linear, out=stopped, overwrite=True)
    assert run.plan["strategy"] == "linear"
    with pytest.raises(UsageError, match=r"that run is finished. Its report: .*report\.md"):
        resume(run.folder)


def test_images_that_have_changed_are_named(stopped: Path, photos: Path):
    (photos / "red" / "000.png").unlink()
    shutil.copy(photos / "red" / "001.png", photos / "blue" / "001.png")
    shutil.copy(photos / "red" / "002.png", photos / "red" / "new.png")
    with pytest.raises(DataError) as caught:
        resume(stopped)
    told = str(caught.value)
    assert "1 gone, such as red/000.png" in told
    assert "1 new, such as red/new.png" in told
    assert "1 with other content, such as blue/001.png" in told
    assert stopped.with_name("run.unfinished").is_dir()


CHANGES = [
    ("begun.json", '"weights": "', '"weights": "0', "the pretrained weights are not those"),
    ("plan.json", '"learning_rate": 0.01', '"learning_rate": 0.02', "state of another recipe or plan"),
    ("plan.json", '"quadrant"', '"quadrant of"', "cannot be gone on with"),
    ("recipe.yaml", "seed: 0", "seed: many", "seed: 'many' is not allowed"),
]


def test_what_was_changed_since_is_refused(stopped: Path):
    for name, old, new, message in CHANGES:
        file = stopped.with_name("run.unfinished") / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        with pytest.raises(TransferkitError, match=message):
            resume(stopped)
        file.write_text(text)
    assert not resume(stopped).interrupted


def test_a_run_that_fails_is_kept_once_an_epoch_would_be_lost(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, expected: Any
):
    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    progress.show()
    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(pages, "write", full)
        finetune(photos, ASKED, out=tmp_path / "run")
    assert f"to go on: transferkit finetune --resume {tmp_path / 'run'}" in capsys.readouterr().err
    assert result(resume(tmp_path / "run")) == expected


def test_ctrl_c_reports_what_is_best_so_far_and_is_gone_on_with(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: Any
):
    original = phases.fit_epoch

    def pressed(job: Any, epoch: int, **named: Any) -> Any:
        if epoch == 1:
            signal.raise_signal(signal.SIGINT)
        return original(job, epoch, **named)

    with monkeypatch.context() as patch:
        patch.setattr(phases, "fit_epoch", pressed)
        run = finetune(photos, ASKED, out=tmp_path / "run")
    assert run.interrupted and run.folder == tmp_path / "run"
    report = (run.folder / "report.html").read_text()
    assert "interrupted after epoch 1 of 3" in report and "finetune --resume" in report
    assert pd.read_csv(run.folder / "history.csv")["phase"].to_list() == ["linear", "multistage", "finetune"]
    with dying(phases, "fit_epoch", 2):
        resume(run.folder)
    assert Run.open(run.folder).interrupted
    again = resume(run.folder)
    assert not again.interrupted and result(again) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "run"]


def test_a_table_is_kept_with_the_run(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    paths = sorted(path.relative_to(tmp_path) for path in photos.rglob("*.png"))
    rows = [{"path": str(path), "label": [path.parent.name, "007"][:1], "other": 1.5} for path in paths]
    linear = ASKED.updated({"strategy": "linear"}, "")
    whole = finetune(pd.DataFrame(rows), linear, out="whole")
    with dying(finetuning, "run_phases"):
        finetune(pd.DataFrame(rows), linear, out="run")
    monkeypatch.chdir(photos)
    with pytest.raises(UsageError, match=f"cd {tmp_path}"):
        resume(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    run = resume("run")
    assert run.multilabel == whole.multilabel
    assert result(run) == result(whole)
