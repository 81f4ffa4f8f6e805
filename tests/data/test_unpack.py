"""What a hostile or damaged archive may do; plain ones are in tests/test_download.py."""

import gzip
import io
import random
import tarfile
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from transferkit.data import unpack
from transferkit.data.unpack import is_archive
from transferkit.errors import FetchError


def refused(archive: Path, told: str) -> None:
    """The archive is refused, and what was written lies inside the folder meant for it."""
    folder = archive.parent / "deep" / "out"
    with pytest.raises(FetchError, match=told):
        unpack.unpack(archive, folder, label="toy")
    assert {path.name for path in archive.parent.iterdir()} <= {archive.name, "deep"}


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def tar_of(path: Path, *names: str, compression: str = "") -> Path:
    with tarfile.open(path, f"w:{compression}") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 5000
            tar.addfile(info, io.BytesIO(random.Random(name).randbytes(5000)))
    return path


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
@pytest.mark.parametrize("before", [b"", header("a.jpg", 0)])
def test_a_name_of_a_gigabyte_is_refused_unread(kind: bytes, before: bytes, tmp_path: Path) -> None:
    bomb = tmp_path / "a.tar.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as stream:
        stream.write(before + header("bomb", 50_000_000, kind) + bytes(50_000_000))
    tracemalloc.start()
    assert is_archive(bomb)
    refused(bomb, "'bomb' has a header of 50000000 bytes")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("before", [b"", header("a.jpg", 0)])
def test_a_size_below_nothing_is_refused_at_once(before: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(before + header("back", -1024) + bytes(1024))
    started = time.perf_counter()
    refused(tmp_path / "a.tar", "'back' has a header of -1024 bytes")
    assert time.perf_counter() - started < 2


def test_a_size_below_nothing_in_an_extended_header_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("back")
        info.pax_headers = {"size": "-1024"}
        tar.addfile(info)
    refused(tmp_path / "a.tar", "'back' has a header that cannot be; nothing was unpacked")


def test_damage_in_the_middle_is_not_taken_for_the_end(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar", "one.jpg", "two.jpg", "three.jpg")
    data = bytearray(archive.read_bytes())
    data[data.index(b"two.jpg")] ^= 1
    archive.write_bytes(data)
    refused(archive, "the archive is broken: bad checksum")
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz"])
def test_damage_in_a_compressed_archive_is_told(compression: str, tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a", *(f"{n}.jpg" for n in range(250)), compression=compression)
    data = bytearray(archive.read_bytes())
    data[len(data) * 19 // 20] ^= 255  # behind the first block of bzip2
    archive.write_bytes(data)
    refused(archive, "toy: the archive is broken: ")
    assert not (tmp_path / "deep").exists()


def test_a_bomb_behind_the_end_is_not_read_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "LIMIT_BEHIND_BYTES", 3 << 20)
    with gzip.open(tmp_path / "a.tar.gz", "wb", compresslevel=1) as stream:
        stream.write(header("one.jpg", 0) + bytes(4 << 20))
    refused(tmp_path / "a.tar.gz", "goes on for more than 3145728 bytes behind its end")


def test_an_encrypted_member_is_named_and_nothing_written(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as bundle:
        bundle.writestr("open.jpg", b"abc")
        bundle.writestr("locked.jpg", b"abc")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1  # the flags in the directory at the end
    (tmp_path / "a.zip").write_bytes(data)
    refused(tmp_path / "a.zip", r"'locked\.jpg' is an encrypted file.*nothing was unpacked")
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize(
    "names", [("cats", "cats/1.jpg"), ("cats", "cats/may/1.jpg"), ("cats/1.jpg", "cats"), ("cats/1.jpg", ".")]
)
def test_a_name_for_both_a_file_and_a_folder_is_told(names: tuple[str, str], tmp_path: Path) -> None:
    refused(tar_of(tmp_path / "a.tar", *names), f"'{names[1]}' is a file and a folder at once")


def test_a_zip_whose_sizes_lie_writes_no_more_than_they_say(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("bomb.jpg", bytes(5_000_000))
    lied = (tmp_path / "a.zip").read_bytes().replace((5_000_000).to_bytes(4, "little"), b"\x0a\0\0\0")
    (tmp_path / "a.zip").write_bytes(lied)
    refused(tmp_path / "a.zip", "the archive is broken: Bad CRC-32 for file 'bomb.jpg'")
    assert (tmp_path / "deep" / "out" / "bomb.jpg").stat().st_size <= 10


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [("\u00e4".encode(), b"\xff\xff", "can't decode byte 0xff"), (b"k\xc3", b"\0\xc3", "index out of range")],
)
def test_a_zip_with_names_that_cannot_be_is_broken(old: bytes, new: bytes, told: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as bundle:
        bundle.writestr("k\u00e4se.jpg", b"abc")
    (tmp_path / "a.zip").write_bytes((tmp_path / "a.zip").read_bytes().replace(old, new))
    refused(tmp_path / "a.zip", f"the archive is broken: .*{told}")


def test_a_zip_cut_short_is_broken_and_not_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as bundle:
        bundle.writestr("one.jpg", b"abc")
    (tmp_path / "a.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:-30])
    assert is_archive(tmp_path / "a.zip")
    refused(tmp_path / "a.zip", "the archive is broken: File is not a zip file")


@pytest.mark.parametrize("kind", ["zip", "tar", "gz", "bz2", "xz"])
def test_no_damage_brings_another_error(kind: str, tmp_path: Path) -> None:
    names = [f"c{n}/{'x' * n * 40}.jpg" for n in range(6)]
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "a", "w", zipfile.ZIP_DEFLATED) as bundle:
            for name in names:
                bundle.writestr(name, bytes(900))
    else:
        tar_of(tmp_path / "a", *names, compression=kind.removeprefix("tar"))
    whole, chance = (tmp_path / "a").read_bytes(), random.Random(1)
    for attempt in range(60):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 3, 30))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        (tmp_path / "b").write_bytes(data[: chance.randrange(len(data)) if attempt % 3 == 0 else None])
        try:
            unpack.unpack(tmp_path / "b", tmp_path / "out" / str(attempt), label="toy")
        except FetchError as error:
            assert str(error).startswith("toy: ")
