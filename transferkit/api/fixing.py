"""Labels put right by hand: a run's fixes.csv, filled in, laid over the data; no file is touched."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from transferkit.data.index import Index
from transferkit.data.table import read_table, tidy
from transferkit.errors import DataError, nearest_first
from transferkit.printable import shown
from transferkit.progress import say

if TYPE_CHECKING:
    import pandas as pd

SUGGESTED, EXCLUDE = "suggested", "exclude"


def fixed(index: Index, file: str) -> Index:
    """The index with the labels that a file of fixes says.

    The file has a row for each image: `path` and `fix`: a class, `suggested` for that of its column of that
    name, or `exclude`. Rows whose `fix` is empty say nothing.

    Args:
        index: of the data.
        file: CSV.

    Raises:
        UsageError, DataError: no such file, no table, columns missing, images that are not there, or classes
            that there are not; all at once.
    """
    told = _read(file)
    if words := {SUGGESTED, EXCLUDE} & set(index.labels):
        raise DataError(
            f"--fixes {file}: a class is called {words.pop()!r}, which is a word of its own in the column "
            "fix. Rename the class."
        )
    labels = dict(zip(index.files["path"], index.files["label"], strict=True))
    faults = [f"{shown(path)}: no such image" for path in told if path not in labels]
    known = index.labels
    faults += [
        f"{path}: no class {fix!r}; there are {', '.join(nearest_first(fix, known)[:5])}"
        for path, fix in told.items()
        if fix != EXCLUDE and path in labels and not set(_names(fix, index)) <= set(known)
    ]
    if faults:
        more = f"\n  and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise DataError(f"--fixes {file}:\n  " + "\n  ".join(faults[:5]) + more)
    gone = {path: f"excluded by {Path(file).name}" for path, fix in told.items() if fix == EXCLUDE}
    changed = {path: fix for path, fix in told.items() if fix != EXCLUDE and fix != labels[path]}
    say(f"fixes: {len(changed)} labels changed, {len(gone)} images left out, by {file}")
    files = index.files.copy()
    files["label"] = [changed.get(path, label) for path, label in labels.items()]
    return replace(index, files=files).without(gone, "")


def fixes_note(files: "pd.DataFrame", file: str) -> str:
    """What a reader of the report should know of labels that were put right.

    Args:
        files: of the index: `path`, `split`.
        file: of the fixes.
    """
    told = {path for path, fix in _read(file, changes=True).items() if fix != EXCLUDE}
    touched = files[files["path"].isin(told)]
    judged = int((touched["split"] == "test").sum())
    note = f"{len(touched)} labels are those of {Path(file).name} (--fixes)"
    if not judged:
        return note
    return (
        f"{note}, {judged} of them in test: where they follow what a classifier of this kind suggested, its "
        "test figures rise by that alone"
    )


def _names(fix: str, index: Index) -> list[str]:
    return fix.split("|") if index.multilabel else [fix]


def _read(file: str, *, changes: bool = False) -> dict[str, str]:
    """Path to what is to be done with it; of `changes` alone where the file says the labels as they were."""
    table = read_table(Path(file))
    table.columns = [tidy(name) for name in table.columns]
    missing = [name for name in ("path", "fix") if name not in table.columns]
    if missing:
        raise DataError(
            f"--fixes {file}: no column {' and no column '.join(missing)}; it has "
            f"{', '.join(table.columns)}. A run's fixes.csv has them; write the right class, 'suggested' or "
            "'exclude' into the column fix."
        )
    told: dict[str, str] = {}
    for row in table.to_dict("records"):
        fix = str(row["fix"]).strip()
        if fix == SUGGESTED and not row.get(SUGGESTED):
            raise DataError(f"--fixes {file}: {row['path']}: nothing is suggested; write the class.")
        if not fix:
            continue
        path, fix = str(row["path"]), str(row[SUGGESTED]) if fix == SUGGESTED else fix
        if told.get(path, fix) != fix:
            raise DataError(f"--fixes {file}: {path} is there twice, with {told[path]!r} and {fix!r}.")
        told[path] = fix
    kept = {str(row["path"]): str(row.get("label", "")) for row in table.to_dict("records")}
    told = {path: fix for path, fix in told.items() if not (changes and kept[path] == fix)}
    if not told and not changes:
        raise DataError(
            f"--fixes {file}: the column fix is empty in all rows. Write the right class, 'suggested' or "
            "'exclude' into it where a label is wrong."
        )
    return told
