"""A run as it lies in its folder: read back by name, written file by file."""

import csv
import json
import platform
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from transferkit.errors import DataError, UsageError
from transferkit.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd

HISTORY_COLUMNS = (
    "phase", "epoch", "loss", "val_loss", "top1", "val_top1", "learning_rate", "seconds",
)  # fmt: skip
# Within the folder of a run that Ctrl-C ended: what is needed to go on with it.
RESUME = "resume"
# Ends the name of its folder while it is written, and when it was killed.
UNFINISHED = ".unfinished"
# Suspect labels, for a person to put right; `finetune --fixes` takes it.
FIXES = "fixes.csv"
# The numbers of the report, from which its pages are made again.
REPORT = "report.json"


@dataclass(frozen=True)
class Run:
    """A finished run, read from its folder."""

    folder: Path

    @classmethod
    def open(cls, folder: "str | Path | Run") -> Self:
        """The run in a folder.

        Raises:
            UsageError: no such folder, or not one that a run wrote.
        """
        path = folder.folder if isinstance(folder, Run) else Path(folder)
        if not path.is_dir() and path.with_name(path.name + UNFINISHED).is_dir():
            raise UsageError(
                f"{path} is not finished: go on with it by 'transferkit finetune --resume {path}', or "
                "start anew."
            )
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
    def numbers(self) -> dict[str, Any]:
        """The numbers of the report; empty in runs of earlier versions."""
        try:
            return dict(self._json(REPORT)) if (self.folder / REPORT).is_file() else {}
        except (TypeError, ValueError) as error:
            raise self.damaged(REPORT, error) from error

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
        text = {"path": str, "label": str, "split": str, "pred": str, "top5": str}
        return self._table("predictions.csv", text)

    @property
    def content(self) -> "pd.DataFrame":
        """`path,sha256,split` of every image that was used."""
        if not self.keeps_content:
            raise DataError(
                f"{self.folder} has no content.csv, which tells images apart whatever they are called. Copy "
                "the whole folder of the run."
            )
        return self._table("content.csv", str)

    @property
    def keeps_content(self) -> bool:
        """Whether it can be told which images the run has seen."""
        return (self.folder / "content.csv").is_file()

    @cached_property
    def seen(self) -> frozenset[str]:
        """SHA-256 of the images that took part in the training or choosing: all but those of test."""
        return frozenset(self.content.loc[self.content["split"] != "test", "sha256"])

    @property
    def judged(self) -> "pd.DataFrame":
        """`sha256,split,label,pred,top5` of the images of val and test, each content once."""
        frame = self.predictions.merge(self.content[["path", "sha256"]], on="path")
        return frame[["sha256", "split", "label", "pred", "top5"]].drop_duplicates("sha256")

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the training; `finetune --resume` goes on with it."""
        return (self.folder / RESUME).is_dir()

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

    def _table(self, name: str, types: Any) -> "pd.DataFrame":
        import pandas as pd

        try:
            return pd.read_csv(self.folder / name, dtype=types, keep_default_na=False)
        except (OSError, ValueError) as error:  # pandas' own kinds are of it
            raise self.damaged(name, error) from error

    def _json(self, name: str) -> Any:
        try:
            return json.loads(self.text(name))
        except json.JSONDecodeError as error:
            raise self.damaged(name, error) from error


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


def versions(backend: str = "tensorflow") -> dict[str, str]:
    """Versions of Python and of the packages that shape the numbers.

    Args:
        backend: of Keras, which is one of them.
    """
    from importlib.metadata import version

    names = ["transferkit", "keras", "tensorflow", "numpy", "scipy", "scikit-learn", "pandas", "Pillow"]
    names += [backend] if backend not in names else []
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in names:
        try:
            found[name] = version(name)
        except ModuleNotFoundError:  # as when run from a checkout that is not installed
            found[name] = "not installed"
    return found
