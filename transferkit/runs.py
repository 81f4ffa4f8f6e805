"""The run folder: written aside and renamed when whole, read back by name."""

import csv
import json
import os
import platform
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transferkit.data.index import is_run
from transferkit.errors import DataError, OutputExists, UsageError
from transferkit.progress import say
from transferkit.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd

HISTORY_COLUMNS = (
    "phase", "epoch", "loss", "val_loss", "top1", "val_top1", "learning_rate", "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A finished run, read from its folder."""

    folder: Path

    @classmethod
    def open(cls, folder: str | Path) -> "Run":
        """The run in a folder.

        Raises:
            UsageError: no such folder, or not one that a run wrote.
        """
        path = Path(folder)
        if not path.is_dir():
            raise UsageError(f"no such run: {path} is not a folder. Give the folder that finetune named.")
        missing = [n for n in ("model.keras", "labels.json", "plan.json") if not (path / n).is_file()]
        if missing:
            raise UsageError(f"{path} is not a run folder: {', '.join(missing)} not there.")
        return cls(path)

    @property
    def labels(self) -> list[str]:
        """Class names in output order."""
        return [str(name) for name in self._json("labels.json")]

    @property
    def multilabel(self) -> bool:
        """Whether an image may have several classes."""
        return bool(self.plan.get("multilabel", False))

    @property
    def threshold(self) -> float:
        """The probability from which a class of multi-label data counts as there; chosen on val."""
        try:
            return float(self.metrics["threshold"])
        except (KeyError, TypeError, ValueError) as error:
            raise self.damaged("metrics.json", error) from error

    @property
    def plan(self) -> dict[str, Any]:
        """What was decided."""
        return dict(self._json("plan.json"))

    @property
    def metrics(self) -> dict[str, Any]:
        """The numbers of val and test."""
        return dict(self._json("metrics.json"))

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, device, seed and seconds."""
        return dict(self._json("environment.json"))

    @property
    def recipe(self) -> Recipe:
        """What was asked."""
        import yaml

        try:
            values = dict(yaml.safe_load(self.text("recipe.yaml")))
        except (yaml.YAMLError, TypeError, ValueError) as error:
            raise self.damaged("recipe.yaml", error) from error
        return Recipe.from_mapping(values, str(self.folder / "recipe.yaml"))

    @property
    def predictions(self) -> "pd.DataFrame":
        """A row for every val and test image."""
        import pandas as pd

        text = {"path": str, "label": str, "split": str, "pred": str, "top5": str}
        return pd.read_csv(self.folder / "predictions.csv", dtype=text, keep_default_na=False)

    def text(self, name: str) -> str:
        """The content of a file of the run.

        Raises:
            DataError: it is not there or not text.
        """
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self.damaged(name, error) from error

    def damaged(self, name: str, error: Exception) -> DataError:
        """The error for a file of the run that cannot be used."""
        return DataError(f"the run {self.folder} is damaged: {name}: {error}. Train it again.")

    def _json(self, name: str) -> Any:
        try:
            return json.loads(self.text(name))
        except json.JSONDecodeError as error:
            raise self.damaged(name, error) from error


def default_folder(data: str) -> Path:
    """`runs/NAME-N` with the smallest number that is free."""
    place = Path(data).resolve()
    stem = place.name.split(".")[0] if place.is_file() else place.name
    stem = stem or "run"
    number = 1
    while (folder := Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return folder


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
        raise OutputExists(f"--out {folder} is not empty. Give another folder, or --overwrite to replace it.")
    if not is_run(folder):
        raise OutputExists(
            f"--out {folder} is not empty and no run of transferkit, so --overwrite leaves it "
            "alone too. Give another folder."
        )


@dataclass
class Writing:
    """A run being written: into `aside`, to become `folder`."""

    aside: Path
    folder: Path


@contextmanager
def writing(folder: Path, overwrite: bool = False) -> Iterator[Writing]:
    """A folder to write a run into, that becomes `folder` when the block ends well.

    Until then nothing is at `folder` that was not there before; if the block fails, nothing is left. If
    somebody else has filled `folder` meanwhile and it may not be replaced, the run takes the next free
    name, which `Writing.folder` then tells.
    """
    folder = folder.resolve()  # a link stays a link, what it points to is replaced
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.writing"
    aside.mkdir()
    try:
        result = Writing(aside, folder)
        yield result
        result.folder = _replace(folder, aside, overwrite)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _replace(folder: Path, aside: Path, overwrite: bool) -> Path:
    wanted, number = folder, 2
    while not overwrite:
        try:
            aside.rename(folder)  # succeeds where there is nothing, or an empty folder
        except OSError:
            folder = wanted.with_name(f"{wanted.name}-{number}")
            number += 1
            if number > 1000:
                raise
            continue
        if folder != wanted:
            say(f"WARNING: {wanted} was filled by another run meanwhile; this one is in {folder}")
        return folder
    if not folder.exists():
        aside.rename(folder)
        return folder
    old = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.old"
    folder.rename(old)
    aside.rename(folder)
    shutil.rmtree(old)
    return folder


def write_json(path: Path, content: Any) -> None:
    """JSON with a line for each key, UTF-8 as it is."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_csv(path: Path, frame: "pd.DataFrame") -> None:
    """CSV with a header; numbers in full precision, so that equal runs write equal bytes."""
    # A bare carriage return in a name ends a row for most readers unless it is quoted.
    if any(frame[column].astype(str).str.contains("\r", regex=False).any() for column in frame):
        frame.to_csv(path, index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    else:
        frame.to_csv(path, index=False, lineterminator="\n")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that shape the numbers."""
    from importlib.metadata import version

    names = ("transferkit", "keras", "tensorflow", "numpy", "scikit-learn", "pandas", "Pillow")
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in names:
        try:
            found[name] = version(name)
        except ModuleNotFoundError:  # as when run from a checkout that is not installed
            found[name] = "not installed"
    return found
