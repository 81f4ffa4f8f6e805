"""A table of images and labels as an index: CSV, Parquet or a DataFrame."""

import os
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from transferkit.data.folder import SPLIT_NAMES
from transferkit.data.index import (
    BETWEEN_NAMES,
    IMAGE_SUFFIXES,
    ON_REQUEST,
    Index,
    LeftOut,
    absent,
    excluded_table,
    ignored,
    why_left_out,
)
from transferkit.data.table import csv_header, holds_lists, read_table, texts, tidy
from transferkit.errors import DataError, UsageError, nearest_first
from transferkit.progress import say, task

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("path", "label", "split", "group")
# What others call these columns: never taken for them, but not passed over in silence.
OTHER_NAMES = {
    "path": ("file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "images"),
    "label": ("class", "class_name", "labels", "category", "target"),
    "split": ("subset", "splits", "partition"),
    "group": ("groups", "patient", "patient_id"),
}

_BATCH = 10_000
_ODD = re.compile(r"(^|/)\.{0,2}(/|$)")  # a path that starts or ends with /, or holds //, /./ or /../


def index_manifest(
    source: "Path | pd.DataFrame",
    exclude: frozenset[str] = frozenset(),
    *,
    root: Path | None = None,
    group_by: str | None = None,
) -> Index:
    """The index of the images that a table lists under `path`, `label` and perhaps `split`, `group`.

    Names of columns are compared without regard to case; other columns are passed over. Labels are text
    as they stand, without the blanks around them. If any label holds a vertical bar, or is a list, all
    are sets of names: "cat|dog" is both. A bar inside a name is not possible, not even escaped. Splits
    are train, val and test (valid, validation, training, testing), for all rows or for none. A path
    written with backslashes is read with / too if there is no such file. Files that are not there, are
    no images or have no label are left out; a file listed twice alike counts once.

    Args:
        source: a CSV file (comma, semicolon or tab; UTF-8), a Parquet file, or a table in memory.
        exclude: paths to leave out, as the index holds them.
        root: what paths are relative to; the manifest's folder, or the working folder for a table.
        group_by: the column that holds the groups, if it is not `group`; "" where no column is looked for.

    Raises:
        UsageError: no such file, no column `group_by`, or pyarrow is missing.
        DataError: no table, no path or label column, unknown splits, splits for some rows only, a file
            listed twice with different labels, splits or groups, or no file that can be used.
    """
    if isinstance(source, Path):
        name, table, base = str(source), read_table(source), root or source.parent
    else:
        name, table, base = "the table", source, root or Path()
    rows, multilabel = _rows(table, name, group_by)
    found = _look(rows["path"].unique().tolist(), base)
    rows["path"] = rows["path"].map({given: shown for given, (shown, _) in found.items()})
    on_request = sorted(exclude & set(rows["path"]))
    left_out = [LeftOut(path, ON_REQUEST, "") for path in on_request]
    rows = _labelled(rows[~rows["path"].isin(exclude)], left_out)
    rows = _once(_with_splits(rows, name), name)
    faults = {shown: fault for shown, fault in found.values() if fault}
    faulty = rows["path"].isin(faults.keys())
    left_out += [faults[path] for path in rows.loc[faulty, "path"]]
    files = rows[~faulty].sort_values("path", ignore_index=True)
    if not len(files):
        raise DataError(_none_usable(name, left_out, base))
    left_out += absent(exclude, left_out)
    return Index(base, files, excluded_table(left_out), multilabel=multilabel)


def is_manifest(path: Path) -> bool:
    """Whether a CSV file has the columns of a manifest."""
    return {"path", "label"} <= set(csv_header(path))


def _rows(table: "pd.DataFrame", name: str, group_by: str | None) -> tuple["pd.DataFrame", bool]:
    """The columns of the index as text, rows of nothing but blanks dropped, and whether multi-label."""
    import pandas as pd

    if any(level is not None for level in table.index.names):
        table = table.reset_index(allow_duplicates=True)
    columns = _columns([str(column) for column in table.columns], name, group_by)
    picked = {column: table.iloc[:, place] for column, place in columns.items()}
    filled = {column: texts(picked[column]) if column in picked else [""] * len(table) for column in COLUMNS}
    for column in COLUMNS[1:]:  # blanks around a path may belong to the name
        filled[column] = [value.strip() for value in filled[column]]
    try:
        rows = pd.DataFrame(filled, dtype=str)
    except UnicodeEncodeError as error:  # a file name as the system gives it, whose bytes are no text
        raise DataError(f"{name}: {ascii(error.object)} cannot be written as UTF-8: rename it.") from error
    blank = rows["path"].str.strip() == ""
    lost = rows[blank & (rows["label"] != "")]
    if len(lost):
        raise DataError(
            f"{name}: {len(lost)} rows have a label and no path; the first is row {lost.index[0] + 1} "
            f"({lost['label'].iloc[0]!r}), the header not counted. Fill in the path or remove the row."
        )
    rows = rows[~blank].reset_index(drop=True)
    if rows.empty:
        raise DataError(f"{name}: there are no rows below the header ({', '.join(map(str, table.columns))}).")
    several = holds_lists(picked["label"]) or rows["label"].str.contains(BETWEEN_NAMES, regex=False).any()
    return (_sets_of_names(rows, name) if several else rows), bool(several)


def _columns(given: list[str], name: str, group_by: str | None) -> dict[str, int]:
    """Where the columns of the index stand in the table."""
    names = [tidy(column) for column in given]
    wanted = {column: column for column in COLUMNS}
    if group_by:
        wanted["group"] = tidy(group_by)
        if wanted["group"] not in names:
            near = ", ".join(nearest_first(wanted["group"], [column for column in names if column]))
            raise UsageError(f"{name}: no column {group_by!r} to group by. There is: {near[:400]}.")
    shown = ", ".join(repr(column) for column in given[:20])
    for column, called in wanted.items():
        if names.count(called) > 1:
            raise DataError(f"{name}: more than one column {called!r}: {shown}. Rename all but one.")
        if called in names:
            continue
        _tell_missing(column, name, given, group_by)
    return {column: names.index(called) for column, called in wanted.items() if called in names}


def _tell_missing(column: str, name: str, given: list[str], group_by: str | None) -> None:
    """What to say of a column of the index that a table lacks; an error where that matters."""
    names = [tidy(one) for one in given]
    alike = [given[names.index(other)] for other in OTHER_NAMES[column] if other in names]
    guess = f" Did you mean {alike[0]!r}? Rename it to {column!r}" if alike else ""
    if column in ("path", "label"):
        shown = ", ".join(map(repr, given[:20]))
        raise DataError(
            f"{name}: no column {column!r} among {shown}.{guess}{'.' if guess else ''} Needed are path "
            "and label; split and group may be there."
        )
    if alike and column == "split":
        raise DataError(f"{name}: no column {column!r}.{guess}, or remove it if it is no {column}.")
    if alike and group_by is None:
        say(f"WARNING: {name}: column {alike[0]!r} is passed over; --group-by keeps its files together")


def _sets_of_names(rows: "pd.DataFrame", name: str) -> "pd.DataFrame":
    sets = {}
    for label in rows["label"].unique():
        names = {one.strip() for one in label.split(BETWEEN_NAMES)}
        if label and "" in names:
            path = rows.loc[rows["label"] == label, "path"].iloc[0]
            raise DataError(
                f"{name}: {path!r} has the label {label!r} with an empty name in it. Names are joined by "
                "one bar: 'cat|dog'."
            )
        sets[label] = BETWEEN_NAMES.join(sorted(names))
    return rows.assign(label=rows["label"].map(sets))


def _look(paths: Sequence[str], root: Path) -> dict[str, tuple[str, LeftOut | None]]:
    """For each path as given: how the index shows it, and why it is left out, None if it is not."""
    base = os.path.abspath(root)
    found = {}
    with task("look", len(paths), "files") as bar:
        for start in range(0, len(paths), _BATCH):
            batch = paths[start : start + _BATCH]
            found.update({given: _looked_at(given, base) for given in batch})
            bar.advance(len(batch))
    return found


def _looked_at(given: str, base: str) -> tuple[str, LeftOut | None]:
    if _is_plain(os.path.join(base, given)):
        return _shown(given, base), None
    slashed = given.replace("\\", "/")
    readings = dict.fromkeys((given, slashed, slashed.strip()))
    there = next((one for one in readings if not _is_absent(os.path.join(base, one))), None)
    if there is None:
        shown = _shown(slashed, base)
        return shown, LeftOut(shown, "no such file", "unreadable")
    shown = _shown(there, base)
    if _is_plain(os.path.join(base, there)):
        return shown, None
    try:
        fault = why_left_out(Path(base, there), shown)
    except OSError as error:  # a folder without permission, a name too long
        return shown, LeftOut(shown, error.strerror or str(error), "unreadable")
    # The list calls it an image, so that it is none is a fault.
    return shown, fault and fault._replace(finding="unreadable")


def _is_plain(full: str) -> bool:
    """Whether a file needs no closer look; as `why_left_out`, in a tenth of the time."""
    is_named_so = os.path.splitext(full)[1].lower() in IMAGE_SUFFIXES
    return is_named_so and os.path.isfile(full) and os.access(full, os.R_OK)


def _is_absent(full: str) -> bool:
    """Whether there is surely nothing of that name, not even a link that leads nowhere."""
    try:
        os.lstat(full)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):  # no permission, a name too long or with a NUL
        return False
    return False


