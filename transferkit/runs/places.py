"""Where a run may be written, and what lies about from runs that did not end."""

import os
from pathlib import Path

from transferkit.data.index import is_run
from transferkit.errors import OutputExists, UsageError
from transferkit.runs.folder import RESUME, UNFINISHED

# Beside the run's folder while it is written, and left there when it is killed.
SUFFIX = UNFINISHED
# In that folder: what was asked of which data. Without it there is nothing to go on with.
SOURCE = "source.json"


def place_of(folder: Path) -> Path:
    """Where a run is kept until it is whole."""
    return folder.with_name(folder.name + SUFFIX)


def default_folder(data: str) -> Path:
    """`runs/NAME-N` with the smallest number that is free."""
    place = Path(data).resolve()
    stem = place.name.split(".")[0] if place.is_file() else place.name
    stem = stem or "run"
    number = 1
    while _taken(folder := Path("runs") / f"{stem}-{number}"):
        number += 1
    return folder


def _taken(folder: Path) -> bool:
    return folder.exists() or place_of(folder).exists()


def check_output(folder: Path, overwrite: bool) -> None:
    """Refuse an output folder that holds something, before any work is done.

    Raises:
        OutputExists: it holds files and may not be replaced, or is no run.
        UsageError: it is a file or below one, or the folder we are in.
    """
    place = next(above for above in folder.absolute().parents if above.exists())
    if not place.is_dir():
        raise UsageError(f"--out {folder}: {place} is a file. Give a folder that is new or empty.")
    if not os.access(place, os.W_OK):
        raise UsageError(f"--out {folder}: no permission to write into {place}. Give another folder.")
    if Path.cwd().is_relative_to(folder.resolve()):
        raise UsageError(f"--out {folder} is the folder we are in (or one above). Give one inside it.")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder} is a file. Give a folder that is new or empty.")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not overwrite:
        on = (
            f", or go on with it: transferkit finetune --resume {folder}"
            if (folder / RESUME).is_dir()
            else ""
        )
        raise OutputExists(
            f"--out {folder} is not empty. Give another folder, or --overwrite to replace it{on}."
        )
    if not is_run(folder):
        raise OutputExists(
            f"--out {folder} is not empty and no run of transferkit, so --overwrite leaves it "
            "alone too. Give another folder."
        )


def nearby(folder: Path) -> list[Path]:
    """Runs beside `folder` and in runs/ that can be gone on with, by the names their folders have or get."""
    found = set()
    for above in (folder.parent, Path("runs")):
        found |= {file.parent for file in above.glob(f"*{SUFFIX}/{SOURCE}")}
        found |= {file.parent.parent for file in above.glob(f"*/{RESUME}/{SOURCE}")}
    return sorted(path.with_name(path.name.removesuffix(SUFFIX)) for path in found)
