"""A folder of images as one table: which files, which labels, which given split."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from transferkit.errors import DataError, UsageError
from transferkit.progress import task

if TYPE_CHECKING:
    import pandas as pd

# Names that mean a split when they are the folders at the top.
SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val"}
SPLIT_NAMES |= {"validation": "val", "test": "test", "testing": "test"}
IMAGE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .gif .bmp .webp .tif .tiff .avif .ppm .pgm .pbm .jp2 .ico".split()
)
NOT_THERE = "to be excluded on request, but not there"
CLUTTER = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Index:
    """What a folder holds.

    Attributes:
        root: the folder.
        files: a row for every image: `path` (relative to root, with /), `label`, `split` (given by
            the folders, else ""), `sha256` of the file's bytes. Sorted by path.
        excluded: a row for every file that is left out: `path`, `reason`.
    """

    root: Path
    files: "pd.DataFrame"
    excluded: "pd.DataFrame"

    @property
    def labels(self) -> list[str]:
        """Class names in output order: sorted."""
        return sorted(self.files["label"].unique())

    def without(self, failed: dict[str, str]) -> "Index":
        """The index less some files, which move to `excluded` with their reason."""
        import pandas as pd

        if not failed:
            return self
        gone = pd.DataFrame({"path": list(failed), "reason": list(failed.values())})
        kept = self.files[~self.files["path"].isin(failed.keys())].reset_index(drop=True)
        return Index(self.root, kept, pd.concat([self.excluded, gone], ignore_index=True))


def index_folder(root: Path, exclude: frozenset[str] = frozenset()) -> Index:
    """The index of `root/class/*` or `root/{train,val,test}/class/*`, sub-folders included.

    Args:
        root: the folder.
        exclude: paths relative to root that are to be left out.

    Raises:
        UsageError: there is no such folder, or it is a file.
        DataError: it holds no images in class folders.
    """
    import pandas as pd

    check_is_folder(root)
    rows: list[tuple[str, str, str]] = []
    left_out: list[tuple[str, str]] = []
    for split, label, folder in _class_folders(root, left_out):
        before = len(rows)
        for path in _files_below(folder, left_out, root):
            relative = _relative(path, root)
            if relative in exclude:
                left_out.append((relative, "excluded on request"))
            elif reason := _why_not_an_image(path, root):
                left_out.append((relative, reason))
            else:
                rows.append((relative, label, split))
        if len(rows) == before:
            left_out.append((_relative(folder, root) + "/", "class folder without images"))
    left_out += [(path, NOT_THERE) for path in sorted(exclude - {path for path, _ in left_out})]
    if not rows:
        raise DataError(_no_images(root, left_out))
    rows.sort()
    files = pd.DataFrame(rows, columns=["path", "label", "split"])
    files["sha256"] = _hashes([root / path for path in files["path"]])
    return Index(root, files, pd.DataFrame(sorted(left_out), columns=["path", "reason"]))


def check_classes(index: Index) -> None:
    """Refuse what no classifier can be made of.

    Raises:
        DataError: fewer than two classes, or a class with a single image; names them.
    """
    counts = index.files["label"].value_counts()
    if len(counts) < 2:
        raise DataError(
            f"{index.root}: one class only ({counts.index[0]!r}, {counts.iloc[0]} images). "
            "A classifier needs at least two: one sub-folder of images for each class."
        )
    alone = sorted(counts[counts < 2].index)
    if alone:
        raise DataError(
            f"{index.root}: {_listed(alone)} {'has' if len(alone) == 1 else 'have'} a single "
            "image. Every class needs images both to train and to check with: add images, or move "
            "the folder away."
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:8])
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"class{'es' if len(names) > 1 else ''} {shown}{more}"


def check_is_folder(root: Path) -> None:
    """Refuse what is no folder, naming what lies beside it.

    Raises:
        UsageError: there is nothing at `root`, or a file.
    """
    if root.is_dir():
        return
    if root.exists():
        raise UsageError(f"{root} is a file; a folder with one sub-folder for each class is needed.")
    near = (
        [p.name for p in root.parent.iterdir() if p.is_dir() and not _is_clutter(p.name)]
        if root.parent.is_dir()
        else []
    )
    from transferkit.errors import nearest_first

    guess = f" Beside it: {', '.join(nearest_first(root.name, near)[:5])}." if near else ""
    raise UsageError(
        f"no such folder: {root}.{guess} Give a folder with one sub-folder of images for each "
        "class, or the name of a data set ('transferkit datasets' lists them)."
    )


def _class_folders(root: Path, left_out: list[tuple[str, str]]) -> Iterator[tuple[str, str, Path]]:
    """(given split or "", class name, folder) for every class folder."""
    tops = _folders(root, left_out)
    splits = {top: SPLIT_NAMES[top.name.lower()] for top in tops if top.name.lower() in SPLIT_NAMES}
    holding = {split for top, split in splits.items() if _folders(top, [])}
    if "train" not in holding and not (holding and len(splits) == len(tops)):
        yield from (("", top.name, top) for top in tops)
        return
    for top in tops:
        split = SPLIT_NAMES.get(top.name.lower())
        if split is None:
            left_out.append((top.name + "/", "beside train/val/test folders, so not a class"))
            continue
        yield from ((split, folder.name, folder) for folder in _folders(top, left_out, root))


def _folders(parent: Path, left_out: list[tuple[str, str]], root: Path | None = None) -> list[Path]:
    found = []
    for entry in sorted(parent.iterdir()):
        if _is_clutter(entry.name):
            continue
        if not entry.is_dir():
            left_out.append((_relative(entry, root or parent), "lies beside the class folders, not in one"))
        elif reason := _why_not_a_folder(entry):
            left_out.append((_relative(entry, root or parent) + "/", reason))
        else:
            found.append(entry)
    return found


def _why_not_a_folder(folder: Path) -> str:
    if is_run(folder):
        return "a run of transferkit"
    return "" if os.access(folder, os.R_OK | os.X_OK) else "no permission to read it"


def _relative(path: Path, root: Path) -> str:
    """The path below root with /, printable even where the name is not text."""
    return path.relative_to(root).as_posix().encode("utf-8", "backslashreplace").decode()


def is_run(folder: Path) -> bool:
    """Whether a folder is one that `finetune` wrote."""
    return all((folder / name).is_file() for name in ("recipe.yaml", "plan.json", "labels.json"))


def _is_clutter(name: str) -> bool:
    return name.startswith(".") or name in CLUTTER


def _files_below(folder: Path, left_out: list[tuple[str, str]], root: Path) -> Iterator[Path]:
    """Files below a class folder, links followed, no folder entered twice."""
    entered: set[Path] = set()
    above = _above(folder, root)
    for here, folders, files in os.walk(folder, followlinks=True):
        real = Path(here).resolve()
        if real in above:
            left_out.append((_relative(Path(here), root) + "/", "link to a folder above it"))
        if real in above or real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(name for name in folders if not _is_clutter(name))
        for name in [name for name in folders if _why_not_a_folder(Path(here, name))]:
            folders.remove(name)
            left_out.append((_relative(Path(here, name), root) + "/", _why_not_a_folder(Path(here, name))))
        for name in sorted(files):
            path = Path(here, name)
            if _is_clutter(name):
                left_out.append((_relative(path, root), "hidden or system file"))
            else:
                yield path


def _above(folder: Path, root: Path) -> set[Path]:
    """The folders that hold a class folder: a link to one would bring in the other classes."""
    starts = (root.resolve(), folder.parent.resolve(), folder.resolve().parent)
    return {place for start in starts for place in (start, *start.parents)}


def _why_not_an_image(path: Path, root: Path) -> str:
    """Why a file is left out before decoding, or "" when it is taken for an image."""
    if _relative(path, root) != path.relative_to(root).as_posix():
        return "its name is not UTF-8 text: rename it"
    if not path.is_file():
        return "not a regular file (broken link, pipe or device)"
    if not os.access(path, os.R_OK):
        return "no permission to read it"
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ""
    from PIL import Image

    try:
        with Image.open(path):
            return ""
    except Exception:  # Pillow raises many kinds for files that are not images
        return "not an image"


def _hashes(paths: list[Path]) -> list[str]:
    hashes = []
    with ThreadPoolExecutor(4) as pool, task("index", len(paths), "files") as bar:
        for sha256 in pool.map(_sha256, paths):
            hashes.append(sha256)
            bar.advance()
    return hashes


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _no_images(root: Path, left_out: list[tuple[str, str]]) -> str:
    seen = "; ".join(f"{path}: {reason}" for path, reason in left_out[:2]) or "it is empty"
    return (
        f"{root}: no images in class folders. Expected {root.name}/CLASS/*.jpg or "
        f"{root.name}/train/CLASS/*.jpg, one folder for each class. Found: {seen}."
    )
