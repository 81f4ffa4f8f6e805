from pathlib import Path

import numpy as np
import pytest

from tests.bad_files import jpeg, picture
from transferkit.data.examine import COMPARED_FROM_PX, Examined, check_usable, examine
from transferkit.data.folder import index_folder
from transferkit.errors import DataError

NEAR = picture("near", 128, 128, cells=8)


def examined(root: Path, compare: bool = True, **files: bytes) -> Examined:
    """Class folders `a` and `b` of two good pictures each, and the files given by `class_name`."""
    good = {f"{label}_{n}": jpeg(picture(f"{label}{n}")) for label in "ab" for n in range(2)}
    for name, content in (good | files).items():
        path = root / "photos" / f"{name.replace('_', '/')}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return examine(index_folder(root / "photos"), root / "cache", compare=compare)


def clusters(found: Examined) -> dict[str, int]:
    return dict(zip(found.usable.files["path"], found.usable.files["cluster"], strict=True))


def test_files_that_can_be_decoded_are_usable_with_hash_and_size(tmp_path: Path) -> None:
    found = examined(tmp_path, b_3=jpeg(picture("x", 50, 40)))
    row = found.usable.files.iloc[-1]
    assert (row["path"], row["label"], row["width"], row["height"]) == ("b/3.jpg", "b", 50, 40)
    assert len(row["sha256"]) == 64
    assert found.scanned == 5


def test_files_that_cannot_are_left_out_with_their_finding(tmp_path: Path) -> None:
    found = examined(tmp_path, a_0=b"", b_1=b"<html>")
    assert list(found.usable.files["path"]) == ["a/1.jpg", "b/0.jpg"]
    assert list(found.usable.files.index) == [0, 1]
    assert found.usable.excluded.values.tolist() == [
        ["a/0.jpg", "the file is empty", "unreadable"],
        ["b/1.jpg", "not an image: it begins with b'<html>'", "not-an-image"],
    ]
    assert list(found.listed.files["path"]) == ["a/0.jpg", "a/1.jpg", "b/0.jpg", "b/1.jpg"]
    assert len(found.facts) == 4


def test_what_the_index_left_out_stays_left_out(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "notes.txt").write_text("mine")
    assert list(examined(tmp_path, a_0=b"").usable.excluded["path"]) == ["notes.txt", "a/0.jpg"]


def test_near_duplicates_are_one_cluster_and_others_are_their_own(tmp_path: Path) -> None:
    found = examined(tmp_path, a_near=jpeg(NEAR), b_near=jpeg(NEAR, quality=60), b_turned=jpeg(NEAR[:, ::-1]))
    cluster = clusters(found)
    assert cluster["a/near.jpg"] == cluster["b/near.jpg"] == cluster["b/turned.jpg"]
    assert len(set(cluster.values())) == 5


def test_pairs_are_rows_of_the_files_as_listed(tmp_path: Path) -> None:
    found = examined(tmp_path, a_0=b"broken", a_near=jpeg(NEAR), b_near=jpeg(NEAR, quality=60))
    (pair,) = found.pairs
    paths = found.listed.files["path"]
    assert (paths[pair.first], paths[pair.second]) == ("a/near.jpg", "b/near.jpg")
    assert not pair.mirrored


def test_equal_files_are_no_near_duplicates(tmp_path: Path) -> None:
    assert examined(tmp_path, a_x=jpeg(NEAR), a_y=jpeg(NEAR)).pairs == []


@pytest.mark.parametrize(("side", "pairs"), [(COMPARED_FROM_PX - 1, 0), (COMPARED_FROM_PX, 1)])
def test_pictures_too_small_to_tell_apart_are_not_compared(tmp_path: Path, side: int, pairs: int) -> None:
    small = picture("small", side, 64)
    assert len(examined(tmp_path, a_x=jpeg(small), a_y=jpeg(small, quality=80)).pairs) == pairs


def test_without_comparison_every_file_is_its_own_cluster(tmp_path: Path) -> None:
    found = examined(tmp_path, compare=False, a_near=jpeg(NEAR), b_near=jpeg(NEAR, quality=60))
    assert found.pairs == []
    assert np.array_equal(found.usable.files["cluster"], np.arange(6))


def test_not_one_image_is_an_error_that_names_one(tmp_path: Path) -> None:
    bad = dict.fromkeys(("a_0", "a_1", "b_0", "b_1"), b"")
    found = examined(tmp_path, **bad)
    assert len(found.usable.files) == 0
    with pytest.raises(
        DataError, match=r"not one of 4 files could be read .* such as a/0\.jpg: the file is empty"
    ):
        check_usable(found)
