"""Whole activations at one cut, kept for gradient phases: every epoch starts there."""

import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from transferkit.backbone.graph import output_of
from transferkit.data.index import Index
from transferkit.errors import DataError
from transferkit.progress import say
from transferkit.timing import Stopwatch
from transferkit.training.bank import Extractor, decoded, first_rows, predict


@dataclass(frozen=True)
class MapBank:
    """Activations at one cut.

    Attributes:
        maps: `(M, H, W, channels)`, in memory or mapped from disk; float32, or uint8
            images at freeze depth 0.
        rows: int `(N,)`: the map of each row of the index.
    """

    maps: np.ndarray
    rows: np.ndarray

    @property
    def held(self) -> int:
        """Bytes that it takes in memory."""
        return 0 if isinstance(self.maps, np.memmap) else int(self.maps.nbytes)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """`(len(rows), H, W, channels)` for rows of the index, of the type of `maps`."""
        return np.asarray(self.maps[self.rows[rows]])


@dataclass(frozen=True)
class Limits:
    """What whole activations may take: `disk_gb` (and never over half of what is free), `memory` bytes."""

    disk_gb: float
    memory: int

    def beside(self, bank: MapBank | None) -> "Limits":
        """What is left of the memory beside a bank."""
        return self if bank is None else replace(self, memory=max(0, self.memory - bank.held))


def map_bank(
    extractor: Extractor, index: Index, freeze_depth: int, limits: Limits, watch: Stopwatch
) -> MapBank | None:
    """Activations of every image at the cut behind `freeze_depth` stages.

    They are kept on disk while they fit there, and in memory too while they fit there: an epoch then
    reads nothing. None if they fit nowhere.

    Args:
        extractor: its network and decode policy.
        index: readable images only.
        freeze_depth: 0 keeps the decoded images themselves.
        limits: of disk and memory.
        watch: gets the seconds of decoding and of the bank.
    """
    shas = list(index.files["sha256"])
    unique = sorted(first_rows(shas), key=lambda row: shas[row])
    shape, dtype = map_shape(extractor, freeze_depth)
    size = len(unique) * int(np.prod(shape)) * np.dtype(dtype).itemsize
    place = {shas[row]: i for i, row in enumerate(unique)}
    rows = np.array([place[sha] for sha in shas])
    digest = digest_of([shas[row] for row in unique])
    target = array_file(extractor, f"{extractor.key}-{freeze_depth}-{digest}")
    # What is there is taken, however full the disk is by now: a run that goes on must not train otherwise.
    kept = kept_array(target)
    if kept is None and not room(extractor, size, limits):
        if size > limits.memory:
            say(f"bank: {size / 1e9:.1f} GB of activations are over the limit; computed anew each epoch")
            return None
        maps = np.empty((len(unique), *shape), dtype)
        _fill(maps, extractor, index, unique, freeze_depth, watch)
        return MapBank(maps, rows)
    if kept is None:
        writing = writable(target, (len(unique), *shape), dtype)
        try:
            _fill(writing, extractor, index, unique, freeze_depth, watch)
            kept = finished(writing, target)
        finally:
            aside(target).unlink(missing_ok=True)
    os.utime(target)
    if size <= limits.memory:
        kept = np.array(kept)
    else:
        say(f"bank: {size / 1e9:.1f} GB of activations are read from disk, not kept in memory")
    return MapBank(kept, rows)


def digest_of(shas: Sequence[str]) -> str:
    """What tells one set of files from another in the name of an array."""
    return hashlib.sha256("".join(shas).encode()).hexdigest()[:16]


def stem(extractor: Extractor, depth: int) -> Any:
    """The stages in front of a cut: images to the activations behind `depth` stages, at least 1."""
    import keras

    return keras.Model(extractor.network.input, output_of(extractor.network, extractor.stages[depth - 1].cut))


def array_file(extractor: Extractor, name: str) -> Path:
    """Where an array of activations is kept."""
    folder = extractor.cache / "maps"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.npy"


def kept_array(target: Path) -> np.ndarray | None:
    """The array of an earlier run, mapped from disk, if it is there and whole."""
    if not target.exists():
        return None
    try:
        kept: np.ndarray = np.load(target, mmap_mode="r")
        return kept
    except (OSError, ValueError, EOFError) as error:
        say(f"bank: {target} is broken ({error}); computed anew")
        target.unlink()
        return None


def room(extractor: Extractor, size: int, limits: Limits) -> bool:
    """Whether so many bytes may be written; older arrays make room."""
    folder = extractor.cache / "maps"
    if size > min(limits.disk_gb * 1e9, shutil.disk_usage(folder).free / 2):
        return False
    _make_room(folder, size, limits.disk_gb)
    return True


def writable(target: Path, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """A new array on disk, beside its place until it is `finished`."""
    return np.lib.format.open_memmap(aside(target), "w+", dtype, shape)


def finished(array: np.ndarray, target: Path) -> np.ndarray:
    """A `writable` array, put into its place and mapped from there."""
    array.flush()  # type: ignore[attr-defined]  # a memory map
    aside(target).rename(target)
    mapped: np.ndarray = np.load(target, mmap_mode="r")
    return mapped


def aside(target: Path) -> Path:
    """Where a file is written before it takes its place."""
    return target.with_suffix(f".{os.getpid()}.writing")


def map_shape(extractor: Extractor, freeze_depth: int) -> tuple[tuple[int, ...], str]:
    """(shape, dtype) of one image's activations behind so many stages, of its pixels at 0."""
    if freeze_depth == 0:
        return (extractor.policy.size_px, extractor.policy.size_px, 3), "uint8"
    stage = extractor.stages[freeze_depth - 1]
    return (stage.size_px, stage.size_px, stage.channels), "float32"


# Nobody computes one bank for longer: what is older was left by a process that was killed.
STALE_SECONDS = 7 * 24 * 3600


def _make_room(folder: Path, size: int, limit_gb: float) -> None:
    """Remove the maps unused for longest until the new ones fit into twice the limit."""
    for left in folder.glob("*.writing"):
        if time.time() - left.stat().st_mtime > STALE_SECONDS:
            left.unlink(missing_ok=True)
    old = sorted(folder.glob("*.npy"), key=lambda path: path.stat().st_mtime)
    held = sum(path.stat().st_size for path in old)
    while old and held + size > 2e9 * limit_gb:
        held -= old[0].stat().st_size
        old.pop(0).unlink()


def _fill(
    maps: np.ndarray,
    extractor: Extractor,
    index: Index,
    rows: list[int],
    freeze_depth: int,
    watch: Stopwatch,
) -> None:
    """Compute the activations of some rows of the index into `maps`."""
    network = stem(extractor, freeze_depth) if freeze_depth else None
    for chunk in decoded(extractor, index, rows, watch, "activations"):
        if chunk.failed:
            raise DataError(f"files changed while they were used: {list(chunk.failed.values())}")
        with watch.part("bank"):
            images = chunk.images
            maps[chunk.rows] = predict(network, images, extractor.batch_size) if network else images
