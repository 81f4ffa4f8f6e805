from pathlib import Path

import pandas as pd
import pytest

from tests.api.test_finetune import recipe
from tests.bad_files import jpeg, make_split, picture
from tests.conftest import draw_classes
from transferkit.api import finetune
from transferkit.errors import UsageError
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
    assert "against the draw" not in (before.folder / "report.md").read_text()
    assert len(splits_of(after)) == 96
    assert changed(before, after) == 0
    assert changed(before, linear(photos, tmp_path / "other", seed=1)) > 0


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("named", ["", "content.csv"])
def test_files_that_an_earlier_run_knows_keep_their_splits(named: str, photos: Path, tmp_path: Path):
    before = linear(photos, tmp_path / "before")
    (photos / "red" / "000.png").rename(photos / "red" / "renamed.png")
    draw_classes(tmp_path / "more", 5, seed=7000)
    for path in (tmp_path / "more").rglob("*.png"):
        path.rename(photos / path.parent.name / f"new-{path.name}")
    after = linear(photos, tmp_path / "after", seed=5, splits=str(before.folder / named))
    old, new = splits_of(before), splits_of(after)
    new["red/000.png"] = new.pop("red/renamed.png")
    assert {path: new[path] for path in old} == old
    assert {split for path, split in new.items() if path not in old} == {"train", "val", "test"}
    assert after.recipe.splits == str(before.folder / named)


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
