from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transferkit.data.index import (
    Index,
    LeftOut,
    absent,
    check_classes,
    excluded_table,
    files_table,
    is_run,
    names_of,
    why_left_out,
)
from transferkit.errors import DataError


def index(*labels: str, multilabel: bool = False) -> Index:
    """An image for each label, in two given splits by turns."""
    rows = [(f"{n}.png", label, ("train", "test")[n % 2], "") for n, label in enumerate(labels)]
    return Index(Path("pets"), files_table(rows), excluded_table([]), multilabel)


PETS = ("cats", "cats", "dogs", "dogs")
SEVERAL = ("cat|dog", "dog", "bird|dog")


def test_class_names_are_sorted() -> None:
    assert index("dogs", "cats", "dogs").labels == ["cats", "dogs"]


def test_class_names_of_several_labels_are_taken_apart() -> None:
    assert index(*SEVERAL, multilabel=True).labels == ["bird", "cat", "dog"]


def test_a_bar_in_the_name_of_a_folder_joins_nothing() -> None:
    assert index(*SEVERAL).labels == ["bird|dog", "cat|dog", "dog"]
    assert names_of("cat|dog", False) == ["cat|dog"]


def test_labels_become_numbers_as_given() -> None:
    found = index("dogs", "cats", "dogs").targets({"cats": 0, "dogs": 1}, 2)
    assert found.dtype == np.int64
    assert found.tolist() == [1, 0, 1]


def test_several_labels_become_a_row_of_zeros_and_ones() -> None:
    found = index(*SEVERAL, multilabel=True).targets({"bird": 0, "cat": 1, "dog": 2}, 3)
    assert found.dtype == np.float32
    assert found.tolist() == [[0, 1, 1], [0, 0, 1], [1, 0, 1]]


def test_images_are_counted_in_the_order_of_the_classes() -> None:
    assert list(index("dogs", "cats", "dogs").counted().items()) == [("cats", 1), ("dogs", 2)]


def test_an_image_of_several_classes_counts_for_each() -> None:
    found = index(*SEVERAL, multilabel=True)
    assert found.counted() == {"bird": 1, "cat": 1, "dog": 3}
    assert found.counted(found.files[found.files["split"] == "test"]) == {"dog": 1}


def test_the_tables_are_sorted_by_path() -> None:
    files = files_table([("b.png", "x", "", "g"), ("a.png", "y", "val", "")])
    assert list(files.columns) == ["path", "label", "split", "group"]
    assert list(files["path"]) == ["a.png", "b.png"]
    left_out = excluded_table([LeftOut("b", "why", "ignored"), LeftOut("a", "how", "")])
    assert left_out.to_dict("list") == {
        "path": ["a", "b"],
        "reason": ["how", "why"],
        "finding": ["", "ignored"],
    }


def test_files_that_fail_later_move_to_the_excluded() -> None:
    found = index(*PETS).without({"2.png": "broken inside"})
    assert list(found.files["path"]) == ["0.png", "1.png", "3.png"]
    assert list(found.files.index) == [0, 1, 2]
    assert found.excluded.values.tolist() == [["2.png", "broken inside", "unreadable"]]


def test_files_that_move_may_be_given_another_finding() -> None:
    found = index(*PETS).without({"0.png": "in test too"}, "leak")
    assert found.excluded.values.tolist() == [["0.png", "in test too", "leak"]]


def test_of_what_was_to_be_excluded_the_missing_are_told() -> None:
    there = [LeftOut("a.png", "excluded on request", "")]
    (missing,) = absent(frozenset({"a.png", "b.png"}), there)
    assert missing == ("b.png", "to be excluded on request, but not there", "")


def test_one_class_is_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"one class only \('cats', 2 images\)\. .* at least two"):
        check_classes(index("cats", "cats"))


def test_a_class_with_a_single_image_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="pets: class 'emus' has a single image"):
        check_classes(index(*PETS, "emus"))


def test_classes_with_a_single_image_are_refused_by_name() -> None:
    with pytest.raises(DataError, match="classes 'emus', 'owls' have a single image"):
        check_classes(index(*PETS, "emus", "owls"))


def test_of_many_classes_with_a_single_image_eight_are_named() -> None:
    with pytest.raises(DataError, match="'class07' and 2 more have a single image"):
        check_classes(index(*PETS, *(f"class{n:02d}" for n in range(10))))


def test_two_classes_of_two_images_will_do() -> None:
    check_classes(index(*PETS))


@pytest.mark.parametrize("missing", ["recipe.yaml", "plan.json", "labels.json"])
def test_a_run_is_known_by_three_files(tmp_path: Path, missing: str) -> None:
    for name in ("recipe.yaml", "plan.json", "labels.json"):
        (tmp_path / name).touch()
    assert is_run(tmp_path)
    (tmp_path / missing).unlink()
    assert not is_run(tmp_path)


def test_a_file_without_suffix_is_judged_by_its_content(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "IMG_0001", "JPEG")
    (tmp_path / "notes").write_text("they purr")
    assert why_left_out(tmp_path / "IMG_0001", "cats/IMG_0001") is None
    assert why_left_out(tmp_path / "notes", "cats/notes") == ("cats/notes", "not an image", "ignored")


def test_a_file_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    assert why_left_out(tmp_path / "1.png", "1.png") == ("1.png", "no such file", "unreadable")
