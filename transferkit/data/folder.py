"""A folder of class folders, listed as an index."""

import os
from collections.abc import Iterator
from pathlib import Path

from transferkit.data.index import (
    NO_TEXT,
    ON_REQUEST,
    Index,
    LeftOut,
    absent,
    excluded_table,
    files_table,
    ignored,
    is_run,
    is_text,
    why_left_out,
)
from transferkit.errors import DataError, UsageError, nearest_first

# Names that mean a split when they are the folders at the top.
SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val"}
SPLIT_NAMES |= {"validation": "val", "test": "test", "testing": "test"}
CLUTTER = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
BESIDE = "beside train/val/test folders, so not a class"
CLUTTER_FILE, CLUTTER_FOLDER = "hidden or system file", "hidden or system folder"
EMPTY_CLASS = LeftOut("", "class folder without images", "small-class")


def index_folder(root: Path, exclude: frozenset[str] = frozenset()) -> Index:
    """The index of `root/class/*` or `root/{train,val,test}/class/*`, sub-folders included.

    Files are listed, not opened, unless their name does not tell that they are images.

    Args:
        root: the folder.
        exclude: paths relative to root that are to be left out.

    Raises:
        UsageError: there is no such folder, or it is a file.
        DataError: it holds no images in class folders.
    """
    check_is_folder(root)
    rows: list[tuple[str, str, str, str]] = []
    left_out: list[LeftOut] = []
    for split, label, folder in _class_folders(root, left_out):
        before, given_up = len(rows), len(left_out)
        for path in _files_below(folder, left_out, root):
            relative = _relative(path, root)
            if relative in exclude:
                left_out.append(LeftOut(relative, ON_REQUEST, ""))
            elif out := why_left_out(path, relative):
                left_out.append(out)
            else:
                rows.append((relative, label, split, ""))
        if len(rows) == before:
            asked = any(out.finding == "" for out in left_out[given_up:])
            why = LeftOut("", "all its images are excluded", "ignored") if asked else EMPTY_CLASS
            left_out.append(why._replace(path=_relative(folder, root) + "/"))
    left_out += absent(exclude, left_out)
    if not rows:
        raise DataError(_no_images(root, left_out))
    return Index(root, files_table(rows), excluded_table(left_out))


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
    guess = f" Beside it: {', '.join(nearest_first(root.name, near)[:5])}." if near else ""
    raise UsageError(
        f"no such folder: {root}.{guess} Give a folder with one sub-folder of images for each "
        "class, or the name of a data set ('transferkit datasets' lists them)."
    )


def _class_folders(root: Path, left_out: list[LeftOut]) -> Iterator[tuple[str, str, Path]]:
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
            left_out.append(ignored(top.name + "/", BESIDE))
            continue
        yield from ((split, folder.name, folder) for folder in _folders(top, left_out, root))


def _folders(parent: Path, left_out: list[LeftOut], root: Path | None = None) -> list[Path]:
    found = []
    for entry in sorted(parent.iterdir()):
        relative = _relative(entry, root or parent)
        if not entry.is_dir():
            reason = CLUTTER_FILE if _is_clutter(entry.name) else "lies beside the class folders, not in one"
            left_out.append(ignored(relative, reason))
        elif out := _why_not_a_folder(entry, relative + "/"):
            if out.reason == NO_TEXT:  # a whole class would be missing
                raise DataError(f"the folder {relative}/ has a name that is not UTF-8 text: rename it.")
            left_out.append(out)
        else:
            found.append(entry)
    return found


def _why_not_a_folder(folder: Path, shown: str) -> LeftOut | None:
    if _is_clutter(folder.name):
        return ignored(shown, CLUTTER_FOLDER)
    if is_run(folder):
        return ignored(shown, "a run of transferkit")
    if not is_text(folder.name):
        return ignored(shown, NO_TEXT)
    if not os.access(folder, os.R_OK | os.X_OK):
        return LeftOut(shown, "no permission to read it", "unreadable")
    return None


def _files_below(folder: Path, left_out: list[LeftOut], root: Path) -> Iterator[Path]:
    """Files below a class folder, links followed, no folder entered twice."""
    entered: set[Path] = set()
    above = _above(folder, root)
    for here, folders, files in os.walk(folder, followlinks=True):
        real = Path(here).resolve()
        if real in above:
            left_out.append(ignored(_relative(Path(here), root) + "/", "link to a folder above it"))
        if real in above or real in entered:
            folders.clear()
            continue
        entered.add(real)
        for name in sorted(folders):
            if out := _why_not_a_folder(Path(here, name), _relative(Path(here, name), root) + "/"):
                folders.remove(name)
                left_out.append(out)
        folders.sort()
        for name in sorted(files):
            path = Path(here, name)
            if _is_clutter(name):
                left_out.append(ignored(_relative(path, root), CLUTTER_FILE))
            else:
                yield path


def _above(folder: Path, root: Path) -> set[Path]:
    """The folders that hold a class folder: a link to one would bring in the other classes."""
    starts = (root.resolve(), folder.parent.resolve(), folder.resolve().parent)
    return {place for start in starts for place in (start, *start.parents)}


def _relative(path: Path, root: Path) -> str:
    """The path below root with /, printable even where the name is not text."""
    return path.relative_to(root).as_posix().encode("utf-8", "backslashreplace").decode()


def _is_clutter(name: str) -> bool:
    return name.startswith(".") or name in CLUTTER


def _no_images(root: Path, left_out: list[LeftOut]) -> str:
    seen = "; ".join(f"{path}: {reason}" for path, reason, _ in left_out[:2]) or "it is empty"
    return (
        f"{root}: no images in class folders. Expected {root.name}/CLASS/*.jpg or "
        f"{root.name}/train/CLASS/*.jpg, one folder for each class. Found: {seen}."
    )
