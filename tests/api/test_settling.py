from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from tests.api.test_finetune import recipe
from tests.bad_files import jpeg, make_split, picture
from tests.conftest import draw_classes, indexed
from transferkit.api import finetune
from transferkit.api.settling import settle
from transferkit.data.index import Index
from transferkit.errors import DataError, UsageError
from transferkit.recipe import Recipe
from transferkit.runs import Run


def splits_of(run: Run) -> dict[str, str]:
    splits = pd.read_csv(run.folder / "splits.csv")
    return dict(zip(splits["path"], splits["split"], strict=True))


def linear(data: Path, out: Path, **values: object) -> Run:
    return finetune(data, recipe(strategy="linear", **values), out=out)


def changed(before: Run, after: Run) -> int:
    new = splits_of(after)
    return sum(new[path] != split for path, split in splits_of(before).items())


@pytest.mark.usefixtures("toy")
def test_more_files_move_no_old_one(photos: Path, tmp_path: Path):
    before = linear(photos, tmp_path / "before")
    for number, name in enumerate(("blue", "green", "red")):
        draw_classes(tmp_path / "more", 12, (name,), seed=7000 + 100 * number)
    for path in (tmp_path / "more").rglob("*.png"):
        path.rename(photos / path.parent.name / f"new-{path.name}")
    after = linear(photos, tmp_path / "after")
    assert "were moved to another split" not in (before.folder / "report.md").read_text()
    assert len(splits_of(after)) == 96
    assert changed(before, after) == 0
    assert changed(before, linear(photos, tmp_path / "other", seed=1)) > 0


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("named", ["", "content.csv", "splits.csv"])
def test_files_that_an_earlier_run_knows_keep_their_splits(named: str, photos: Path, tmp_path: Path):
    before = linear(photos, tmp_path / "before")
    if named != "splits.csv":  # which knows no content
        (photos / "red" / "000.png").rename(photos / "red" / "renamed.png")
    draw_classes(tmp_path / "more", 5, seed=7000)
    for path in (tmp_path / "more").rglob("*.png"):
        path.rename(photos / path.parent.name / f"new-{path.name}")
    after = linear(photos, tmp_path / "after", seed=5, splits=str(before.folder / named))
    old, new = splits_of(before), splits_of(after)
    new["red/000.png"] = new.pop("red/renamed.png", new.get("red/000.png", ""))
    assert {path: new[path] for path in old} == old
    assert {split for path, split in new.items() if path not in old} == {"train", "val", "test"}
    assert after.recipe.splits == str(before.folder / named)


@pytest.fixture
def index(photos: Path, own_cache: Path) -> Index:
    """Three classes of 20 pictures, looked at."""
    return indexed(photos, own_cache)


def with_column(index: Index, **columns: object) -> Index:
    return replace(index, files=index.files.assign(**columns))  # type: ignore[arg-type]


def notes(index: Index, **values: object) -> list[str]:
    return settle(index, Recipe.from_mapping(values)).notes


def test_groups_are_counted_by_split(index: Index):
    numbers = index.files["path"].str[-7:-4]
    settled = settle(with_column(index, group=numbers), Recipe(group_by="patient"))
    found = settled.index.files.groupby("split")["group"].nunique()
    told = f"grouped by patient: 20 groups; train {found['train']}, val {found['val']}, test {found['test']}"
    assert told in settled.notes
    assert not any("grouped" in note for note in notes(index))


