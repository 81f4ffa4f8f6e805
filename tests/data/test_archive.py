import hashlib
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import draw_classes
from transferkit.data.archive import unpacked
from transferkit.data.folder import index_folder
from transferkit.data.manifest import index_manifest
from transferkit.data.unpack import is_archive
from transferkit.errors import DataError, FetchError

TARS = {".tar": "w", ".tar.gz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def packed(folder: Path, to: Path) -> Path:
    """All of a folder, in the kind of archive that the name says."""
    if to.suffix == ".zip":
        with zipfile.ZipFile(to, "w") as bundle:
            for path in sorted(folder.rglob("*")):
                bundle.write(path, path.relative_to(folder))
        return to
    mode = next(mode for suffix, mode in TARS.items() if to.name.endswith(suffix))
    with tarfile.open(to, mode) as tar:
        tar.add(folder, ".")
    return to


def made(to: Path, **members: str) -> Path:
    with zipfile.ZipFile(to, "w") as bundle:
        for name, text in members.items():
            bundle.writestr(name, text)
    return to


def left(cache: Path) -> list[Path]:
    return list((cache / "archives").iterdir())


@pytest.mark.parametrize("suffix", [".zip", *TARS])
def test_an_archive_of_class_folders_is_as_good_as_the_folder(
    suffix: str, tmp_path: Path, cache: Path
) -> None:
    root = draw_classes(tmp_path / "photos", 2)
    archive = packed(root, tmp_path / f"photos{suffix}")
    assert is_archive(archive)
    folder = unpacked(archive, cache)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert folder == cache / "archives" / digest[:24]
    assert index_folder(folder).files.equals(index_folder(root).files)


def test_the_content_tells_an_archive_and_not_the_name(tmp_path: Path) -> None:
    root = draw_classes(tmp_path / "photos", 1)
    assert is_archive(packed(root, tmp_path / "a.tar.gz").rename(tmp_path / "a.csv"))
    (tmp_path / "b.zip").write_text("path,label\n")
    others = (tmp_path / "b.zip", root, root / "red" / "000.png", tmp_path / "nothing")
    assert [is_archive(path) for path in others] == [False] * 4


def test_the_second_time_nothing_is_unpacked(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = packed(draw_classes(tmp_path / "photos", 1), tmp_path / "a.zip")
    folder = unpacked(archive, cache)
    monkeypatch.setattr("transferkit.data.archive.unpack", None)
    assert unpacked(archive.rename(tmp_path / "b.zip"), cache) == folder
    assert left(cache) == [folder]


@pytest.mark.parametrize("beside", [[], ["README.txt", "__MACOSX/photos/._x.jpg", ".DS_Store"]])
def test_a_folder_that_holds_all_the_others_is_stepped_into(
    beside: list[str], tmp_path: Path, cache: Path
) -> None:
    names = ["data/photos/cats/1.jpg", "data/photos/dogs/1.jpg", *beside]
    folder = unpacked(made(tmp_path / "a.zip", **dict.fromkeys(names, "")), cache)
    assert folder == left(cache)[0] / "data" / "photos"


@pytest.mark.parametrize(
    "names",
    [
        ["cats/1.jpg"],
        ["cats/1.jpg", "dogs/1.jpg"],
        ["train/cats/1.jpg", "train/dogs/1.jpg"],
        ["more/cats/1.jpg", "1.jpg"],
        ["cats/1.jpg", "dogs/1.jpg", "list.csv"],
        ["train/cats/1.jpg", "test/cats/1.jpg", "list.csv"],
    ],
)
def test_class_and_split_folders_stay_where_they_are(names: list[str], tmp_path: Path, cache: Path) -> None:
    archive = made(tmp_path / "a.zip", **dict.fromkeys(names, "path,label\n"))
    assert unpacked(archive, cache) == left(cache)[0]


@pytest.mark.parametrize(
    ("names", "manifest"),
    [
        (["images/1.png", "labels.csv"], "labels.csv"),
        (["1.png", "._labels.csv", "labels.csv"], "labels.csv"),
        (["train/1.png", "test/1.png", "labels.csv"], "labels.csv"),
        (["cats/1.png", "dogs/1.png", "Manifest.csv", "other.csv"], "Manifest.csv"),
        (["photos/images/1.png", "photos/labels.csv"], "photos/labels.csv"),
        (["photos/1.png", "photos/labels.csv"], "photos/labels.csv"),
    ],
)
def test_a_manifest_in_the_archive_is_found(
    names: list[str], manifest: str, tmp_path: Path, cache: Path
) -> None:
    archive = made(tmp_path / "a.zip", **dict.fromkeys(names, "path,label\n"))
    assert unpacked(archive, cache) == left(cache)[0] / manifest


def test_a_table_of_other_things_is_no_manifest(tmp_path: Path, cache: Path) -> None:
    members = {"photos/cats/1.jpg": "", "photos/dogs/1.jpg": "", "camera.csv": "file,exposure\n"}
    assert unpacked(made(tmp_path / "a.zip", **members), cache) == left(cache)[0] / "photos"


def test_a_manifest_in_an_archive_finds_its_pictures(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "set" / "images").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "set" / "images" / "1.png")
    (tmp_path / "set" / "labels.csv").write_text("path,label\nimages/1.png,cat\n")
    index = index_manifest(unpacked(packed(tmp_path / "set", tmp_path / "a.zip"), cache))
    assert list(index.files["path"]) == ["images/1.png"]


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"cats/1.jpg": "", "../evil.jpg": ""}, r"a\.zip: .*'\.\./evil\.jpg' leaves the folder"),
        ({"train.zip": "", "test.zip": ""}, r"no class folders .* Found: test\.zip, train\.zip\."),
        ({}, r"no class folders .* It is empty"),
        ({"[Content_Types].xml": "", "xl/workbook.xml": ""}, "an Office document. Save the table as CSV"),
    ],
)
def test_what_cannot_be_used_is_refused_and_leaves_nothing(
    members: dict[str, str], told: str, tmp_path: Path, cache: Path
) -> None:
    with pytest.raises(DataError, match=told):
        unpacked(made(tmp_path / "a.zip", **members), cache)
    assert left(cache) == []
    assert not (cache / "evil.jpg").exists()


def test_half_an_archive_is_refused_by_name(tmp_path: Path, cache: Path) -> None:
    archive = packed(draw_classes(tmp_path / "photos", 2), tmp_path / "a.zip")
    archive.write_bytes(archive.read_bytes()[:-500])
    assert is_archive(archive)
    with pytest.raises(DataError, match=r"a\.zip: the archive is broken.* unpack it yourself") as caught:
        unpacked(archive, cache)
    assert not isinstance(caught.value, FetchError)
    assert left(cache) == []


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, cache: Path) -> None:
    cache.write_text("a file in the way")
    with pytest.raises(DataError, match=r"a\.zip: cannot be unpacked into .*TRANSFERKIT_CACHE"):
        unpacked(made(tmp_path / "a.zip", **{"cats/1.jpg": ""}), cache)


def test_an_archive_that_is_not_there_is_told(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(DataError, match=r"none\.zip: cannot be read: No such file"):
        unpacked(tmp_path / "none.zip", cache)
