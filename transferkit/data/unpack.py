"""Archives from strangers, unpacked without harm.

Every member is judged before the first byte is written. Only plain files and folders pass: a link
can point anywhere, so none is followed or made.
"""

import errno
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Self

from transferkit.errors import FetchError
from transferkit.progress import task

LIMIT_BYTES = 20_000_000_000
LIMIT_RATIO = 50  # pictures hardly shrink: an archive that grows so much holds no photographs
RATIO_FLOOR_BYTES = 1_000_000_000  # below this a bomb is no danger
LIMIT_MEMBERS = 1_000_000
LIMIT_BEHIND_BYTES = 100_000_000  # padding behind the end of a tar
LIMIT_NAME_BYTES = 1_000_000  # of a tar header that holds a long name: it is read whole into memory

_CHUNK_BYTES = 1 << 20
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_ZIP_ENCRYPTED = 1  # bit of the flags
_NAME_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


class _Damaged(Exception):
    """A fault that tarfile would pass over: no TarError, which it takes for the archive's end."""


_BROKEN = (
    _Damaged,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # zipfile: (NotImplementedError) a compression it lacks
    ValueError,  # a number or name in a header that cannot be
    LookupError,  # zipfile: a member without a name
)


@dataclass(frozen=True)
class Member:
    """One entry of an archive."""

    name: str
    size_bytes: int
    kind: str  # file, folder, link, device or encrypted file
    open: Callable[[], IO[bytes] | None]


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or tar archive, by its content; one that is cut short is one too."""
    try:
        return path.is_file() and _kind(path) != ""
    except OSError:
        return False


def unpack(archive: Path, folder: Path, *, label: str) -> None:
    """Unpack a zip or tar archive (by content, not by name) into `folder`.

    Raises:
        FetchError: neither zip nor tar, broken, or with a member that could do harm, which is
            named; for such a member nothing has been written.
    """
    kind = _kind(archive)
    try:
        if kind == "tar":
            with _tar(archive) as tar:
                _unpack(_tar_members(tar), archive, folder, label)
        elif kind == "zip" or zipfile.is_zipfile(archive):  # with something before it, a program perhaps
            with zipfile.ZipFile(archive) as bundle:
                _unpack(_zip_members(bundle), archive, folder, label)
        else:
            raise FetchError(f"{label}: neither a zip nor a tar archive, or too damaged to tell.")
    except _BROKEN as error:
        raise FetchError(f"{label}: the archive is broken: {error}") from error
    except OSError as error:
        # Damage comes without a number (gzip, bz2) or as a place that cannot be (zip); others are the disk's.
        if isinstance(error, FetchError) or error.errno not in (None, errno.EINVAL):
            raise
        raise FetchError(f"{label}: the archive is broken: {error}") from error


class _Header(tarfile.TarInfo):
    """A tar header that is refused where tarfile would hang, fill the memory or lose the rest."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.size < 0 or (header.type in _NAME_HEADERS and header.size > LIMIT_NAME_BYTES):
            raise _Damaged(f"{header.name!r} has a header of {header.size} bytes")
        return header

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tar)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            if tar.offset:
                raise _Damaged(f"{error} {tar.offset} bytes from its start") from error
            raise


def _kind(archive: Path) -> str:
    """By content: zip, tar (compressed or not) or "" for neither."""
    with archive.open("rb") as stream:
        if stream.read(4) in _ZIP_STARTS:
            return "zip"
    try:
        with _tar(archive):
            return "tar"
    except _Damaged:
        return "tar"
    except (*_BROKEN, OSError):
        return ""


def _tar(archive: Path) -> tarfile.TarFile:
    return tarfile.open(archive, tarinfo=_Header)


def into_place(made: Path, ready: Path) -> None:
    """Rename a folder that is whole to where others look for it; one that is there already wins."""
    try:
        made.rename(ready)
    except OSError:
        if not ready.is_dir():  # otherwise another process was first, with the same files
            raise


def _unpack(members: Iterable[Member], archive: Path, folder: Path, label: str) -> None:
    safe = _judged(members, archive.stat().st_size, label)
    with task(f"unpack {label}", total=len(safe), unit="files") as progress:
        for member in safe:
            _write(member, folder / PurePosixPath(member.name))
            progress.advance()


def _judged(members: Iterable[Member], archive_bytes: int, label: str) -> list[Member]:
    """All members, once each has passed; reading stops at the first that does not."""
    safe: list[Member] = []
    total = 0
    for member in members:
        fault = _fault(member)
        if fault:
            raise FetchError(
                f"{label}: the archive is not safe, {member.name!r} {fault}; nothing was unpacked."
            )
        safe.append(member)
        total += member.size_bytes
        swollen = total > max(LIMIT_RATIO * archive_bytes, RATIO_FLOOR_BYTES)
        if swollen or total > LIMIT_BYTES or len(safe) > LIMIT_MEMBERS:
            raise FetchError(
                f"{label}: the archive is not safe, {archive_bytes} bytes would become more than "
                f"{total} in {len(safe)} files at {member.name!r}; nothing was unpacked."
            )
    return safe


def _fault(member: Member) -> str | None:
    # A Windows path splits at both slashes, so the verdict is the same on every system.
    path = PureWindowsPath(member.name)
    if path.drive or path.root:
        return "has an absolute path"
    if ".." in path.parts:
        return "leaves the folder by '..'"
    if member.kind not in ("file", "folder"):
        article = "an" if member.kind[0] == "e" else "a"
        return f"is {article} {member.kind}, only files and folders are unpacked"
    if member.size_bytes < 0 or "\0" in member.name:
        return "has a header that cannot be"
    return None


def _write(member: Member, target: Path) -> None:
    try:
        _copy(member, target)
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise _Damaged(f"{member.name!r} is a file and a folder at once") from error
    except _BROKEN as error:
        raise _Damaged(f"{error} in {member.name!r}") from error


def _copy(member: Member, target: Path) -> None:
    if member.kind == "folder":
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    source = member.open()
    assert source is not None, member.name  # tarfile gives None only for what is no file
    with source, target.open("wb") as file:
        shutil.copyfileobj(source, file)


def _tar_members(tar: tarfile.TarFile) -> Iterable[Member]:
    for info in tar:
        kind = "device"
        if info.isreg():
            kind = "file"
        elif info.isdir():
            kind = "folder"
        elif info.issym() or info.islnk():
            kind = "link"
        yield Member(info.name, info.size, kind, lambda info=info: tar.extractfile(info))  # type: ignore[misc]
    _read_to_the_end(tar)


def _read_to_the_end(tar: tarfile.TarFile) -> None:
    """Have the checksum behind the last byte compared, which gzip does only for those who get there."""
    assert tar.fileobj is not None
    for _ in range(LIMIT_BEHIND_BYTES // _CHUNK_BYTES):
        if not tar.fileobj.read(_CHUNK_BYTES):
            return
    raise _Damaged(f"it goes on for more than {LIMIT_BEHIND_BYTES} bytes behind its end")


def _zip_members(bundle: zipfile.ZipFile) -> Iterable[Member]:
    for info in bundle.infolist():
        mode = info.external_attr >> 16  # as Unix tools store it; 0 from others
        kind = "device"
        if info.is_dir():
            kind = "folder"
        elif stat.S_ISLNK(mode):
            kind = "link"
        elif info.flag_bits & _ZIP_ENCRYPTED:
            kind = "encrypted file"
        elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
            kind = "file"
        yield Member(info.filename, info.file_size, kind, lambda info=info: bundle.open(info))  # type: ignore[misc]