def _shown(path: str, base: str) -> str:
    """A path as the index holds it: with /, relative where it lies below `base`."""
    text = path.replace(os.sep, "/")
    for above in (base, _real(base)):
        text = text.removeprefix(above.replace(os.sep, "/").rstrip("/") + "/")
    if not _ODD.search(text.removeprefix("/")):
        return text
    full = Path(base, path)
    if ".." in full.parts:
        full = Path(_real(str(full.parent)), full.name)
    for above in (base, _real(base)):
        if full.is_relative_to(above):
            return full.relative_to(above).as_posix()
    return full.as_posix()


@lru_cache(maxsize=1024)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def _labelled(rows: "pd.DataFrame", left_out: list[LeftOut]) -> "pd.DataFrame":
    """The rows with a label; files that have none in any row are left out."""
    bare = rows["label"] == ""
    without = set(rows.loc[bare, "path"]) - set(rows.loc[~bare, "path"])
    left_out += [ignored(path, "no label") for path in sorted(without)]
    return rows[~bare]


def _with_splits(rows: "pd.DataFrame", name: str) -> "pd.DataFrame":
    values = {value: value.lower() for value in rows["split"].unique()}
    strange = [value for value in values if value and values[value] not in SPLIT_NAMES]
    if strange:
        allowed = ", ".join(nearest_first(strange[0], SPLIT_NAMES))
        raise DataError(f"{name}: unknown split {strange[0]!r}. Allowed: {allowed}.")
    bare = rows["split"] == ""
    if bare.any() and not bare.all():
        raise DataError(
            f"{name}: {bare.sum()} of {len(rows)} rows have no split, the first is "
            f"{rows.loc[bare, 'path'].iloc[0]!r}. Give a split to every row or to none."
        )
    splits = {value: SPLIT_NAMES.get(small, "") for value, small in values.items()}
    return rows.assign(split=rows["split"].map(splits))