def test_a_split_far_from_what_was_asked_for_is_told(index: Index):
    quarters = with_column(index, group=(index.files["path"].str[-7:-4].astype(int) // 5).astype(str))
    told = [note.partition(":")[0] for note in notes(quarters) if "was asked for" in note]
    share = "has 25% of the images where about 15% was asked for"
    assert told == [f"val {share}", f"test {share}"]
    fitting = notes(quarters, val_fraction=0.2, test_fraction=0.2)
    assert not any("was asked for" in note for note in fitting)


def in_folders(index: Index, split: str) -> Index:
    """The five first of each class are given to a split, the rest to train."""
    first = index.files["path"].str[-7:-4] < "005"
    return with_column(index, split=[split if is_first else "train" for is_first in first])


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_fraction_of_a_split_that_is_given_says_nothing(index: Index, split: str):
    given = in_folders(index, split)
    told = f"WARNING: --{split}-fraction 0.3 says nothing here: {split} is given"
    assert told in notes(given, **{f"{split}_fraction": 0.3})
    assert not any("says nothing" in note for note in notes(given))
    assert not any("says nothing" in note for note in notes(index, **{f"{split}_fraction": 0.3}))


def test_a_class_that_a_given_val_lacks_is_told(index: Index):
    given = in_folders(index, "val")
    assert not any("has no image" in note for note in notes(given))
    lacking = given.files[(given.files["split"] != "val") | (given.files["label"] != "red")]
    told = notes(replace(given, files=lacking.reset_index(drop=True)))
    assert "WARNING: the given val lacks 1 of the classes: red" in told


def earlier(index: Index, folder: Path, *columns: str, **changed: object) -> str:
    """A file of an earlier run's splits with these columns; `changed` replaces some."""
    files = settle(index, Recipe(seed=3)).index.files.assign(**changed)  # type: ignore[arg-type]
    files[[*columns, "split"]].to_csv(folder / "known.csv", index=False)
    return str(folder / "known.csv")


def test_files_are_known_by_content_then_by_path_and_the_rest_is_new(index: Index, tmp_path: Path):
    known = pd.read_csv(earlier(index, tmp_path, "path", "sha256"))
    known.loc[:4, "sha256"] = "saved anew"
    known.loc[5:14, "path"] = "renamed"
    known.drop(range(15, 18)).to_csv(tmp_path / "known.csv", index=False)
    settled = settle(index, Recipe(splits=str(tmp_path / "known.csv")))
    told = "52 files keep their split, 5 known by their path alone, 3 new"
    assert f"--splits {tmp_path / 'known.csv'}: {told}" in settled.notes
    before = settle(index, Recipe(seed=3)).index.files.drop(range(15, 18))
    after = settled.index.files.drop(range(15, 18))
    assert after["split"].to_list() == before["split"].to_list()


@pytest.mark.parametrize("column", ["path", "sha256"])
def test_one_column_suffices_to_know_files_by(index: Index, tmp_path: Path, column: str):
    settled = settle(index, Recipe(seed=0, splits=earlier(index, tmp_path, column)))
    before = settle(index, Recipe(seed=3)).index.files
    assert settled.index.files["split"].to_list() == before["split"].to_list()


def test_splits_of_other_images_are_told(index: Index, tmp_path: Path):
    source = earlier(index, tmp_path, "path", "sha256", path="other", sha256="other")
    (told,) = [note for note in notes(index, splits=source) if "--splits" in note]
    assert told.startswith("WARNING: ")
    assert told.endswith("60 new: is it a run on other images?")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("path,split\na,holdout\nb,train\n", "unknown splits holdout; train, val, test are known"),
        ("path,label\na,cat\n", "columns split and sha256 .or path. are needed; it has path, label"),
        ("split\ntrain\n", "are needed; it has split"),
        ("", "not a table"),
    ],
)
def test_a_list_of_splits_that_is_none_is_told(index: Index, tmp_path: Path, text: str, told: str):
    (tmp_path / "known.csv").write_text(text)
    with pytest.raises(DataError, match=told):
        settle(index, Recipe(splits=str(tmp_path / "known.csv")))


@pytest.mark.usefixtures("toy")
def test_an_earlier_run_that_is_none_is_told(photos: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="content.csv. Give the folder of an earlier run"):
        linear(photos, tmp_path / "run", splits=str(tmp_path))


