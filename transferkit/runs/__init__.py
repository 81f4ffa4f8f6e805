"""The run folder: written aside and renamed when whole, gone on with when stopped, read back by name."""

from transferkit.runs.folder import (
    FIXES,
    HISTORY_COLUMNS,
    REPORT,
    RESUME,
    Run,
    versions,
    write_csv,
    write_json,
)
from transferkit.runs.places import SOURCE, SUFFIX, check_output, default_folder
from transferkit.runs.unfinished import Writing, completed, reopened, shown, writing

__all__ = [
    "FIXES",
    "HISTORY_COLUMNS",
    "REPORT",
    "RESUME",
    "SOURCE",
    "SUFFIX",
    "Run",
    "Writing",
    "check_output",
    "completed",
    "default_folder",
    "reopened",
    "shown",
    "versions",
    "write_csv",
    "write_json",
    "writing",
]
