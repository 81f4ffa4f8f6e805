"""Where a gradient phase stands after a whole epoch, in one file that is written at once or not at all."""

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import IO, Any

import numpy as np

from transferkit.errors import DataError
from transferkit.progress import say

# Raise when the content changes: a state of another version is not taken up.
STATE_VERSION = 1
STATE_NAME = "state"


@dataclass(kw_only=True)
class Progress:
    """Where a phase stands, but for the model and its optimizer.

    Attributes:
        learning_rate: the highest of the schedule, as found and as cut by explosions.
        batch_size: as halved by full memory.
        start: val score and val loss before the first epoch.
        attempt: from 1; each explosion begins another.
        rows: of the history, one for each epoch of this attempt; `earlier` those of attempts before it.
        notes: sentences on what happened.
        best_epoch: of this attempt; 0 is the start.
        best: weights of that epoch; None for the start.
        joined: weights that gradual unfreezing let in late: path -> optimizer's steps before.
        done: whether nothing is left to train.
    """

    learning_rate: float
    batch_size: int
    start: tuple[float, float]
    attempt: int = 1
    rows: list[dict[str, Any]] = field(default_factory=list)
    earlier: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    best_epoch: int = 0
    best: list[np.ndarray] | None = None
    joined: dict[str, int] = field(default_factory=dict)
    done: bool = False


@dataclass(frozen=True)
class Snapshot:
    """Copies of all that a step changes: weights and seeds of the model, and what its optimizer keeps."""

    model: list[np.ndarray]
    optimizer: list[np.ndarray]


def snapshot(model: Any) -> Snapshot:
    """What a model and its optimizer hold now."""
    optimizer = getattr(model, "optimizer", None)
    return Snapshot(_values(model.variables), _values(optimizer.variables) if optimizer else [])


def restore(model: Any, kept: Snapshot, what: str = "the state") -> None:
    """Give a model, and its optimizer where it has one, what they held.

    Raises:
        DataError: they are of another network or optimizer.
    """
    _assign(model.variables, kept.model, what)
    if kept.optimizer:
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        _assign(model.optimizer.variables, kept.optimizer, what)


def _values(variables: list[Any]) -> list[np.ndarray]:
    import keras

    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: list[Any], values: list[np.ndarray], what: str) -> None:
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [value.shape for value in values]:
        raise DataError(
            f"{what} is of another network or optimizer: {len(values)} arrays where {len(shapes)} of other "
            "shapes are needed. Was transferkit or Keras updated meanwhile, or is there less room for "
            "activations (limit_memory, bank_limit_gb)? Put that right, or start anew with --overwrite."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


@dataclass(frozen=True)
class StateFile:
    """The file that holds the state of one phase.

    Attributes:
        path: of the file; it need not be there.
        digest: of the recipe and plan that the state belongs to.
    """

    path: Path
    digest: str

    def write(self, progress: Progress, kept: Snapshot) -> None:
        """Replace the file by a newer state, on disk before this returns.

        Where it cannot be written training goes on, and a resumed run takes up an older state.
        """
        told = {one.name: getattr(progress, one.name) for one in fields(progress)}
        told |= {"best": progress.best is not None, "version": STATE_VERSION, "digest": self.digest}
        groups = {"model": kept.model, "optimizer": kept.optimizer, "best": progress.best or []}
        arrays = {f"{name}-{i}": one for name, group in groups.items() for i, one in enumerate(group)}
        text = np.frombuffer(json.dumps(told).encode(), np.uint8)
        try:
            write_whole(self.path, lambda stream: np.savez(stream, told=text, **arrays))  # type: ignore[arg-type]
        except OSError as error:
            say(f"WARNING: {self.path} cannot be written ({error}): --resume would go on from before")

    def read(self) -> tuple[Progress, Snapshot] | None:
        """The state; None where there is none, or a broken one, which is told.

        Raises:
            DataError: a state of another recipe, plan or version of transferkit.
        """
        if not self.path.is_file():
            return None
        try:
            # Opened here: numpy leaves a broken file open.
            with self.path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                told = json.loads(arrays["told"].tobytes())
                groups = {name: _group(arrays, name) for name in ("model", "optimizer", "best")}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            say(f"WARNING: {self.path} is broken ({error}); its phase begins anew")
            return None
        if (told.pop("version"), told.pop("digest")) != (STATE_VERSION, self.digest):
            raise DataError(
                f"{self.path} is the state of another recipe or plan, or of another version of transferkit: "
                "it cannot be gone on from. Start anew with --overwrite."
            )
        best = groups["best"] if told.pop("best") else None
        told["start"] = tuple(told["start"])
        return Progress(**told, best=best), Snapshot(groups["model"], groups["optimizer"])


@dataclass(frozen=True)
class StateFolder:
    """Where a run keeps the states of its phases.

    Attributes:
        folder: it is there.
        digest: of the recipe and plan.
    """

    folder: Path
    digest: str

    def of(self, number: int) -> StateFile:
        """The state of a phase by its place in the plan, from 1."""
        return StateFile(self.folder / f"{STATE_NAME}-{number}.npz", self.digest)


def _group(arrays: Any, name: str) -> list[np.ndarray]:
    count = sum(key.startswith(f"{name}-") for key in arrays.files)
    return [arrays[f"{name}-{i}"] for i in range(count)]


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file aside and rename it when it is on disk: what is at `path` is always whole.

    Raises:
        OSError: no room, no permission; what was at `path` stays.
    """
    aside = path.with_name(f"{path.name}.writing")
    try:
        with aside.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Put a folder's names on disk, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows opens no folders
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
