import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.api.test_finetune import recipe
from tests.conftest import draw, draw_classes
from transferkit import progress
from transferkit.api import evaluate, finetune, inspect
from transferkit.api.inputs import Data, open_data
from transferkit.errors import DataError, UsageError
from transferkit.runs import Run, write_csv


def table_of(folder: Path) -> pd.DataFrame:
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*.png"))
    return pd.DataFrame({"path": [path.as_posix() for path in paths], "label": [p.parts[0] for p in paths]})


def splits_of(run: Run) -> dict[str, str]:
    splits = pd.read_csv(run.folder / "splits.csv")
    return dict(zip(splits["path"], splits["split"], strict=True))


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    """A manifest of 24 patients with 3 pictures each, named by the patient."""
    rows = []
    for n in range(72):
        label, patient = ("blue", "red")[n % 2], n // 3
        path = f"pictures/p{patient:02d}_{n:02d}.png"
        draw(tmp_path / path, {"blue": (40, 60, 200), "red": (210, 50, 40)}[label], seed=n)
        rows.append({"path": path, "label": label, "person": f"{patient:02d}", "age": 40})
    write_csv(tmp_path / "patients.csv", pd.DataFrame(rows))
    return tmp_path / "patients.csv"


@pytest.mark.usefixtures("toy")
def test_all_forms_of_the_same_files_give_the_same_split_and_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    photos = draw_classes(tmp_path / "photos", 10)
    table = table_of(photos).sample(frac=1, random_state=1)
    write_csv(photos / "list.csv", table)
    table.rename(columns={"path": " Path", "label": "LABEL"}).to_parquet(photos / "list.parquet")
    forms: dict[str, Data] = {
        "csv": photos / "list.csv",
        "parquet": photos / "list.parquet",
        "zip": shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "photos"),
        "tar": shutil.make_archive(str(tmp_path / "packed"), "gztar", photos),
        "table": table,
    }
    monkeypatch.chdir(photos)
    asked = recipe(strategy="linear", seed=4)
    first = finetune(photos, asked, out=tmp_path / "folder")
    assert len(splits_of(first)) == 30
    for name, data in forms.items():
        run = finetune(data, asked, out=tmp_path / name)
        for file in ("splits.csv", "metrics.json", "predictions.csv"):
            assert (run.folder / file).read_bytes() == (first.folder / file).read_bytes(), (name, file)


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("group_by", ["person", r"p(\d+)_"])
def test_groups_are_in_one_split_each_and_the_saved_recipe_repeats_it(
    group_by: str, patients: Path, tmp_path: Path
):
    def torn(run: Run) -> int:
        found = {(path.split("_")[0], split) for path, split in splits_of(run).items()}
        return len(found) - 24

    alone = finetune(patients, recipe(strategy="linear"), out=tmp_path / "alone")
    grouped = finetune(patients, recipe(strategy="linear", group_by=group_by), out=tmp_path / "grouped")
    assert torn(alone) > 0 == torn(grouped)
    assert set(splits_of(grouped).values()) == {"train", "val", "test"}
    assert set(grouped.metrics["intersections"]["group"].values()) == {0}
    assert "group" not in alone.metrics["intersections"]
    assert "group" not in pd.read_csv(alone.folder / "splits.csv")
    told = pd.read_csv(grouped.folder / "splits.csv", dtype=str)
    assert (told["group"] == told["path"].str.extract(r"p(\d+)_")[0]).all()
    again = finetune(patients, grouped.recipe, out=tmp_path / "again")
    assert grouped.recipe.group_by == group_by
    assert splits_of(again) == splits_of(grouped)
    assert again.metrics == grouped.metrics


@pytest.mark.usefixtures("toy")
def test_a_column_and_a_pattern_that_name_the_same_groups_split_alike(patients: Path, tmp_path: Path):
    asked = [recipe(strategy="linear", group_by=by) for by in ("person", r"p(\d+)_")]
    column, pattern = (finetune(patients, one, out=tmp_path / f"run-{i}") for i, one in enumerate(asked))
    assert splits_of(column) == splits_of(pattern)


