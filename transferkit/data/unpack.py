"""Archives from strangers, unpacked without harm.

Every member is judged before the first byte is written. Only plain files and folders pass: a link
can point anywhere, so none is followed or made.
"""

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from transferkit.errors import FetchError
from transferkit.progress import task

LIMIT_BYTES = 20_000_000_000
LIMIT_RATIO = 50  # pictures hardly shrink: an archive that grows so much holds no photographs
RATIO_FLOOR_BYTES = 1_000_000_000  # below this a bomb is no danger
LIMIT_MEMBERS = 1_000_000

_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # zipfile: encrypted, or (NotImplementedError) a compression it lacks
)


@dataclass(frozen=True)
class Member:
    """One entry of an archive."""

    name: str
    size_bytes: int
    kind: str  # file, folder, link or device
    open: Callable[[], IO[bytes] | None]


def unpack(archive: Path, folder: Path, *, label: str) -> None:
    """Unpack a zip or tar archive (by content, not by name) into `folder`.

    Raises:
        FetchError: neither zip nor tar, broken, or with a member that could do harm, which is
            named; for such a member nothing has been written.
    """
    try:
        if tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tar:
                _unpack(_tar_members(tar), archive, folder, label)
        elif zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as bundle:
                _unpack(_zip_members(bundle), archive, folder, label)
        else:
            raise FetchError(f"{label}: what came is neither a zip nor a tar archive.")
    except _BROKEN as error:
        raise FetchError(f"{label}: the archive is broken: {error}") from error


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
        return f"is a {member.kind}, only files and folders are unpacked"
    return None


def _write(member: Member, target: Path) -> None:
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


def _zip_members(bundle: zipfile.ZipFile) -> Iterable[Member]:
    for info in bundle.infolist():
        mode = info.external_attr >> 16  # as Unix tools store it; 0 from others
        kind = "device"
        if info.is_dir():
            kind = "folder"
        elif stat.S_ISLNK(mode):
            kind = "link"
        elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
            kind = "file"
        yield Member(info.filename, info.file_size, kind, lambda info=info: bundle.open(info))  # type: ignore[misc]
