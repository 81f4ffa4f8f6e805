import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.api.test_finetune import recipe
from tests.conftest import COLOURS
from transferkit import progress
from transferkit.api import evaluate, finetune, predict
from transferkit.api.comparing import compare
from transferkit.api.explaining import explain
from transferkit.cli import cli
from transferkit.errors import DataError, UsageError
from transferkit.runs import Run, write_csv
from transferkit.strategies import Phase
from transferkit.training.job import Job
from transferkit.training.linear import LinearClassifier
from transferkit.training.phases import Trained

NAMES = tuple(COLOURS)


def draw_several(folder: Path, images: int, seed: int = 0, *, red: float = 0.5) -> Path:
    """A manifest of pictures, a third of whose width has a colour or not, with one colour or more each.

    `red` is the share that has red; of the other colours it is about half.
    """
    random = np.random.default_rng(seed)
    rows = []
    folder.mkdir()
    for n in range(images):
        drawn = random.random(3) < (0.5, 0.5, red)
        there = [name for name, is_there in zip(NAMES, drawn, strict=True) if is_there] or [NAMES[n % 2]]
        pixels = random.normal(128, 60, (48, 48, 3))
        for name in there:
            place = 16 * NAMES.index(name)
            pixels[:, place : place + 16] += 0.25 * (np.array(COLOURS[name]) - 128)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{n:03d}.png")
        rows.append({"path": f"{n:03d}.png", "label": "|".join(there)})
    write_csv(folder / "list.csv", pd.DataFrame(rows))
    return folder / "list.csv"


@pytest.fixture
def several(tmp_path: Path) -> Path:
    return draw_several(tmp_path / "several", 90)


def keys_of(value: Any) -> set[str]:
    """The keys of a document, those of all its parts too."""
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in keys_of(inner)}
    return {key for inner in value for key in keys_of(inner)} if isinstance(value, list) else set()


def probabilities(run: Run, manifest: Path, paths: list[str]) -> np.ndarray:
    """What the saved model gives in plain Keras, `(N, C)`."""
    import keras

    model = keras.models.load_model(run.folder / "model.keras")
    assert model.layers[-1].get_config()["activation"] == "sigmoid"
    images = [Image.open(manifest.parent / path).resize((32, 32), Image.Resampling.BICUBIC) for path in paths]
    return np.asarray(model.predict(np.stack([np.asarray(image, np.float32) for image in images]), verbose=0))


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("strategy", "phases"),
    [
        ("linear", ["linear"]),
        ("multistage", ["linear", "multistage"]),
        ("finetune-top", ["linear", "multistage", "finetune"]),
    ],
)
def test_images_of_several_classes_are_learned_and_never_worse_than_linear(
    strategy: str, phases: list[str], several: Path, tmp_path: Path
):
    run = finetune(several, recipe(strategy=strategy, learning_rate=3e-4), out=tmp_path / "run")
    metrics, scored = run.metrics, run.metrics["splits"]
    assert run.multilabel and metrics["task"] == "multi-label"
    assert scored["val"]["map"] >= metrics["linear_map"]["val"] > metrics["baseline_map"]["val"] + 0.1
    assert 0 < metrics["threshold"] == scored["val"]["threshold"] == run.threshold < 1
    assert [row["label"] for row in scored["test"]["per_class"]] == list(NAMES)
    assert {"ap", "f1", "n"} <= set(scored["test"]["per_class"][0])
    assert not {key for key in keys_of(metrics) if "top1" in key or "top5" in key}
    history = pd.read_csv(run.folder / "history.csv")
    assert history["val_map"].notna().all() and history[["top1", "val_top1"]].isna().all(axis=None)
    assert list(history["phase"].unique()) == phases


