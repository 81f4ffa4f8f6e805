import hashlib
import json
import re
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from transferkit.cache import cache_root
from transferkit.cli.datasets import datasets
from transferkit.data import public
from transferkit.data.public import Card, Layout
from transferkit.errors import DataError, FetchError, UnknownName


def toy_card(checksum: str | None, layout: Layout, images: int = 2) -> Card:
    return Card(
        name="toy",
        title="Toy",
        description="",
        images=images,
        classes=2,
        bytes=1_000_000,
        url="http://127.0.0.1:9/toy.zip",
        checksum=checksum,
        licence="CC0",
        source="",
        similarity="similar",
        amount="little",
        expected=(),
        layout=layout,
    )


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive with its images in one folder, the class in the name, and things beside them."""
    path = tmp_path / "toy.zip"
    names = ("images/great_dane_1.jpg", "images/Persian_12.jpg", "images/great_dane_1.mat")
    with zipfile.ZipFile(path, "w") as bundle:
        for name in (*names, "images/._Persian_12.jpg", "README"):
            bundle.writestr(name, name)
    return path


def sha256(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def use(monkeypatch: pytest.MonkeyPatch, card: Card) -> None:
    monkeypatch.setattr(public, "cards", lambda: [card])


BY_NAME = Layout(root="images", class_from_name=r"^(.+)_\d+\.jpg$")


def files(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def test_an_unknown_name_tells_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'flowers'.*transferkit datasets"):
        public.card("flower")


def test_a_set_that_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        public.data_folder("flowers", cache=tmp_path)
    assert str(caught.value) == (
        f"data set 'flowers' is not in the cache ({tmp_path / 'datasets'}). "
        "'transferkit datasets fetch flowers' downloads it (229 MB)."
    )


def test_digits_are_written_on_the_spot(tmp_path: Path) -> None:
    folder = public.data_folder("digits", cache=tmp_path)
    assert folder == tmp_path / "datasets" / "digits"
    assert sorted(path.name for path in folder.iterdir()) == [str(digit) for digit in range(10)]
    assert len(files(folder)) == 1797
    with Image.open(folder / "0" / "0000.png") as picture:
        assert (picture.mode, picture.size) == ("L", (8, 8))
        # The first rows in load_digits() are 0 0 5 13 9 1 0 0 and 0 0 13 15 10 15 5 0, of 16.
        assert list(picture.tobytes()[:16]) == [
            *(0, 0, 80, 207, 143, 16, 0, 0),
            *(0, 0, 207, 239, 159, 239, 80, 0),
        ]


def test_digits_are_the_same_each_time_and_kept(tmp_path: Path) -> None:
    first = public.data_folder("digits", cache=tmp_path / "a")
    second = public.data_folder("digits", cache=tmp_path / "b")
    assert files(first) == files(second)
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in files(first))
    (first / "mark").touch()
    assert public.fetch("digits", cache=tmp_path / "a") == first
    assert (first / "mark").exists()
    assert [path.name for path in (tmp_path / "a" / "datasets").iterdir()] == ["digits"]


def test_classes_are_taken_from_the_names(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, toy_card(sha256(archive), BY_NAME))
    folder = public.fetch("toy", cache=tmp_path / "cache", url=archive.as_uri())
    assert files(folder) == ["Persian/Persian_12.jpg", "great_dane/great_dane_1.jpg"]
    assert files(tmp_path / "cache" / "datasets") == [f"toy/{name}" for name in files(folder)]
    assert public.data_folder("toy", cache=tmp_path / "cache") == folder


def test_folders_are_kept_and_what_is_ignored_or_beside_them_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as bundle:
        for name in ("set/train/ants/x.jpg", "set/val/bees/y.jpg", "set/val/bees/Thumbs.db"):
            bundle.writestr(name, name)
        bundle.writestr("set/LICENSE.txt", "")
    use(monkeypatch, toy_card(None, Layout(root="set", ignore=("Thumbs.db",))))
    folder = public.fetch("toy", cache=tmp_path, url=(tmp_path / "a.zip").as_uri())
    assert files(folder) == ["train/ants/x.jpg", "val/bees/y.jpg"]


def test_an_archive_of_another_layout_is_refused_and_removed(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, toy_card(None, Layout(root="elsewhere")))
    with pytest.raises(FetchError, match="no images where its card says"):
        public.fetch("toy", cache=tmp_path / "cache", url=archive.as_uri())
    assert files(tmp_path / "cache") == []


def test_a_hostile_archive_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as bundle:
        bundle.writestr("images/cat_1.jpg", b"")
        bundle.writestr("../../../evil.jpg", b"")
    use(monkeypatch, toy_card(None, BY_NAME))
    with pytest.raises(FetchError, match="evil"):
        public.fetch("toy", cache=tmp_path / "cache", url=(tmp_path / "a.zip").as_uri())
    assert files(tmp_path) == ["a.zip"]


def test_a_failed_download_tells_the_ways_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transferkit.download.BACKOFF_S", (0.0,))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    use(monkeypatch, toy_card(None, BY_NAME))
    with pytest.raises(FetchError, match="try 1: (.|\n)*Without a network: .*--url file:///"):
        public.fetch("toy", cache=tmp_path)


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(FetchError, match="cannot be written.*TRANSFERKIT_CACHE"):
        public.fetch("digits", cache=tmp_path / "cache")


@pytest.mark.parametrize("card", public.cards(), ids=lambda card: card.name)
def test_every_card_is_whole(card: Card) -> None:
    assert (card.url is None) == (card.layout is None) == (card.bytes == 0) == (card.name == "digits")
    assert card.similarity in ("similar", "different")
    assert card.amount in ("little", "lots")
    assert all(0 < one.top1 <= 1 and one.how and one.source for one in card.expected)
    sums = r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}"
    assert card.checksum is None or re.fullmatch(sums, card.checksum)
    assert card.title and card.description and card.licence and card.source.startswith("https://")


def test_the_list_is_a_table_and_as_json_one_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFERKIT_CACHE", str(tmp_path))
    table = CliRunner().invoke(datasets)
    assert table.exit_code == 0
    assert "hymenoptera  " in table.stdout and "similar-little" in table.stdout
    entries = json.loads(CliRunner().invoke(datasets, ["--json"]).stdout)
    assert [entry["name"] for entry in entries] == [card.name for card in public.cards()]
    assert all(entry["cached"] is None for entry in entries)


def test_fetch_prints_the_folder_on_stdout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERKIT_CACHE", str(tmp_path))
    result = CliRunner().invoke(datasets, ["fetch", "digits"])
    assert result.stdout == f"{tmp_path / 'datasets' / 'digits'}\n"
    assert "yes" in CliRunner().invoke(datasets).stdout


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRANSFERKIT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, says the specification
    assert cache_root().is_absolute() and "relative" not in cache_root().parts
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "transferkit"
    monkeypatch.setenv("TRANSFERKIT_CACHE", str(tmp_path / "own"))
    assert cache_root() == tmp_path / "own"
