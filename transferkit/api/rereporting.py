"""The pages of a report made again from its numbers; without Keras and without TensorFlow."""

from pathlib import Path

from transferkit.errors import UsageError
from transferkit.reports import pages, record
from transferkit.runs import REPORT


def report(folder: str | Path) -> Path:
    """Write `report.html`, `report.md` and `figures/` of a run anew; where the page is.

    Args:
        folder: of a finished run. Its `report.json` and `pictures/` are all that is read.

    Raises:
        UsageError: no such folder.
        DataError: the numbers cannot be read.
    """
    path = Path(folder)
    if not path.is_dir():
        raise UsageError(f"no such run: {path} is not a folder. Give one that has a {REPORT}.")
    pages.write(record.read(path), path)
    return path / pages.HTML
