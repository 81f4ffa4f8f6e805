"""`import transferkit as tk`: what a notebook uses, on toys."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import transferkit as tk
from transferkit import progress
from transferkit.errors import UnknownName, UsageError

ASKED: dict[str, Any] = {"backbone": "toy", "weights": "none", "strategy": "linear", "strengths": 15}


@pytest.fixture
def run(toy: object, photos: Path, tmp_path: Path) -> tk.Run:
    return tk.finetune(photos, ASKED, out=tmp_path / "run", seed=3)


def test_every_name_is_there_and_importing_costs_nothing():
    for name in tk.__all__:
        assert getattr(tk, name) is not None
    assert sorted(tk.__all__) == dir(tk)
    with pytest.raises(AttributeError, match="no attribute 'fintune'"):
        _ = tk.fintune
    code = (
        "import sys; before = set(sys.modules); import transferkit\n"
        "heavy = {'keras', 'tensorflow', 'numpy', 'pandas', 'sklearn'} & (set(sys.modules) - before)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_settings_win_over_a_recipe_and_that_over_the_defaults(run: tk.Run, photos: Path):
    assert (run.recipe.seed, run.recipe.strengths, run.recipe.epochs) == (3, 15, "auto")
    with pytest.raises(UnknownName, match="similar-little"):
        tk.finetune(photos, "similar-litle")
    with pytest.raises(tk.UsageError, match="Did you mean 'epochs'"):
        tk.finetune(photos, epoch=3)
    with pytest.raises(tk.UsageError, match="strategy"):
        tk.finetune(photos, tk.Recipe(strategy="lineal"))


def test_paths_arrays_and_tables_are_predicted_in_their_order(run: tk.Run, photos: Path, tmp_path: Path):
    files = sorted(photos.rglob("*.png"))[::7]
    found = run.predict(files)
    assert list(found.columns) == ["path", "pred", "p", "top5", "error"]
    assert list(found["path"]) == [str(file) for file in files] and (found["error"] == "").all()
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    for given in (pixels, list(pixels), pixels.astype(np.float32)):
        arrays = run.predict(given)
        assert list(arrays["pred"]) == list(found["pred"])
        np.testing.assert_allclose(arrays["p"], found["p"], atol=1e-5)
    (tmp_path / "bad.png").write_text("no picture")
    table = pd.DataFrame(
        {"path": [files[0], tmp_path / "bad.png", tmp_path / "gone.png", files[1]]}, index=list("abcd")
    )
    told = run.predict(table)
    assert list(told.index) == list("abcd")
    assert list(told["pred"].notna()) == [True, False, False, True]
    assert "no such file" in told["error"]["c"].lower() and told["error"]["b"]
    with pytest.raises(UsageError, match="no column 'path', but file"):
        run.predict(pd.DataFrame({"file": ["a"]}))
    assert len(run.predict(photos / "red")) == 20
    os.mkfifo(tmp_path / "pipe")  # to read it would wait for ever
    told = run.predict([files[0], tmp_path / "pipe", files[1]])
    assert list(told["error"]) == ["", "a pipe, socket or device; files are needed", ""]
    mixed = run.predict(iter([files[0], str(tmp_path / "gone.png"), photos / "red", files[1]]))
    red = sorted(map(str, (photos / "red").glob("*.png")))
    assert list(mixed["path"]) == [str(files[0]), str(tmp_path / "gone.png"), *red, str(files[1])]
    assert list(mixed["pred"].notna()) == [True, False, *[True] * 21]
    with pytest.raises(tk.DataError, match="looks like one image"):
        run.predict(pixels[0])
    frame, failed = tk.predict(run, str(files[0]))
    assert len(frame) == 1 and not failed


def test_grey_and_transparent_arrays_are_seen_as_their_files_are(run: tk.Run, tmp_path: Path):
    random = np.random.default_rng(0)
    for number, shape in enumerate(((40, 30), (40, 30, 1), (40, 30, 4))):
        pixels = random.integers(0, 256, shape).astype(np.uint8)
        file = tmp_path / f"{number}.png"
        Image.fromarray(pixels.squeeze()).save(file)
        np.testing.assert_allclose(run.predict([pixels])["p"], run.predict([file])["p"], atol=1e-6)


def test_a_report_is_words_in_a_terminal_and_a_table_with_figures_in_a_notebook(run: tk.Run):
    top1 = f"{run.metrics['splits']['test']['top1']:.1%}"
    words, html = repr(run.report), run.report._repr_html_()
    for text in (words, html):
        assert top1 in text and "report.html" in text and "linear" in text
    assert html.count("<img ") >= 1 and "<script" not in html and "data:image/svg+xml;base64," in html
    assert run.report.numbers.score("test") == run.metrics["splits"]["test"]["top1"]


def test_a_run_is_loaded_evaluated_and_explained(run: tk.Run, photos: Path):
    again = tk.load(run.folder)
    assert isinstance(again, tk.Run) and repr(again) == f"Run({str(run.folder)!r})"
    assert again.evaluate(photos).metrics.n == 60
    compared = tk.compare([run, again])
    assert compared.runs[1].against_first is not None and compared.runs[1].against_first.difference == 0
    with pytest.raises(tk.UsageError, match="no such run"):
        tk.load(run.folder / "nothing")


def test_plans_lists_and_recipes_are_values(toy: object, photos: Path):
    planned = tk.plan(photos, ASKED)
    assert planned.plan.strategy == "linear" and planned.estimate.as_dict()
    table = tk.backbones()
    assert {"name", "parameters", "macs", "top1", "stages"} <= set(table.columns)
    assert table.set_index("name").loc["resnet50", "width"] == 2048
    assert set(tk.recipes()["name"]) >= {"fast", "quickstart"}
    assert "digits" in set(tk.datasets()["name"])
    assert len(tk.inspect(photos)) == 0


@pytest.mark.parametrize("notebook", [False, True])
def test_the_library_is_silent_but_in_notebooks(monkeypatch: Any, capsys: Any, notebook: bool):
    monkeypatch.setattr(progress, "_shown", None)
    monkeypatch.setattr(progress, "in_notebook", lambda: notebook)
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    progress.say("hello")
    with progress.task("bank", 2) as task:
        task.advance(2)
    told = capsys.readouterr()
    assert told.err == "" and ("hello" in told.out) == notebook == ("bank: 2 images" in told.out)


def test_a_model_for_keras_users_trains_its_head_alone(photos: Path):
    import keras

    model = tk.build_model("mobilenet_0.25", 3, weights="none", image_size=32, dropout=0.2)
    assert [layer.name for layer in model.layers[-3:]] == ["pool", "dropout", "probabilities"]
    assert len(model.trainable_weights) == 2
    thawed = tk.build_model("mobilenet_0.25", 3, weights="none", image_size=32, freeze_depth=4)
    trains = {layer.name for layer in thawed.layers if layer.trainable_weights}
    assert len(trains) > 1 and not any(name.endswith("_bn") for name in trains)
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3))
    assert np.allclose(keras.ops.convert_to_numpy(model(images)).sum(axis=1), 1, atol=1e-5)
    with pytest.raises(tk.UsageError, match="has 5 stages, so 0 to 5"):
        tk.build_model("mobilenet_0.25", 3, weights="none", freeze_depth=9)


def test_both_ends_of_a_backbone_are_the_whole():
    import keras

    from tests.conftest import toy_network

    network = toy_network()
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3))
    whole = keras.ops.convert_to_numpy(network(images))
    for at in ("stage2", "add1"):
        bottom, top = tk.split_backbone(network, at=at)
        assert (keras.ops.convert_to_numpy(top(bottom(images))) == whole).all()
    with pytest.raises(tk.UsageError, match="is not a cut"):
        tk.split_backbone(network, at="side2")
    with pytest.raises(UnknownName, match="Did you mean 'stage3'"):
        tk.split_backbone(network, at="stage33")


def test_a_policy_is_called_on_arrays_and_in_a_data_set():
    import tensorflow as tf

    images = np.random.default_rng(0).integers(0, 256, (6, 40, 40, 3)).astype(np.uint8)
    first, again = (tk.Augmentation("light", 32, seed=4) for _ in range(2))
    found = first(images)
    assert found.shape == (6, 32, 32, 3) and 0 <= found.min() and found.max() <= 255
    np.testing.assert_array_equal(found, again(images))
    assert not np.array_equal(found, first(images)), "each call draws anew"
    mapped = tf.data.Dataset.from_tensor_slices(images).batch(3).map(tk.Augmentation("standard", 32))
    epochs = [np.concatenate(list(mapped)) for _ in range(2)]
    assert epochs[0].shape == (6, 32, 32, 3)
    assert not np.array_equal(*epochs), "each epoch draws anew"
    with pytest.raises(tk.UsageError, match="mixup mixes the labels of a batch too"):
        tk.Augmentation(["horizontal_flip", "mixup"], 32)


def test_a_policy_on_arrays_does_what_it_does_in_a_run():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (8, 32, 32, 3)).astype(np.uint8)
    found = tk.Augmentation("light", 32)(images)
    for one, image in zip(found, images.astype(np.float32), strict=True):
        assert min(abs(one - image).max(), abs(one - image[:, ::-1]).max()) > 40, "it crops too"
    whole = tk.Augmentation("light", 32, seen=1.0)(images)
    for one, image in zip(whole, images.astype(np.float32), strict=True):
        assert min(abs(one - image).max(), abs(one - image[:, ::-1]).max()) < 4, "it mirrors alone"
    with pytest.raises(tk.UsageError, match="pca_noise follows the colour axes"):
        tk.Augmentation(["pca_noise"], 32)
    reds = images * np.uint8([1, 0, 0])
    shifts = tk.Augmentation(["pca_noise"], 32, colours=reds)(np.full((8, 32, 32, 3), 99.0)) - 99
    assert abs(shifts[..., 0]).max() > 1 and abs(shifts[..., 1:]).max() < 1e-3, "along the colours that vary"


def test_the_program_that_the_type_checker_sees_calls_the_whole_api():
    # `make check` has it checked in strict mode.
    program = Path(__file__).with_name("api_program.py").read_text(encoding="utf-8")
    errors = {name for name in tk.__all__ if name.endswith("Error")} | {"UnreadableImage", "ReportView"}
    for name in set(tk.__all__) - errors - {"__version__"}:
        assert f"tk.{name}" in program, name