@pytest.mark.usefixtures("toy")
def test_an_unknown_column_is_told_with_the_nearest_first(patients: Path, tmp_path: Path):
    with pytest.raises(UsageError, match=r"no column 'persons' to group by. There is: person, "):
        finetune(patients, recipe(strategy="linear", group_by="persons"), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("group_by", "told", "groups"), [(None, True, 1), ("", False, 1), (r"p(\d+)_", False, 24)]
)
def test_a_column_like_groups_is_told_of_only_where_groups_were_not_thought_of(
    group_by: str | None, told: bool, groups: int, patients: Path, capsys: pytest.CaptureFixture[str]
):
    progress.show(True)
    write_csv(patients, pd.read_csv(patients).rename(columns={"person": "patient"}))
    assert open_data(patients, group_by=group_by).files["group"].nunique() == groups
    assert ("'patient'" in capsys.readouterr().err) == told


@pytest.mark.usefixtures("toy")
def test_a_run_from_a_manifest_is_evaluated_on_a_manifest(patients: Path, tmp_path: Path):
    run = finetune(patients, recipe(strategy="linear", group_by="person"), out=tmp_path / "run")
    table = pd.read_csv(patients).rename(columns={"person": "patient"})
    table["split"] = table["path"].map(splits_of(run))
    write_csv(patients.parent / "parted.csv", table)
    found = evaluate(run, patients.parent / "parted.csv", split="test")
    own = run.predictions.query("split == 'test'")
    assert found.predictions["path"].to_list() == own["path"].to_list()
    assert found.predictions["pred"].to_list() == own["pred"].to_list()
    assert found.metrics.top1 == run.metrics["splits"]["test"]["top1"]
    assert found.seen == 0


@pytest.mark.usefixtures("toy")
def test_the_findings_of_inspect_are_a_list_to_exclude(tmp_path: Path):
    photos = draw_classes(tmp_path / "photos", 10)
    shutil.copy(photos / "red" / "000.png", photos / "blue" / "copy.png")
    (photos / "red" / "broken.png").write_bytes(b"no image")
    found = inspect(photos)
    write_csv(tmp_path / "findings.csv", found[found["level"] == "error"])
    asked = recipe(strategy="linear", exclude=str(tmp_path / "findings.csv"))
    run = finetune(photos, asked, out=tmp_path / "run")
    excluded = pd.read_csv(run.folder / "excluded.csv")
    assert dict(zip(excluded["path"], excluded["reason"], strict=True)) == {
        "blue/copy.png": "excluded on request (label-conflict: same bytes as red/000.png, labelled red)",
        "red/000.png": "excluded on request (label-conflict: same bytes as blue/copy.png, labelled blue)",
        "red/broken.png": "excluded on request (not-an-image: not an image: its first bytes are "
        "6e 6f 20 69 6d 61 67 65)",
    }
    assert not set(excluded["path"]) & set(splits_of(run))
    again = evaluate(run, photos, exclude=str(tmp_path / "findings.csv"))
    assert again.metrics.n == 29
    assert {Path(path).name for path in again.failed} == {"copy.png", "000.png", "broken.png"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("skip.txt", "./red/000.png\n\n  blue/001.png\n"),
        ("skip.csv", "path\nred/000.png\nblue/001.png\n"),
        ("skip", "path,note\nred/000.png,x\nblue/001.png,y\n"),
    ],
)
def test_paths_to_exclude_without_a_why_are_left_out_on_request(
    name: str, text: str, photos: Path, tmp_path: Path
):
    (tmp_path / name).write_text(text)
    found = open_data(photos, str(tmp_path / name)).excluded
    assert dict(zip(found["path"], found["reason"], strict=True)) == {
        "blue/001.png": "excluded on request",
        "red/000.png": "excluded on request",
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "not a table"),
        (b'path\n"a\n', "not a table"),
        (b"name\na\n", "no column 'path'; has name"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_a_list_to_exclude_that_is_no_table_is_told(content: bytes, told: str, photos: Path, tmp_path: Path):
    (tmp_path / "skip.csv").write_bytes(content)
    with pytest.raises(DataError, match=told):
        open_data(photos, str(tmp_path / "skip.csv"))


@pytest.mark.parametrize("form", ["csv", "frame"])
def test_a_column_whose_name_looks_like_a_pattern_is_taken(form: str, patients: Path):
    table = pd.read_csv(patients, dtype=str).rename(columns={"person": "patient(id)"})
    write_csv(patients, table)
    table["path"] = [str(patients.parent / path) for path in table["path"]]
    index = open_data(patients if form == "csv" else table, group_by="patient(id)")
    assert sorted(set(index.files["group"])) == [f"{n:02d}" for n in range(24)]
