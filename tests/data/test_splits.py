import hashlib
from pathlib import Path

import pandas as pd
import pytest

from transferkit.data.index import Index
from transferkit.data.splits import leaks, split_index
from transferkit.errors import DataError


def index(*groups: tuple[str, str, int]) -> Index:
    """An index of (split, label, images) with content of their own."""
    names = [
        (f"{split}/{label}/{n}.png", label, split) for split, label, count in groups for n in range(count)
    ]
    files = pd.DataFrame(names, columns=["path", "label", "split"])
    files["sha256"] = [hashlib.sha256(path.encode()).hexdigest() for path in files["path"]]
    return Index(Path("photos"), files, files[["path"]].head(0))


def divided(
    given: Index, seed: int = 0, val_fraction: float = 0.15, test_fraction: float | None = None
) -> pd.DataFrame:
    return split_index(given, seed=seed, val_fraction=val_fraction, test_fraction=test_fraction)


def sizes(files: pd.DataFrame, label: str = "cats") -> tuple[int, int, int]:
    counts = files.loc[files["label"] == label, "split"].value_counts()
    return tuple(int(counts.get(split, 0)) for split in ("train", "val", "test"))  # type: ignore[return-value]


def members(files: pd.DataFrame, label: str = "cats") -> dict[str, str]:
    rows = files[files["label"] == label]
    return dict(zip(rows["sha256"], rows["split"], strict=True))


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (3, (1, 1, 1)),  # 0.45, at least one
        (7, (5, 1, 1)),  # 1.05
        (10, (6, 2, 2)),  # 1.5, rounded up
        (20, (14, 3, 3)),
        (100, (70, 15, 15)),
    ],
)
def test_of_each_class_15_in_100_are_set_aside_for_val_and_for_test(
    images: int, expected: tuple[int, int, int]
) -> None:
    assert sizes(divided(index(("", "cats", images), ("", "dogs", 50)))) == expected


def test_stated_fractions_are_taken_of_each_class() -> None:
    files = divided(index(("", "cats", 10), ("", "dogs", 40)), val_fraction=0.2, test_fraction=0.3)
    assert sizes(files, "cats") == (5, 2, 3)
    assert sizes(files, "dogs") == (20, 8, 12)


def test_every_class_is_in_every_split() -> None:
    files = divided(index(*(("", f"class{n}", 3 + n) for n in range(10))))
    assert (files.groupby("label")["split"].nunique() == 3).all()


def test_rows_stay_in_the_order_of_the_index() -> None:
    given = index(("", "cats", 9), ("", "dogs", 9))
    files = divided(given)
    assert files["path"].tolist() == given.files["path"].tolist()
    assert (given.files["split"] == "").all()  # the index itself is not changed


def test_the_same_seed_gives_the_same_split() -> None:
    given = index(("", "cats", 40), ("", "dogs", 40))
    pd.testing.assert_frame_equal(divided(given, seed=3), divided(given, seed=3))


def test_another_seed_gives_another_split() -> None:
    given = index(("", "cats", 40), ("", "dogs", 40))
    assert members(divided(given, seed=3)) != members(divided(given, seed=4))


def test_the_split_goes_by_content_and_not_by_name() -> None:
    given = index(("", "cats", 40), ("", "dogs", 40))
    renamed = given.files.assign(path=given.files["path"].str.replace(".png", ".jpg"))
    shuffled = renamed.sample(frac=1, random_state=0).reset_index(drop=True)
    assert members(divided(Index(given.root, shuffled, given.excluded))) == members(divided(given))


@pytest.mark.parametrize("seed", range(5))
def test_equal_bytes_in_a_class_stay_together(seed: int) -> None:
    given = index(("", "cats", 12), ("", "dogs", 12))
    given.files["sha256"] = [f"{row // 3:064d}" for row in given.files.index]  # in threes
    files = divided(given, seed=seed)
    assert (files.groupby("sha256")["split"].nunique() == 1).all()
    assert sizes(files) == (6, 3, 3)  # four different pictures: 2, 1, 1


