import hashlib
import os
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import draw as picture
from tests.conftest import draw_classes
from transferkit.data.index import Index, check_classes, index_folder
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


def excluded(index: Index) -> dict[str, str]:
    return dict(index.excluded.itertuples(index=False, name=None))


PETS = ("cats/1.png", "cats/2.png", "dogs/1.png", "dogs/2.png")


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return draw(tmp_path / "pets", *PETS)


def test_a_folder_for_each_class_is_indexed_in_order(pets: Path) -> None:
    index = index_folder(pets)
    assert rows(index) == [(path, path[:4], "") for path in PETS]
    assert index.labels == ["cats", "dogs"]
    assert excluded(index) == {}


def test_a_row_holds_the_hash_of_its_bytes(pets: Path) -> None:
    found = dict(index_folder(pets).files[["path", "sha256"]].itertuples(index=False, name=None))
    assert found == {path: hashlib.sha256((pets / path).read_bytes()).hexdigest() for path in PETS}


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
    assert excluded(index) == {"test/9.png": "lies beside the class folders, not in one"}


def test_a_folder_beside_the_split_folders_is_told(tmp_path: Path) -> None:
    index = index_folder(draw(tmp_path, "train/cats/1.png", "val/cats/1.png", "raw/cats/1.png"))
    assert excluded(index) == {"raw/": "beside train/val/test folders, so not a class"}


def test_folders_inside_a_class_belong_to_it(tmp_path: Path) -> None:
    index = index_folder(draw(tmp_path, "cats/2024/may/1.png", "cats/0.png", "dogs/1.png"))
    assert rows(index)[:2] == [("cats/0.png", "cats", ""), ("cats/2024/may/1.png", "cats", "")]


def test_hidden_files_and_folders_are_left_out(pets: Path) -> None:
    draw(pets, ".thumbs/1.png", "cats/.cache/1.png", "cats/._1.png")
    index = index_folder(pets)
    assert [path for path, _, _ in rows(index)] == list(PETS)
    assert excluded(index) == {"cats/._1.png": "hidden or system file"}


@pytest.mark.parametrize("name", ["Thumbs.db", "desktop.ini", "__MACOSX/1.png"])
def test_system_clutter_is_left_out(pets: Path, name: str) -> None:
    draw(pets, f"cats/{name}", name)
    assert [path for path, _, _ in rows(index_folder(pets))] == list(PETS)


def test_a_file_beside_the_class_folders_is_told(pets: Path) -> None:
    (pets / "readme.txt").write_text("mine")
    assert excluded(index_folder(pets)) == {"readme.txt": "lies beside the class folders, not in one"}


def test_an_image_without_suffix_is_taken_by_its_content(pets: Path) -> None:
    Image.new("RGB", (4, 4)).save(pets / "cats" / "IMG_0001", "JPEG")
    assert ("cats/IMG_0001", "cats", "") in rows(index_folder(pets))


def test_a_text_file_is_no_image(pets: Path) -> None:
    (pets / "cats" / "notes.txt").write_text("they purr")
    assert excluded(index_folder(pets)) == {"cats/notes.txt": "not an image"}


def test_an_empty_class_folder_is_told_and_is_no_class(pets: Path) -> None:
    (pets / "birds").mkdir()
    index = index_folder(pets)
    assert index.labels == ["cats", "dogs"]
    assert excluded(index) == {"birds/": "class folder without images"}


def test_a_broken_link_is_left_out(pets: Path) -> None:
    (pets / "cats" / "3.png").symlink_to(pets / "nowhere.png")
    assert excluded(index_folder(pets)) == {"cats/3.png": "not a regular file (broken link, pipe or device)"}


def test_a_pipe_is_left_out_unopened(pets: Path) -> None:
    os.mkfifo(pets / "cats" / "pipe.png")  # opening it would wait for ever
    assert "cats/pipe.png" in excluded(index_folder(pets))


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
    assert excluded(index) == {"cats/loop/": "link to a folder above it"}


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
    assert excluded(index) == {"cats/2.png": "excluded on request"}


def test_files_that_fail_later_move_to_the_excluded(pets: Path) -> None:
    index = index_folder(pets).without({"dogs/1.png": "truncated"})
    assert [path for path, _, _ in rows(index)] == ["cats/1.png", "cats/2.png", "dogs/2.png"]
    assert list(index.files.index) == [0, 1, 2]
    assert excluded(index) == {"dogs/1.png": "truncated"}


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


def test_one_class_is_refused_by_name(tmp_path: Path) -> None:
    index = index_folder(draw(tmp_path, "cats/1.png", "cats/2.png"))
    with pytest.raises(DataError, match=r"one class only \('cats', 2 images\)\. .* at least two"):
        check_classes(index)


def test_classes_with_a_single_image_are_refused_by_name(pets: Path) -> None:
    draw(pets, "emus/1.png", "owls/1.png")
    with pytest.raises(DataError, match="classes 'emus', 'owls' have a single image"):
        check_classes(index_folder(pets))


def test_of_many_classes_with_a_single_image_eight_are_named(pets: Path) -> None:
    draw(pets, *(f"class{n:02d}/1.png" for n in range(10)))
    with pytest.raises(DataError, match="'class07' and 2 more have a single image"):
        check_classes(index_folder(pets))


def test_two_classes_of_two_images_will_do(pets: Path) -> None:
    check_classes(index_folder(pets))


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
    (row,) = index.excluded.itertuples()
    assert "not UTF-8" in row.reason
    index.excluded.to_csv(tmp_path / "excluded.csv")


def test_files_to_exclude_that_are_not_there_are_told(tmp_path: Path) -> None:
    root = draw_classes(tmp_path / "photos", 2)
    index = index_folder(root, frozenset({"red/000.png", "red/typo.png"}))
    assert dict(index.excluded.values) == {
        "red/000.png": "excluded on request",
        "red/typo.png": "to be excluded on request, but not there",
    }
