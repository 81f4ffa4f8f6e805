from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.bad_files import jpeg, make_split, picture
from transferkit.data.audit import Audit, audit
from transferkit.data.copies import copies, find_alike
from transferkit.data.examine import examine
from transferkit.data.folder import index_folder
from transferkit.data.manifest import index_manifest

NEAR = picture("near", 128, 128, cells=8)
SAME = jpeg(NEAR)
LOSSY = jpeg(NEAR, quality=60)
MIRRORED = jpeg(np.ascontiguousarray(NEAR[:, ::-1]))


def audited(root: Path, exclude: frozenset[str] = frozenset()) -> Audit:
    return audit(examine(index_folder(root / "photos", exclude), root / "cache"))


def found(root: Path, files: dict[str, bytes], split: bool = False) -> list[tuple[str, str, str]]:
    """What is told of copies among these files and eight others of each class."""
    tops = [f"{top}/{label}" for top in ("train", "val", "test") for label in "ab"] if split else ["a", "b"]
    others = {f"{top}/{n}.jpg": jpeg(picture(f"{top}{n}")) for top in tops for n in range(4)}
    for name, content in (others | files).items():
        path = root / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return told(examine(index_folder(root / "photos"), root / "cache"))


def told(examined: object) -> list[tuple[str, str, str]]:
    return sorted((row.path, row.finding, row.detail) for row in copies(find_alike(examined)))  # type: ignore[arg-type]


def test_different_pictures_are_no_copies(tmp_path: Path) -> None:
    assert found(tmp_path, {}) == []


def test_of_equal_files_the_later_ones_are_told(tmp_path: Path) -> None:
    assert found(tmp_path, {f"a/{name}.jpg": SAME for name in "xyz"}) == [
        ("a/y.jpg", "duplicate", "same bytes as a/x.jpg"),
        ("a/z.jpg", "duplicate", "same bytes as a/x.jpg"),
    ]


@pytest.mark.parametrize(("content", "how"), [(LOSSY, "looks like"), (MIRRORED, "mirrored copy of")])
def test_of_near_duplicates_the_later_one_is_told(tmp_path: Path, content: bytes, how: str) -> None:
    expected = [("a/y.jpg", "near-duplicate", f"{how} a/x.jpg")]
    assert found(tmp_path, {"a/x.jpg": SAME, "a/y.jpg": content}) == expected


@pytest.mark.parametrize(("content", "how"), [(SAME, "same bytes as"), (LOSSY, "looks like")])
def test_a_copy_under_another_label_is_a_conflict_of_both(tmp_path: Path, content: bytes, how: str) -> None:
    assert found(tmp_path, {"a/x.jpg": SAME, "b/y.jpg": content}) == [
        ("a/x.jpg", "label-conflict", f"{how} b/y.jpg, labelled b"),
        ("b/y.jpg", "label-conflict", f"{how} a/x.jpg, labelled a"),
    ]


def test_a_mirrored_picture_may_have_another_label(tmp_path: Path) -> None:
    expected = [("b/y.jpg", "near-duplicate", "mirrored copy of a/x.jpg")]
    assert found(tmp_path, {"a/x.jpg": SAME, "b/y.jpg": MIRRORED}) == expected


@pytest.mark.parametrize(
    ("content", "how"), [(SAME, "same bytes as"), (LOSSY, "looks like"), (MIRRORED, "mirrored copy of")]
)
def test_a_copy_in_another_split_is_a_leak_of_both(tmp_path: Path, content: bytes, how: str) -> None:
    assert found(tmp_path, {"train/a/x.jpg": SAME, "val/a/y.jpg": content}, split=True) == [
        ("train/a/x.jpg", "leak", f"{how} val/a/y.jpg, in val"),
        ("val/a/y.jpg", "leak", f"{how} train/a/x.jpg, in train"),
    ]


def test_a_copy_under_another_label_in_another_split_is_both(tmp_path: Path) -> None:
    names = [row[:2] for row in found(tmp_path, {"train/a/x.jpg": SAME, "test/b/y.jpg": SAME}, split=True)]
    assert names == [
        (path, name) for path in ("test/b/y.jpg", "train/a/x.jpg") for name in ("label-conflict", "leak")
    ]


def test_copies_within_a_split_do_not_leak(tmp_path: Path) -> None:
    files = {"test/a/x.jpg": SAME, "test/a/y.jpg": LOSSY}
    expected = [("test/a/y.jpg", "near-duplicate", "looks like test/a/x.jpg")]
    assert found(tmp_path, files, split=True) == expected


def test_a_leak_through_the_copy_of_a_copy_is_told(tmp_path: Path) -> None:
    files = {"train/a/x.jpg": SAME, "val/a/x.jpg": SAME, "test/a/y.jpg": LOSSY}
    leaks = {row[2] for row in found(tmp_path, files, split=True) if row[0] == "test/a/y.jpg"}
    assert leaks == {"looks like train/a/x.jpg, in train", "looks like val/a/x.jpg, in val"}


@pytest.mark.parametrize(
    "files",
    [
        {"train/a/x.jpg": SAME, "val/a/x.jpg": SAME, "test/a/y.jpg": LOSSY},
        {"train/a/x.jpg": SAME, "train/b/x.jpg": LOSSY, "test/a/y.jpg": MIRRORED},
        {"train/a/x.jpg": LOSSY, "train/a/y.jpg": LOSSY, "val/a/x.jpg": SAME},
    ],
)
def test_without_what_is_to_be_excluded_nothing_leaks(tmp_path: Path, files: dict[str, bytes]) -> None:
    assert found(tmp_path, files, split=True)
    first = audited(tmp_path)
    assert first.errors > 0
    assert audited(tmp_path, frozenset(first.exclude["path"])).errors == 0


def test_shared_pictures_of_split_folders_leak_and_train_gives_way(tmp_path: Path) -> None:
    expected = make_split(tmp_path / "photos")
    first = audited(tmp_path)
    leaks = {path for path, names in expected.items() if names == {"leak"}}
    assert set(first.findings["path"]) == leaks
    assert set(first.findings["finding"]) == {"leak"}
    assert set(first.exclude["path"]) == {path for path in leaks if path.startswith("train/")}
    assert len(audited(tmp_path, frozenset(first.exclude["path"])).findings) == 0


def grouped(root: Path, groups: dict[str, tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """What is told of a manifest: path -> label, split, group."""
    for path in groups:
        (root / path).write_bytes(jpeg(picture(path)))
    rows = [(path, *row) for path, row in groups.items()]
    table = pd.DataFrame(rows, columns=["path", "label", "split", "group"])
    table.to_csv(root / "m.csv", index=False)
    return told(examine(index_manifest(root / "m.csv"), root / "cache"))


def test_a_group_in_two_splits_leaks_and_may_have_two_labels(tmp_path: Path) -> None:
    groups = {"1.jpg": ("a", "train", "ann"), "2.jpg": ("b", "test", "ann"), "3.jpg": ("b", "train", "bob")}
    assert grouped(tmp_path, groups) == [
        ("1.jpg", "leak", "of the same group (ann) as 2.jpg, in test"),
        ("2.jpg", "leak", "of the same group (ann) as 1.jpg, in train"),
    ]


def test_a_group_in_one_split_is_no_finding(tmp_path: Path) -> None:
    groups = {"1.jpg": ("a", "train", "ann"), "2.jpg": ("b", "train", "ann"), "3.jpg": ("b", "test", "")}
    assert grouped(tmp_path, groups) == []