@pytest.mark.usefixtures("toy")
def test_a_phase_that_ranks_worse_leaves_what_it_started_from(
    several: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def worse(job: Job, phase: Phase, **_: Any) -> Trained:
        for weight in job.model.trainable_variables:
            weight.assign(-weight)
        return Trained([], ["went wrong"], 1)

    monkeypatch.setattr("transferkit.api.tuned_candidates.run_phase", worse)
    run = finetune(several, recipe(strategy="finetune-top"), out=tmp_path / "run")
    assert run.metrics["kept"] in ("linear", "multistage")
    assert run.metrics["splits"]["val"]["map"] >= run.metrics["linear_map"]["val"]
    frame, _ = predict(run, [several.parent / path for path in run.predictions["path"]])
    assert np.abs(frame["p"].to_numpy() - run.predictions["p"].to_numpy()).max() < 1e-4


@pytest.mark.usefixtures("toy")
def test_predictions_join_the_classes_over_the_threshold(several: Path, tmp_path: Path):
    run = finetune(several, recipe(strategy="linear"), out=tmp_path / "run")
    given = pd.read_csv(several).set_index("path")["label"]
    rows = run.predictions
    assert rows["label"].to_list() == given[rows["path"]].to_list()
    assert rows["label"].str.contains("|", regex=False).any()
    paths = [several.parent / path for path in rows["path"]]
    frame, failed = predict(run, paths)
    assert not failed and frame["pred"].to_list() == rows["pred"].to_list()
    assert rows["pred"].str.contains("|", regex=False).any()
    best = rows["p"].to_numpy()
    assert ((rows["pred"] != "") == (best >= run.threshold)).all()


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(("strategy", "kept"), [("multistage", "multistage"), ("full", "fine-tuned")])
def test_the_saved_model_gives_the_sigmoids_of_the_predictions(
    strategy: str, kept: str, several: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def know_nothing(train: Any, val: Any, classes: int, strengths: int, **_: Any) -> LinearClassifier:
        """A start that leaves something to win."""
        zero = np.zeros((train[0].shape[1], classes), np.float32)
        return LinearClassifier(zero, zero[0], 1.0, (), "sigmoid")

    if kept == "fine-tuned":
        monkeypatch.setattr("transferkit.api.linear_candidates.fit_linear", know_nothing)
    asked = recipe(strategy=strategy, resize="stretch", learning_rate=1e-2, epochs=6)
    run = finetune(several, asked, out=tmp_path / "run")
    assert run.metrics["kept"] == kept
    rows = run.predictions
    found = probabilities(run, several, rows["path"].to_list())
    assert np.abs(found.max(axis=1) - rows["p"].to_numpy()).max() < 1e-4
    assert np.abs(found.sum(axis=1) - 1).max() > 0.2
    assert ["|".join(np.array(NAMES)[row >= run.threshold]) for row in found] == rows["pred"].to_list()


@pytest.mark.usefixtures("toy")
def test_the_same_seed_gives_the_same_bytes(several: Path, tmp_path: Path):
    asked = recipe(strategy="finetune-top", learning_rate=3e-3)
    runs = [finetune(several, asked, out=tmp_path / name) for name in ("first", "second")]
    for file in ("predictions.csv", "metrics.json", "splits.csv"):
        first, second = ((run.folder / file).read_bytes() for run in runs)
        assert first == second, file


@pytest.mark.usefixtures("toy")
def test_several_labels_are_for_runs_that_know_several(several: Path, photos: Path, tmp_path: Path):
    run = finetune(several, recipe(strategy="linear"), out=tmp_path / "run")
    found = evaluate(run, draw_several(tmp_path / "other", 30, seed=5))
    assert found.metrics.n == 30 and found.seen == 0
    assert found.metrics.as_dict()["map"] > 0.6
    assert found.metrics.threshold == run.threshold
    for ask in (partial(explain, run, several), partial(compare, [run, run])):
        with pytest.raises(UsageError, match="may have several"):
            ask()
    with pytest.raises(UsageError, match="may have several"):
        evaluate(run, several, unknown=several)
    floor = CliRunner().invoke(
        cli, ["evaluate", str(run.folder), str(tmp_path / "nowhere"), "--min-top1", ".5"]
    )
    assert floor.exit_code == 2 and "no top-1. Leave it out" in floor.stderr
    single = finetune(photos, recipe(strategy="linear"), out=tmp_path / "single")
    with pytest.raises(DataError, match="but the run learned from one label for each image"):
        evaluate(single, several)


@pytest.mark.told
@pytest.mark.usefixtures("toy")
def test_the_command_line_tells_map_and_the_report_its_classes(several: Path, tmp_path: Path):
    words = ["--backbone", "toy", "--weights", "none", "--strategy", "linear", "--out", str(tmp_path / "run")]
    told = CliRunner().invoke(cli, ["finetune", str(several), *words])
    assert told.exit_code == 0 and "val: mAP 0." in told.stdout, told.output
    assert "top-1" not in told.stdout
    assert json.loads((tmp_path / "run" / "report.json").read_text())["strangeness"] is None
    diagnosis = next(line for line in told.stderr.splitlines() if line.startswith("diagnosis: "))
    assert "a mAP of " in diagnosis and "a loss of " in diagnosis
    report = (tmp_path / "run" / "report.md").read_text()
    assert report.startswith("# list.csv\n\n**mAP ")
    assert "A class is predicted where its probability is at least" in report
    assert "An image counts for each of its classes." in report
    assert "confusion.svg" not in report
    found = CliRunner().invoke(cli, ["evaluate", str(tmp_path / "run"), str(several)])
    assert found.exit_code == 0 and "mAP 0." in found.stdout and "blue: AP 0." in found.stdout, found.output


@pytest.mark.usefixtures("toy")
def test_a_list_in_which_no_image_happens_to_have_two_labels_is_evaluated(
    several: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = finetune(several, recipe(strategy="linear"), out=tmp_path / "run")
    table = pd.read_csv(several)
    table["path"] = [str(several.parent / path) for path in table["path"]]
    progress.show()
    found = evaluate(run, table[~table["label"].str.contains("|", regex=False)])
    assert 0 <= found.metrics.as_dict()["map"] <= 1
    assert "the other classes of the run count as absent" in capsys.readouterr().err