@pytest.mark.usefixtures("toy")
def test_pictures_saved_again_share_a_split_unless_taken_as_strangers(tmp_path: Path):
    for label in ("cats", "dogs"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for n in range(16):
            pixels = picture(f"{label} {n}", 128, 128, cells=8)
            (tmp_path / "data" / label / f"{n:02d}-a.jpg").write_bytes(jpeg(pixels))
            (tmp_path / "data" / label / f"{n:02d}-b.jpg").write_bytes(jpeg(pixels, quality=60))

    def torn(run: Run) -> int:
        splits = splits_of(run)
        return sum(splits[path] != splits[path.replace("-a", "-b")] for path in splits)

    together = linear(tmp_path / "data", tmp_path / "together")
    strangers = linear(tmp_path / "data", tmp_path / "strangers", near_duplicates="ignore")
    assert torn(together) == 0 < torn(strangers)
    assert set(together.metrics["intersections"]["near duplicates"].values()) == {0}
    assert "near duplicates" not in strangers.metrics["intersections"]


@pytest.mark.usefixtures("toy")
def test_beside_a_given_val_a_test_is_made_only_where_it_is_asked(tmp_path: Path):
    draw_classes(tmp_path / "data" / "train", 12)
    draw_classes(tmp_path / "data" / "val", 3, seed=500)
    without = linear(tmp_path / "data", tmp_path / "without")
    assert set(without.metrics["splits"]) == {"val"}
    assert "val chose the model" in (without.folder / "report.md").read_text()
    asked = linear(tmp_path / "data", tmp_path / "asked", test_fraction=0.25)
    assert set(asked.metrics["splits"]) == {"val", "test"}
    assert "val chose the model" not in (asked.folder / "report.md").read_text()
    splits = splits_of(asked)
    assert {path for path, split in splits.items() if split == "val"} == {
        f"val/{name}/{n:03d}.png" for name in ("blue", "green", "red") for n in range(3)
    }
    assert all(path.startswith("train/") for path, split in splits.items() if split == "test")


@pytest.mark.usefixtures("toy")
def test_what_leaks_between_given_folders_is_left_out_with_the_reason(tmp_path: Path):
    make_split(tmp_path / "data")
    run = linear(tmp_path / "data", tmp_path / "run")
    excluded = pd.read_csv(run.folder / "excluded.csv")
    assert dict(zip(excluded["path"], excluded["reason"], strict=True)) == {
        "train/cats/same.jpg": "same picture as test/cats/same.jpg",
        "train/dogs/near.jpg": "near duplicate of test/dogs/near.jpg",
    }
    assert len(splits_of(run)) == 52 - 2
    proof = run.metrics["intersections"]
    assert set(proof) == {"path", "content", "near duplicates"}
    pairs = {"train & val": 0, "train & test": 0, "val & test": 0}
    assert all(shared == pairs for shared in proof.values())
    report = (run.folder / "report.md").read_text()
    assert "The splits share nothing, counted over all their images" in report
    assert "2 files were left out because val or test has their like" in report


@pytest.mark.usefixtures("toy")
def test_a_near_duplicate_is_no_leak_where_they_are_strangers(tmp_path: Path):
    make_split(tmp_path / "data")
    run = linear(tmp_path / "data", tmp_path / "run", near_duplicates="ignore")
    assert pd.read_csv(run.folder / "excluded.csv")["path"].to_list() == ["train/cats/same.jpg"]


def test_a_list_of_paths_alone_is_no_reason_to_warn(index: Index, tmp_path: Path):
    (told,) = [note for note in notes(index, splits=earlier(index, tmp_path, "path")) if "--splits" in note]
    assert told.endswith("0 files keep their split, 60 known by their path alone, 0 new")
    strange = earlier(index, tmp_path, "path", "sha256", sha256="saved anew")
    (told,) = [note for note in notes(index, splits=strange) if "--splits" in note]
    assert told.startswith("WARNING: ")
