"""A user's own archive in place of a folder: unpacked once, kept by its content."""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

from transferkit.data.folder import CLUTTER, SPLIT_NAMES
from transferkit.data.index import IMAGE_SUFFIXES
from transferkit.data.manifest import is_manifest
from transferkit.data.unpack import into_place, unpack
from transferkit.errors import DataError, FetchError

_MANIFEST = "manifest.csv"
_EXCEL = "[Content_Types].xml"  # at the top of every Office file, which is a zip too


def unpacked(archive: Path, cache: Path) -> Path:
    """The folder of images that an archive holds, or the manifest that lists them.

    It is unpacked under `cache`/archives/ and the first 24 hex digits of the SHA-256 of its bytes,
    where it appears only when it is whole and where the next call finds it. A folder that holds all
    the others is stepped into. A manifest is `manifest.csv` beside the images, or the only .csv there
    if it has the columns of one and no class folders lie beside it.

    Args:
        archive: zip or tar, by its content; tar compressed with gzip, bzip2 or xz too.
        cache: the cache's root.

    Raises:
        DataError: neither zip nor tar, broken, encrypted, not safe (the message names the member), too
            big, without images, or the cache cannot be written.
    """
    try:
        with archive.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{archive}: cannot be read: {error.strerror}.") from error
    ready = cache / "archives" / digest[:24]
    if not ready.is_dir():
        _unpack(archive, ready)
    return _inside(ready, archive)


def _unpack(archive: Path, ready: Path) -> None:
    """Unpack beside `ready`, and rename when it is whole."""
    try:
        ready.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".unpacking-", dir=ready.parent) as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            unpack(archive, made, label=archive.name)
            _inside(made, archive)  # what holds no images is not kept
            into_place(made, ready)
    except FetchError as error:
        raise DataError(
            f"{str(error).rstrip('.')}. Copy or make it anew; or, if you trust it, unpack it yourself and "
            "give the folder."
        ) from error
    except OSError as error:
        raise DataError(
            f"{archive.name}: cannot be unpacked into {ready.parent}: {error}. "
            "TRANSFERKIT_CACHE names another folder for the cache."
        ) from error


def _inside(folder: Path, archive: Path) -> Path:
    """The manifest in an unpacked archive, or the folder of class folders."""
    if (folder / _EXCEL).is_file():
        raise DataError(f"{archive}: an Office document. Save the table as CSV (UTF-8) and give that.")
    here: Path | None = folder
    while here:
        folder, manifest = here, _manifest(here)
        if manifest:
            return manifest
        here = _wrapper(folder)
    if not _folders(folder):
        names = sorted(path.name for path in folder.iterdir() if not _is_clutter(path))
        found = f"Found: {', '.join(names[:5])}." if names else "It is empty."
        raise DataError(
            f"{archive}: no class folders and no {_MANIFEST} in it. {found} Wanted is one folder of "
            "images for each class, or a table of the columns path and label."
        )
    return folder


def _manifest(folder: Path) -> Path | None:
    tables = [path for path in folder.iterdir() if path.suffix.lower() == ".csv" and not _is_clutter(path)]
    named = [path for path in tables if path.name.lower() == _MANIFEST]
    if named:
        return named[0]
    if len(tables) == 1 and not _has_class_folders(folder) and is_manifest(tables[0]):
        return tables[0]
    return None


def _has_class_folders(folder: Path) -> bool:
    """Whether the folders give classes; one alone is taken for the place of the images."""
    folders = _folders(folder)
    if all(path.name.lower() in SPLIT_NAMES for path in folders):
        return any(_folders(path) for path in folders)
    return len(folders) > 1


def _wrapper(folder: Path) -> Path | None:
    """The one folder that holds the class folders or the manifest, None where these lie in `folder`."""
    folders = _folders(folder)
    pictures = any(
        path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir() if not _is_clutter(path)
    )
    if len(folders) != 1 or pictures or folders[0].name.lower() in SPLIT_NAMES:
        return None
    return folders[0] if _folders(folders[0]) or _manifest(folders[0]) else None


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not _is_clutter(path))


def _is_clutter(path: Path) -> bool:
    return path.name.startswith(".") or path.name in CLUTTER
