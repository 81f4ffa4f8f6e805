"""Downloads against a server on this machine that misbehaves on demand, and hostile archives."""

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from transferkit import download, progress
from transferkit.data import unpack
from transferkit.errors import FetchError

BODY = bytes(range(256)) * 1000
SHA256 = "sha256:" + hashlib.sha256(BODY).hexdigest()
MD5 = "md5:" + hashlib.md5(BODY, usedforsecurity=False).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Answers by path: /ok, /cut (stops halfway the first time), /busy (500 once), others 404."""

    seen: list[tuple[str, str | None]]

    def do_GET(self) -> None:  # noqa: N802
        asked = self.headers.get("Range")
        self.seen.append((self.path, asked))
        first = len(self.seen) == 1
        if self.path not in ("/ok", "/cut", "/busy", "/no-ranges"):
            return self.send_error(404)
        if self.path == "/busy" and first:
            return self.send_error(500)
        start = int(asked[6:-1]) if asked and self.path != "/no-ranges" else 0
        if start >= len(BODY):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(BODY)}")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        self.send_header("Content-Length", str(len(BODY) - start))
        self.end_headers()
        cut = self.path == "/cut" and first
        self.wfile.write(BODY[start : len(BODY) // 2] if cut else BODY[start:])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(download, "BACKOFF_S", (0.0,))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(Handler, "seen", [], raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_whole_download_is_written_and_leaves_no_part(server: str, tmp_path: Path) -> None:
    download.download(f"{server}/ok", tmp_path / "set", checksum=SHA256, label="toy")
    assert (tmp_path / "set").read_bytes() == BODY
    assert [file.name for file in tmp_path.iterdir()] == ["set"]


def test_a_cut_connection_is_resumed_where_it_ended(server: str, tmp_path: Path) -> None:
    download.download(f"{server}/cut", tmp_path / "set", checksum=SHA256, label="toy")
    assert (tmp_path / "set").read_bytes() == BODY
    assert Handler.seen == [("/cut", None), ("/cut", f"bytes={len(BODY) // 2}-")]


@pytest.mark.parametrize("already", [100, len(BODY)])
def test_the_part_of_an_earlier_call_is_used(server: str, tmp_path: Path, already: int) -> None:
    (tmp_path / "set.part").write_bytes(BODY[:already])
    download.download(f"{server}/ok", tmp_path / "set", checksum=SHA256, label="toy")
    assert (tmp_path / "set").read_bytes() == BODY
    assert Handler.seen == [("/ok", f"bytes={already}-")]


def test_a_server_without_ranges_sends_everything_again(server: str, tmp_path: Path) -> None:
    (tmp_path / "set.part").write_bytes(BODY[:100])
    download.download(f"{server}/no-ranges", tmp_path / "set", checksum=SHA256, label="toy")
    assert (tmp_path / "set").read_bytes() == BODY


def test_a_part_longer_than_the_file_is_thrown_away(server: str, tmp_path: Path) -> None:
    (tmp_path / "set.part").write_bytes(BODY + b"x")
    download.download(f"{server}/ok", tmp_path / "set", checksum=SHA256, label="toy")
    assert (tmp_path / "set").read_bytes() == BODY


def test_a_server_error_is_tried_again(server: str, tmp_path: Path) -> None:
    download.download(f"{server}/busy", tmp_path / "set", checksum=MD5, label="toy")
    assert len(Handler.seen) == 2


def test_a_missing_file_fails_at_once_and_names_the_address(server: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError) as caught:
        download.download(f"{server}/gone", tmp_path / "set", checksum=SHA256, label="toy")
    assert str(caught.value) == (
        f"toy: cannot be downloaded from {server}/gone (try 1: HTTP Error 404: Not Found)."
    )
    assert len(Handler.seen) == 1


def test_a_host_that_cannot_be_reached_is_told_at_once(server: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"\(try 1: [^;]*refused[^;]*\)"):
        download.download("http://127.0.0.1:9/x", tmp_path / "set", checksum=SHA256, label="toy")


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_other_bytes_are_deleted_and_both_sums_told(server: str, tmp_path: Path, algorithm: str) -> None:
    received = hashlib.new(algorithm, BODY, usedforsecurity=False).hexdigest()
    with pytest.raises(FetchError, match=f"Expected {algorithm}:00, received .*{received}"):
        download.download(f"{server}/ok", tmp_path / "set", checksum=f"{algorithm}:00", label="toy")
    assert list(tmp_path.iterdir()) == []


def test_unchecked_bytes_are_said_to_be_unchecked(
    server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "_shown", True)
    download.download(f"{server}/ok", tmp_path / "set", checksum=None, label="toy")
    assert f"the bytes were not checked; {SHA256}" in capsys.readouterr().err


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="http, https or file"):
        download.download("ftp://host/x", tmp_path / "set", checksum=None, label="toy")


def zip_of(path: Path, *names: str, link: bool = False) -> Path:
    with zipfile.ZipFile(path, "w") as bundle:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.create_system = 3  # Unix, whose modes tell links
            info.external_attr = (0o120777 if link else 0o100644) << 16
            bundle.writestr(info, b"../../outside")
    return path


def tar_of(path: Path, *names: str, kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "../../outside"
            info.size = 3 if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(b"abc"))
    return path


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_a_plain_archive_is_unpacked(make: Callable[..., Path], tmp_path: Path) -> None:
    unpack.unpack(make(tmp_path / "a", "one/x.jpg", "two/y.jpg"), tmp_path / "out", label="toy")
    found = sorted(file.name for file in (tmp_path / "out").rglob("*.jpg"))
    assert found == ["x.jpg", "y.jpg"]


@pytest.mark.parametrize("make", [zip_of, tar_of])
@pytest.mark.parametrize("name", ["../evil", "/nowhere-at-all/evil", "a/../../evil", "C:/evil", "..\\evil"])
def test_a_member_outside_is_refused_and_nothing_written(
    make: Callable[..., Path], name: str, tmp_path: Path
) -> None:
    archive = make(tmp_path / "deep", "good.jpg", name)
    with pytest.raises(FetchError, match="not safe.*evil.*nothing was unpacked"):
        unpack.unpack(archive, tmp_path / "sub" / "out", label="toy")
    assert list(tmp_path.iterdir()) == [archive]


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (tarfile.SYMTYPE, "link"),
        (tarfile.LNKTYPE, "link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.FIFOTYPE, "device"),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(kind: bytes, word: str, tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a", "evil", kind=kind)
    with pytest.raises(FetchError, match=f"'evil' is a {word}"):
        unpack.unpack(archive, tmp_path / "out", label="toy")
    assert list(tmp_path.iterdir()) == [archive]


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="'evil' is a link"):
        unpack.unpack(zip_of(tmp_path / "a", "evil", link=True), tmp_path / "out", label="toy")
    assert not (tmp_path / "out").exists()


def test_an_archive_that_swells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "RATIO_FLOOR_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "a", "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("bomb", bytes(1_000_000))
    with pytest.raises(FetchError, match="would become more than 1000000"):
        unpack.unpack(tmp_path / "a", tmp_path / "out", label="toy")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_half_an_archive_is_told_to_be_broken(make: Callable[..., Path], tmp_path: Path) -> None:
    archive = make(tmp_path / "a", *(f"one/{number}.jpg" for number in range(50)))
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(FetchError, match="broken|neither"):
        unpack.unpack(archive, tmp_path / "out", label="toy")


def test_damage_inside_a_zip_is_told(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a", "one/x.jpg")
    archive.write_bytes(archive.read_bytes().replace(b"outside", b"damaged"))
    with pytest.raises(FetchError, match="toy: the archive is broken: Bad CRC-32"):
        unpack.unpack(archive, tmp_path / "out", label="toy")


def test_a_web_page_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("<html>please log in</html>")
    with pytest.raises(FetchError, match="neither a zip nor a tar"):
        unpack.unpack(tmp_path / "a", tmp_path / "out", label="toy")
