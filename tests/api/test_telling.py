"""What a run tells beside its scores, end to end on toys."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

import transferkit as tk
from tests.api.test_finetune import recipe
from tests.conftest import draw_classes
from transferkit.api import finetune
from transferkit.api.comparing import compare
from transferkit.api.prediction import probabilities_of
from transferkit.api.reference import last_cut, read_reference
from transferkit.api.rereporting import report
from transferkit.cli import cli
from transferkit.data.decode import DecodePolicy, decode
from transferkit.errors import DataError
from transferkit.reports import record
from transferkit.runs import Run
from transferkit.training.described import describer

pytestmark = [pytest.mark.told, pytest.mark.usefixtures("toy")]


@pytest.fixture
def run(photos: Path, tmp_path: Path) -> Run:
    return finetune(photos, recipe(strategy="linear"), out=tmp_path / "run")


def call(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.mark.heat
def test_a_run_keeps_numbers_and_pictures_from_which_its_pages_are_made_again(run: Run):
    told = record.read(run.folder)
    schema = json.loads(record.SCHEMA_FILE.read_text(encoding="utf-8"))
    jsonschema.validate(json.loads((run.folder / record.FILE).read_text()), schema)
    assert told.calibration is not None and told.calibration.temperature > 0
    assert told.rejection is not None and told.conformal is not None and told.cost is not None
    assert list(told.stage_probes) == ["stage1", "stage2", "stage3", "all"]
    assert told.gallery is not None and told.gallery.unsure
    for picture in (*told.gallery.mistakes, *told.gallery.unsure):
        assert (run.folder / picture.thumbnail).stat().st_size > 300
        assert (run.folder / picture.heat).stat().st_size > 300
    before = {name: (run.folder / name).read_bytes() for name in ("report.html", "report.md")}
    for name in before:
        (run.folder / name).unlink()
    assert report(run.folder) == run.folder / "report.html"
    assert {name: (run.folder / name).read_bytes() for name in before} == before
    assert "WARNING" not in call("report", run.folder).stderr
    (run.folder / told.gallery.unsure[0].thumbnail).unlink()
    assert "WARNING: 1 of " in call("report", run.folder).stderr


@pytest.mark.parametrize("strategy", ["linear", "full"])
def test_the_reference_is_what_the_saved_model_says_of_train(strategy: str, photos: Path, tmp_path: Path):
    import keras

    rate = {"learning_rate": 3e-2} if strategy == "full" else {}
    run = finetune(photos, recipe(strategy=strategy, batch_size=4, epochs=6, **rate), out=tmp_path / "run")
    assert (run.metrics["kept"] == "fine-tuned") == (strategy == "full")
    found = read_reference(run)
    splits = pd.read_csv(run.folder / "splits.csv")
    assert sorted(found.paths) == sorted(splits.loc[splits["split"] == "train", "path"])
    images = np.stack([decode(photos / path, DecodePolicy(size_px=32)) for path in found.paths])
    model = keras.models.load_model(run.folder / "model.keras")
    means = describer(model, last_cut(run)[0]).predict_on_batch(images)[:, : found.features.shape[1]]
    assert np.allclose(found.features, means, rtol=2e-3, atol=1e-3)
    cost = record.read(run.folder).cost
    assert cost is not None and cost.images_per_second


def test_a_page_is_made_again_without_tensorflow(run: Run):
    import subprocess
    import sys

    code = (
        "import sys; from transferkit.cli import cli; "
        f"cli(['report', {str(run.folder)!r}], standalone_mode=False); "
        "assert not {'tensorflow', 'keras', 'jax'} & set(sys.modules), 'a framework was imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("report: ")


def test_wrong_labels_are_suspects_and_can_be_put_right(photos: Path, tmp_path: Path):
    names = sorted(path.name for path in photos.iterdir())
    moved = sorted((photos / names[0]).iterdir())[:2]
    for path in moved:
        path.rename(photos / names[1] / f"wrong-{path.name}")
    run = finetune(photos, recipe(strategy="linear"), out=tmp_path / "run")
    fixes = pd.read_csv(run.folder / "fixes.csv", keep_default_na=False)
    wrong = [f"{names[1]}/wrong-{path.name}" for path in moved]
    assert set(wrong) <= set(fixes["path"])
    first = fixes[fixes["path"].isin(wrong)]
    assert set(first["suggested"]) == {names[0]} and set(first["fix"]) == {""}
    with pytest.raises(DataError, match="the column fix is empty in all rows"):
        finetune(photos, recipe(fixes=str(run.folder / "fixes.csv")), out=tmp_path / "none")
    fixes.loc[fixes["path"] == wrong[0], "fix"] = "suggested"
    fixes.loc[fixes["path"] == wrong[1], "fix"] = "exclude"
    fixes.to_csv(tmp_path / "mine.csv", index=False)
    again = finetune(
        photos, recipe(strategy="linear", fixes=str(tmp_path / "mine.csv")), out=tmp_path / "again"
    )
    labels = pd.read_csv(again.folder / "splits.csv").set_index("path")["label"]
    assert labels[wrong[0]] == names[0] and wrong[1] not in labels.index
    assert (photos / wrong[0]).exists() and again.recipe.fixes == str(tmp_path / "mine.csv")


def test_fixes_that_say_nonsense_are_told_all_at_once(photos: Path, tmp_path: Path):
    file = tmp_path / "fixes.csv"
    known = next(photos.rglob("*.png")).relative_to(photos)
    file.write_text(f"path,fix\nnowhere.png,exclude\n{known},nothing-like-it\n")
    with pytest.raises(
        DataError, match="nowhere.png: no such image\n.*no class 'nothing-like-it'; there are"
    ):
        finetune(photos, recipe(fixes=str(file)), out=tmp_path / "run")


def test_sets_of_classes_are_named_where_the_run_has_them(run: Run, photos: Path):
    result = call("predict", run.folder, photos, "--sets", "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["predictions"]
    truth = [Path(row["path"]).parent.name in row["set"].split("|") for row in rows]
    assert sum(truth) / len(truth) >= 0.85 and all(row["pred"] in row["set"] for row in rows if row["set"])
    labels = run.folder / "labels.json"
    labels.write_text(labels.read_text().replace('"red"', '"re|d"'))
    rows = json.loads(call("predict", run.folder, photos, "--sets", "--json").stdout)["predictions"]
    assert any(row["set"] == r"re\|d" for row in rows if row["pred"] == "re|d")
    numbers = json.loads((run.folder / "report.json").read_text())
    (run.folder / "report.json").write_text(json.dumps(numbers | {"conformal": None}))
    refused = call("predict", run.folder, photos, "--sets")
    assert refused.exit_code == 2 and "has no sets of classes" in refused.stderr


def test_answers_that_are_not_sure_enough_are_not_accepted(run: Run, photos: Path):
    file = run.folder / "report.json"
    numbers = json.loads(file.read_text())
    told = numbers["rejection"] | {"threshold": 0.99}
    file.write_text(json.dumps(numbers | {"rejection": told, "calibration": {"temperature": 2.0}}))
    run = tk.load(run.folder)
    rows = json.loads(call("predict", run.folder, photos, "--reject", "--json").stdout)["predictions"]
    frame = run.predict([photos, "not there.png"], reject=True, sets=True)
    assert frame["accepted"].tolist()[:-1] == [row["accepted"] for row in rows]
    assert frame["accepted"].iloc[-1] is None and frame["set"].iloc[:-1].notna().all()
    # At temperature 2 probabilities are square roots, brought to a sum of 1.
    roots = np.sqrt(probabilities_of(run, [Path(row["path"]) for row in rows], "auto", "none")[0])
    sure = (roots / roots.sum(axis=1, keepdims=True)).max(axis=1)
    assert [row["accepted"] for row in rows] == (sure >= 0.99).tolist()
    assert any(row["p"] >= 0.99 and not row["accepted"] for row in rows), "it is not the plain probability"
    assert 0 < sum(row["accepted"] for row in rows) < len(rows)
    file.write_text(json.dumps(numbers | {"rejection": told | {"threshold": None}}))
    refused = call("predict", run.folder, photos, "--reject")
    assert refused.exit_code == 2 and "no threshold made" in refused.stderr


@pytest.mark.heat
def test_an_image_is_explained_by_what_spoke_for_it_and_what_it_is_like(
    run: Run, photos: Path, tmp_path: Path
):
    image = next(photos.rglob("*.png"))
    out = tmp_path / "why.html"
    result = call("explain", run.folder, image, "--stage", "stage2", "--filters", "--out", out)
    assert result.exit_code == 0, result.output
    assert f"most like {image.parent.name} (" in result.stdout
    text = out.read_text()
    assert "at stage2" in text and text.count("<img ") >= 2 + 3 and "First filters" in text
    found = run.explain(image, stage="stage2")
    assert repr(found).startswith("1 images, heat taken at stage2\n") and str(image.name) in repr(found)
    assert found._repr_html_().count("<img ") == 2
    splits = pd.read_csv(run.folder / "splits.csv").set_index("path")["split"]
    seen = run.explain([photos / path for path in splits.index[splits == "train"][:2]])
    for one in seen.images:
        # The nearest to a train image is another, though its own features are the reference's.
        assert one.split == "train" and not any(one.path.endswith(path) for path, _, _ in one.nearest)
        assert len(one.nearest) == 3 and one.strange == pytest.approx(1 - one.nearest[0][2])
    assert seen._repr_html_().count(", one of train") == 2
    new = draw_classes(tmp_path / "new", 1, seed=700)
    assert {one.split for one in run.explain(new).images} == {""}
    (run.folder / "content.csv").unlink()
    assert {one.split for one in run.explain([photos / splits.index[0]]).images} == {""}
    bad = call("explain", run.folder, image, "--stage", "stag2", "--out", out)
    assert bad.exit_code == 2 and "Did you mean 'stage2'" in bad.stderr
    (tmp_path / "no.png").write_text("no picture")
    both = call("explain", run.folder, image, tmp_path / "no.png", "--out", out)
    assert both.exit_code == 1 and "left out" in both.stderr


def relabelled(photos: Path, table: Path, wrong: int) -> Path:
    """A table of the photographs in which some are called another class."""
    files = sorted(photos.rglob("*.png"))
    names = sorted({file.parent.name for file in files})
    labels = [file.parent.name for file in files]
    labels[:wrong] = [names[(names.index(label) + 1) % len(names)] for label in labels[:wrong]]
    pd.DataFrame({"path": [str(file) for file in files], "label": labels}).to_csv(table, index=False)
    return table


def test_a_floor_under_top1_decides_how_it_ends(photos: Path, tmp_path: Path):
    half_wrong = relabelled(photos, tmp_path / "half.csv", 30)
    words = ["--backbone", "toy", "--weights", "none", "--strategy", "linear", "--set", "strengths=15"]
    low = call("finetune", half_wrong, *words, "--out", tmp_path / "run", "--min-top1", 0.99)
    assert low.exit_code == 1 and "is below the floor of 0.99 (--min-top1)" in low.stderr
    assert Run.open(tmp_path / "run").metrics["splits"]["test"]["top1"] < 0.99
    above = call("finetune", half_wrong, *words, "--out", tmp_path / "above", "--min-top1", 0.01)
    assert above.exit_code == 0, above.output
    for floor, code in ((0.99, 1), (0.01, 0)):
        assert call("evaluate", tmp_path / "run", half_wrong, "--min-top1", floor).exit_code == code
    out_of_range = call("evaluate", tmp_path / "run", tmp_path / "nowhere", "--min-top1", 2)
    assert out_of_range.exit_code == 2 and "--min-top1 2 is not allowed" in out_of_range.stderr


def test_an_earlier_run_that_cannot_be_compared_with_is_told_before_any_work(
    run: Run, photos: Path, tmp_path: Path
):
    (run.folder / "content.csv").unlink()
    with pytest.raises(DataError, match="has no content.csv, .* Copy the whole folder"):
        finetune(photos, recipe(against=str(run.folder)), out=tmp_path / "new")
    with pytest.raises(DataError, match="has no content.csv, .* Copy the whole folder"):
        compare([run.folder, run.folder])
    assert not list(tmp_path.glob("new*"))


def test_a_page_is_not_written_over_a_folder(run: Run, tmp_path: Path):
    for words in (["compare", run.folder, run.folder], ["explain", run.folder, tmp_path]):
        refused = call(*words, "--out", tmp_path)
        assert refused.exit_code == 2 and "that is a folder; a file is needed" in refused.stderr


def test_a_class_with_one_image_does_not_take_the_doubts_from_all_others(photos: Path, tmp_path: Path):
    names = sorted(path.name for path in photos.iterdir())
    moved = sorted((photos / names[0]).iterdir())[0]
    moved.rename(photos / names[1] / "wrong.png")
    lone = tmp_path / "lone.csv"
    relabelled(photos, lone, 0)
    frame = pd.read_csv(lone)
    extra = draw_classes(tmp_path / "extra", 1, names=("red",), seed=7) / "red" / "000.png"
    twice = extra.with_name("copy.png")
    twice.write_bytes(extra.read_bytes())
    frame["split"] = ["train" if row % 3 else ("val" if row % 2 else "test") for row in range(len(frame))]
    # Two files, but one picture: there is none to judge the other by.
    frame.loc[len(frame)] = [str(extra), "lone", "train"]
    frame.loc[len(frame)] = [str(twice), "lone", "train"]
    frame.to_csv(lone, index=False)
    run = finetune(lone, recipe(strategy="linear"), out=tmp_path / "run")
    told = record.read(run.folder).doubts
    assert told is not None and told.images == 60
    assert any("wrong.png" in one.path for one in told.suspects)