def _once(rows: "pd.DataFrame", name: str) -> "pd.DataFrame":
    """Each path once; rows that contradict each other are refused."""
    kept = rows.drop_duplicates()
    twice = kept[kept["path"].duplicated(keep=False)]
    if len(twice):
        path = twice["path"].iloc[0]
        same = twice[twice["path"] == path]
        column = next(column for column in COLUMNS[1:] if same[column].nunique() > 1)
        values = list(same[column].unique()[:2])
        way = f" An image of several classes is written {BETWEEN_NAMES.join(values)!r}, once."
        raise DataError(
            f"{name}: {path!r} is listed with the {column}s {values[0]!r} and {values[1]!r} "
            f"({twice['path'].nunique()} such files). Keep one row of each."
            f"{way if column == 'label' else ''}"
        )
    if len(kept) < len(rows):
        say(f"{name}: {len(rows) - len(kept)} rows repeat another and count once")
    return kept


def _none_usable(name: str, left_out: list[LeftOut], base: Path) -> str:
    tried = [one for one in left_out if one.finding == "unreadable"] or left_out
    full = base.absolute()
    return (
        f"{name}: none of the files it lists can be used. First tried: {Path(full, tried[0].path)} "
        f"({tried[0].reason}). Paths are relative to {full}."
    )