def test_given_splits_are_kept() -> None:
    groups = (("train", 8), ("val", 4), ("test", 5))
    given = index(*((split, label, n) for split, n in groups for label in ("cats", "dogs")))
    assert divided(given)["split"].tolist() == given.files["split"].tolist()


def test_a_missing_val_is_made_from_train() -> None:
    files = divided(index(("train", "cats", 20), ("train", "dogs", 20), ("test", "cats", 5)))
    assert sizes(files) == (17, 3, 5)
    assert set(files.loc[files["path"].str.startswith("test/"), "split"]) == {"test"}


def test_no_test_is_made_where_val_is_given() -> None:
    files = divided(index(("train", "cats", 20), ("train", "dogs", 20), ("val", "cats", 5)))
    assert sizes(files) == (20, 5, 0)


def test_a_test_is_made_beside_a_given_val_on_request() -> None:
    given = index(("train", "cats", 20), ("train", "dogs", 20), ("val", "cats", 5))
    assert sizes(divided(given, test_fraction=0.1)) == (18, 5, 2)


def test_no_test_is_made_where_none_is_asked() -> None:
    assert sizes(divided(index(("", "cats", 20), ("", "dogs", 20)), test_fraction=0.0)) == (17, 3, 0)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_class_that_train_does_not_know_is_refused_by_name(split: str) -> None:
    given = index(("train", "cats", 9), ("train", "dogs", 9), (split, "katze", 3))
    with pytest.raises(DataError) as caught:
        divided(given)
    assert str(caught.value) == (
        f"the {split} folder has classes that train does not: katze. "
        "Train has: cats, dogs. Rename the folders so that they agree."
    )


def test_too_few_images_are_refused_by_name() -> None:
    with pytest.raises(DataError) as caught:
        divided(index(("", "cats", 2), ("", "dogs", 9)))
    assert str(caught.value) == (
        "too few different images for one in each of train, test, val: 'cats' (2). Each class needs 3: "
        "add images, move the class away, or leave out the test part with --set test_fraction=0."
    )


def test_copies_do_not_count_as_images() -> None:
    given = index(("", "cats", 9), ("", "dogs", 9))
    given.files.loc[:8, "sha256"] = "0" * 64
    with pytest.raises(DataError, match=r"too few different images .*'cats' \(1\)"):
        divided(given)


def test_two_images_will_do_without_a_test() -> None:
    assert sizes(divided(index(("", "cats", 2), ("", "dogs", 9)), test_fraction=0.0)) == (1, 1, 0)


@pytest.mark.parametrize(
    ("images", "val", "test", "expected"),
    [
        (3, 0.5, 0.15, (1, 1, 1)),  # half of three rounds to two, which would leave none
        (2, 0.8, 0.0, (1, 1, 0)),
        (10, 0.8, 0.8, (1, 1, 8)),
    ],
)
def test_train_keeps_an_image_of_each_class_whatever_the_fractions(
    images: int, val: float, test: float, expected: tuple[int, int, int]
) -> None:
    given = index(("", "cats", images), ("", "dogs", 50))
    assert sizes(divided(given, val_fraction=val, test_fraction=test)) == expected


def test_more_images_of_one_class_leave_the_split_of_the_others() -> None:
    before = divided(index(("", "cats", 30), ("", "dogs", 30)))
    after = divided(index(("", "ants", 9), ("", "cats", 30), ("", "dogs", 77)))
    assert members(after) == members(before)


def test_equal_files_in_two_splits_or_under_two_labels_are_told() -> None:
    rows = [
        ("a/1", "a", "train", "x"),
        ("a/2", "a", "val", "x"),
        ("b/1", "b", "train", "y"),
        ("c/1", "c", "train", "y"),
    ]
    files = pd.DataFrame(rows, columns=["path", "label", "split", "sha256"])
    told = leaks(files)
    assert told[0] == "2 files with equal bytes stand in more than one of train, val and test: a/1, a/2"
    assert told[1] == "2 files with equal bytes stand under two labels: b/1, c/1"
    assert leaks(files.iloc[[0, 2]]) == []
