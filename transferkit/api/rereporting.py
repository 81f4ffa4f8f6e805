"""The pages of a report made again from its numbers; without Keras and without TensorFlow."""

from pathlib import Path

from transferkit.api.tracking import log_to_mlflow
from transferkit.errors import UsageError
from transferkit.evaluation.report import Report
from transferkit.progress import say
from transferkit.reports import pages, record
from transferkit.reports.board import Board, check_board
from transferkit.reports.pictures import lost
from transferkit.runs import REPORT, Run


def report(folder: str | Path, *, tensorboard: bool = False, mlflow: bool = False) -> Path:
    """Write `report.html`, `report.md` and `figures/` of a run anew; where the page is.

    Args:
        folder: of a finished run. Its `report.json` and `pictures/` are all that is read for these.
        tensorboard: write its events too.
        mlflow: log the run to MLflow, see `api.tracking`.

    Raises:
        UsageError: no such folder, or a package is missing.
        DataError: the numbers cannot be read.
        TrackingError: the server does not take the run.
    """
    path = Path(folder)
    if not path.is_dir():
        raise UsageError(f"no such run: {path} is not a folder. Give one that has a {REPORT}.")
    found = record.read(path)
    _warn_of_pictures(found, path)
    pages.write(found, path)
    if tensorboard:
        check_board()
        board = Board(path)
        phases = dict.fromkeys(str(row["phase"]) for row in found.history)
        for phase in phases:
            board.follow(phase, [row for row in found.history if row["phase"] == phase])
        board.finish(found, Run.open(path).recipe.as_dict(), path.name)
    if mlflow:
        log_to_mlflow(Run.open(path))
    return path / pages.HTML


def _warn_of_pictures(found: Report, folder: Path) -> None:
    """Say it where the page will be without pictures that the run drew."""
    some = [] if found.gallery is None else [*found.gallery.mistakes, *found.gallery.unsure]
    some += [] if found.doubts is None else found.doubts.suspects
    gone, files = lost(some, folder)
    if gone:
        say(f"WARNING: {gone} of {files} pictures are not in {folder}/pictures: the page is without them")
