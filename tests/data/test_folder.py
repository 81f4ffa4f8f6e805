import hashlib
import os
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import draw as picture
from tests.conftest import draw_classes
from transferkit.data.folder import check_is_folder, index_folder
from transferkit.data.index import Index
from transferkit.errors import DataError, UsageError


def draw(root: Path, *names: str) -> Path:
    """Small PNG files below root, each with bytes of its own."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = tuple(hashlib.sha256(name.encode()).digest()[:3])
        Image.new("RGB", (4, 4), colour).save(path, "PNG")
    return root


def rows(index: Index) -> list[tuple[str, str, str]]:
    return list(index.files[["path", "label", "split"]].itertuples(index=False, name=None))


def excluded(index: Index) -> dict[str, tuple[str, str]]:
    return {row.path: (row.reason, row.finding) for row in index.excluded.itertuples()}


BESIDE = ("lies beside the class folders, not in one", "ignored")
HIDDEN, HIDDEN_FOLDER = ("hidden or system file", "ignored"), ("hidden or system folder", "ignored")
PETS = ("cats/1.png", "cats/2.png", "dogs/1.png", "dogs/2.png")


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return draw(tmp_path / "pets", *PETS)


def test_a_folder_for_each_class_is_indexed_in_order(pets: Path) -> None:
    index = index_folder(pets)
    assert rows(index) == [(path, path[:4], "") for path in PETS]
    assert index.labels == ["cats", "dogs"]
    assert excluded(index) == {}


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("val", "val"),
        ("valid", "val"),
        ("Validation", "val"),
        ("TEST", "test"),
        ("testing", "test"),
    ],
)
def test_split_folders_give_the_split(tmp_path: Path, folder: str, split: str) -> None:
    draw(tmp_path, "Train/cats/1.png", f"{folder}/cats/2.png")
    found = {path: (label, given) for path, label, given in rows(index_folder(tmp_path))}
    assert found == {"Train/cats/1.png": ("cats", "train"), f"{folder}/cats/2.png": ("cats", split)}


def test_without_a_train_folder_split_names_are_classes(tmp_path: Path) -> None:
    index = index_folder(draw(tmp_path, "test/1.png", "val/1.png"))
    assert index.labels == ["test", "val"]


def test_a_train_folder_without_sub_folders_is_a_class(tmp_path: Path) -> None:
    index = index_folder(draw(tmp_path, "train/1.png", "bus/1.png"))
    assert index.labels == ["bus", "train"]


def test_a_test_folder_without_classes_does_not_hide_the_layout(tmp_path: Path) -> None:
    index = index_folder(draw(tmp_path, "train/cats/1.png", "train/dogs/1.png", "test/9.png"))
    assert index.labels == ["cats", "dogs"]
    assert excluded(index) == {"test/9.png": BESIDE}


def test_a_folder_beside_the_split_folders_is_told(tmp_path: Path) -> None:
    index = index_folder(draw(tmp_path, "train/cats/1.png", "val/cats/1.png", "raw/cats/1.png"))
    assert excluded(index) == {"raw/": ("beside train/val/test folders, so not a class", "ignored")}


def test_folders_inside_a_class_belong_to_it(tmp_path: Path) -> None:
    index = index_folder(draw(tmp_path, "cats/2024/may/1.png", "cats/0.png", "dogs/1.png"))
    assert rows(index)[:2] == [("cats/0.png", "cats", ""), ("cats/2024/may/1.png", "cats", "")]


def test_hidden_files_and_folders_are_left_out_and_told(pets: Path) -> None:
    draw(pets, ".thumbs/1.png", "cats/.cache/1.png", "cats/._1.png", ".DS_Store")
    index = index_folder(pets)
    assert [path for path, _, _ in rows(index)] == list(PETS)
    assert excluded(index) == {
        ".DS_Store": HIDDEN,
        ".thumbs/": HIDDEN_FOLDER,
        "cats/._1.png": HIDDEN,
        "cats/.cache/": HIDDEN_FOLDER,
    }


@pytest.mark.parametrize("name", ["Thumbs.db", "desktop.ini"])
def test_system_files_are_left_out_and_told(pets: Path, name: str) -> None:
    draw(pets, f"cats/{name}", name)
    index = index_folder(pets)
    assert [path for path, _, _ in rows(index)] == list(PETS)
    assert excluded(index) == {name: HIDDEN, f"cats/{name}": HIDDEN}


def test_system_folders_are_left_out_and_told(pets: Path) -> None:
    draw(pets, "cats/__MACOSX/1.png", "__MACOSX/1.png")
    index = index_folder(pets)
    assert [path for path, _, _ in rows(index)] == list(PETS)
    assert excluded(index) == {"__MACOSX/": HIDDEN_FOLDER, "cats/__MACOSX/": HIDDEN_FOLDER}


def test_a_file_beside_the_class_folders_is_told(pets: Path) -> None:
    (pets / "readme.txt").write_text("mine")
    assert excluded(index_folder(pets)) == {"readme.txt": BESIDE}


def test_an_image_without_suffix_is_taken_by_its_content(pets: Path) -> None:
    Image.new("RGB", (4, 4)).save(pets / "cats" / "IMG_0001", "JPEG")
    assert ("cats/IMG_0001", "cats", "") in rows(index_folder(pets))


def test_a_text_file_is_no_image(pets: Path) -> None:
    (pets / "cats" / "notes.txt").write_text("they purr")
    assert excluded(index_folder(pets)) == {"cats/notes.txt": ("not an image", "ignored")}


def test_an_empty_class_folder_is_told_and_is_no_class(pets: Path) -> None:
    (pets / "birds").mkdir()
    index = index_folder(pets)
    assert index.labels == ["cats", "dogs"]
    assert excluded(index) == {"birds/": ("class folder without images", "small-class")}


def test_a_broken_link_is_left_out(pets: Path) -> None:
    (pets / "cats" / "3.png").symlink_to(pets / "nowhere.png")
    assert excluded(index_folder(pets)) == {"cats/3.png": ("a link that leads nowhere", "unreadable")}


def test_a_pipe_is_left_out_unopened(pets: Path) -> None:
    os.mkfifo(pets / "cats" / "pipe.png")  # opening it would wait for ever
    told = {"cats/pipe.png": ("not a regular file (pipe, socket or device)", "ignored")}
    assert excluded(index_folder(pets)) == told


def test_a_link_to_a_folder_elsewhere_is_followed(pets: Path, tmp_path: Path) -> None:
    draw(tmp_path / "store", "9.png")
    (pets / "cats" / "more").symlink_to(tmp_path / "store")
    assert ("cats/more/9.png", "cats", "") in rows(index_folder(pets))


def test_a_class_folder_may_be_a_link(pets: Path, tmp_path: Path) -> None:
    draw(tmp_path / "store", "9.png")
    (pets / "emus").symlink_to(tmp_path / "store")
    assert ("emus/9.png", "emus", "") in rows(index_folder(pets))


@pytest.mark.parametrize("target", ["..", "../.."])
def test_a_link_to_a_folder_above_does_not_bring_in_other_classes(pets: Path, target: str) -> None:
    (pets / "cats" / "loop").symlink_to(target)
    index = index_folder(pets)
    assert [path for path, _, _ in rows(index)] == list(PETS)
    assert excluded(index) == {"cats/loop/": ("link to a folder above it", "ignored")}


def test_a_link_to_its_own_class_gives_no_image_twice(pets: Path) -> None:
    (pets / "cats" / "again").symlink_to(".")
    assert [path for path, _, _ in rows(index_folder(pets))] == list(PETS)


def test_a_class_folder_that_links_to_the_root_is_no_class(pets: Path) -> None:
    (pets / "all").symlink_to(".")
    assert index_folder(pets).labels == ["cats", "dogs"]


def test_names_in_other_scripts_are_kept(tmp_path: Path) -> None:
    index = index_folder(draw(tmp_path, "кошки/мурка 1.png", "犬/ポチ.png"))
    assert rows(index) == [("кошки/мурка 1.png", "кошки", ""), ("犬/ポチ.png", "犬", "")]


def test_excluded_paths_are_left_out_on_request(pets: Path) -> None:
    index = index_folder(pets, frozenset({"cats/2.png"}))
    assert "cats/2.png" not in set(index.files["path"])
    assert excluded(index) == {"cats/2.png": ("excluded on request", "")}


def test_no_such_folder_tells_the_nearest_beside_it(pets: Path) -> None:
    (pets.parent / "zebras").mkdir()
    with pytest.raises(UsageError) as caught:
        index_folder(pets.parent / "pet")
    assert str(caught.value).startswith(f"no such folder: {pets.parent / 'pet'}. Beside it: pets, ")
    assert "one sub-folder of images for each class" in str(caught.value)


def test_a_file_in_place_of_the_folder_is_refused(pets: Path) -> None:
    with pytest.raises(UsageError, match=r"1\.png is a file; a folder .* is needed"):
        index_folder(pets / "cats" / "1.png")


def test_a_folder_without_images_says_what_is_there_and_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / "a.txt").write_text("a")
    with pytest.raises(DataError) as caught:
        index_folder(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: no images in class folders. Expected ")
    told = "Found: cats/a.txt: not an image; cats/: class folder without images."
    assert str(caught.value).endswith(told)
    assert f"Expected {tmp_path.name}/CLASS/*.jpg" in str(caught.value)


def test_an_empty_folder_is_called_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no images in class folders\. .* Found: it is empty\."):
        index_folder(tmp_path)


def test_a_run_of_ours_inside_the_data_is_no_class(tmp_path: Path) -> None:
    root = draw_classes(tmp_path / "photos", 2)
    for run in (root / "runs" / "photos-1", root / "red" / "mine"):
        picture(run / "figures" / "confusion.png", (0, 0, 0), seed=9)
        for name in ("recipe.yaml", "plan.json", "labels.json"):
            (run / name).write_text("{}")
    index = index_folder(root)
    assert index.labels == ["blue", "green", "red"]
    assert len(index.files) == 6
    assert index.excluded["reason"].str.contains("a run of transferkit").sum() == 2


def test_val_and_test_without_train_are_splits_all_the_same(tmp_path: Path) -> None:
    draw_classes(tmp_path / "data" / "val", 2)
    draw_classes(tmp_path / "data" / "test", 2, seed=50)
    index = index_folder(tmp_path / "data")
    assert index.labels == ["blue", "green", "red"]
    assert set(index.files["split"]) == {"val", "test"}


def test_a_name_that_is_not_text_is_left_out_in_words_that_can_be_written(tmp_path: Path) -> None:
    root = draw_classes(tmp_path / "photos", 2)
    (root / "red" / "000.png").rename(os.fsdecode(os.fsencode(root / "red") + b"/\xff\xfe.png"))
    index = index_folder(root)
    assert excluded(index) == {"red/\\udcff\\udcfe.png": ("its name is not UTF-8 text: rename it", "ignored")}
    index.excluded.to_csv(tmp_path / "excluded.csv")


def test_a_folder_whose_name_is_not_text_is_left_out_within_a_class_and_refused_as_one(
    tmp_path: Path,
) -> None:
    root = draw_classes(tmp_path / "photos", 2)
    (root / "red" / "more").mkdir()
    (root / "red" / "000.png").rename(root / "red" / "more" / "000.png")
    (root / "red" / "more").rename(os.fsdecode(os.fsencode(root / "red") + b"/\xff"))
    assert excluded(index_folder(root)) == {
        "red/\\udcff/": ("its name is not UTF-8 text: rename it", "ignored")
    }
    (root / "blue").rename(os.fsdecode(os.fsencode(root) + b"/bl\xff"))
    with pytest.raises(DataError, match=r"the folder bl.udcff/ has a name that is not UTF-8 text: rename it"):
        index_folder(root)


def test_files_to_exclude_that_are_not_there_are_told(tmp_path: Path) -> None:
    root = draw_classes(tmp_path / "photos", 2)
    index = index_folder(root, frozenset({"red/000.png", "red/typo.png"}))
    assert excluded(index) == {
        "red/000.png": ("excluded on request", ""),
        "red/typo.png": ("to be excluded on request, but not there", ""),
    }


def test_files_are_listed_not_opened(pets: Path) -> None:
    (pets / "cats" / "3.png").write_bytes(b"no image")
    assert ("cats/3.png", "cats", "") in rows(index_folder(pets))


def test_what_may_not_be_read_is_told(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(pets, "emus/1.png", "dogs/locked/1.png")
    locked = ("2.png", "emus", "locked")
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name not in locked)  # root may all
    told = ("no permission to read it", "unreadable")
    paths = ("cats/2.png", "dogs/2.png", "dogs/locked/", "emus/")
    assert excluded(index_folder(pets)) == dict.fromkeys(paths, told)


def test_what_lies_beside_a_missing_folder_is_named_without_clutter(pets: Path) -> None:
    (pets.parent / ".hidden").mkdir()
    with pytest.raises(UsageError) as caught:
        check_is_folder(pets.parent / "pet")
    assert "hidden" not in str(caught.value)


def test_a_class_whose_images_are_all_excluded_is_no_fault(tmp_path: Path):
    for name in ("cats/a.png", "cats/b.png", "dogs/a.png"):
        picture(tmp_path / name, (9, 9, 9), 0)
    index = index_folder(tmp_path, frozenset({"dogs/a.png"}))
    found = index.excluded.set_index("path")["finding"].to_dict()
    assert found == {"dogs/": "ignored", "dogs/a.png": ""}
