"""Pooled features on disk: folders written aside and renamed, so that one that is there is whole."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transferkit.errors import DataError
from transferkit.progress import say

# Each in a file of its own, float32: half precision for the wide grids was tried, and the bank's
# probabilities then differed from the saved model's by up to 3e-4.
KINDS = ("means", "deviations", "grids")


@dataclass(frozen=True)
class Places:
    """Where the features of some images lie.

    Attributes:
        shards: folders.
        shard: int `(N,)`: the place in `shards` of each image, -1 where there is none.
        row: int `(N,)`: its row there.
    """

    shards: tuple[Path, ...]
    shard: np.ndarray
    row: np.ndarray

    def keep(self, rows: np.ndarray) -> "Places":
        """The places of some of the images."""
        return Places(self.shards, self.shard[rows], self.row[rows])

    def gather(self, kind: str, columns: Sequence[slice]) -> Iterator[np.ndarray]:
        """float32 `(N, width)` for each slice of columns of a kind; rows of zeros where there is none.

        Each shard is mapped, not read: what is not asked for takes no memory.

        Raises:
            DataError: a shard that has gone since.
        """
        for span in columns:
            found = np.zeros((len(self.row), span.stop - span.start), np.float32)
            for number in np.unique(self.shard[self.shard >= 0]):
                own = np.flatnonzero(self.shard == number)
                found[own] = self._mapped(int(number), kind)[self.row[own], span]
            yield found

    def _mapped(self, number: int, kind: str) -> np.ndarray:
        path = self.shards[number] / f"{kind}.npy"
        try:
            mapped: np.ndarray = np.load(path, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise DataError(
                f"the bank has changed while it was used: {path} ({error}). Run the command again; what is "
                "missing is computed anew."
            ) from error
        return mapped


def places_of(shas: Sequence[str], known: Mapping[str, tuple[Path, int]]) -> Places:
    """The places of files by their SHA-256, in the order given, from (shard, row) of what is known."""
    shards = tuple(dict.fromkeys(known[sha][0] for sha in shas if sha in known))
    number = {path: i for i, path in enumerate(shards)}
    found = [(number[known[sha][0]], known[sha][1]) if sha in known else (-1, 0) for sha in shas]
    pairs = np.array(found, dtype=np.int64).reshape(-1, 2)
    return Places(shards, pairs[:, 0], pairs[:, 1])


def read_shards(folder: Path) -> dict[str, tuple[Path, int]]:
    """SHA-256 -> (shard, row) of every image in a folder; what is broken is removed, and said."""
    known: dict[str, tuple[Path, int]] = {}
    for shard in sorted(folder.glob("*.shard")):
        try:
            shas = np.load(shard / "sha256.npy")
            for kind in KINDS:
                rows = len(np.load(shard / f"{kind}.npy", mmap_mode="r"))
                if len(shas) != rows:
                    raise ValueError(f"{rows} rows of {kind} for {len(shas)} files")
        except (OSError, ValueError, EOFError) as error:
            say(f"bank: {shard} is broken ({error}); its images are computed anew")
            shutil.rmtree(shard)
            continue
        known |= {sha.decode(): (shard, row) for row, sha in enumerate(shas)}
    return known


def write_shard(folder: Path, shas: Sequence[str], features: Mapping[str, np.ndarray]) -> Path:
    """The shard of some images, written aside, then renamed.

    Args:
        folder: of all shards.
        shas: SHA-256 of the files; at least one.
        features: of each kind `(len(shas), width)`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder, prefix="writing-"))
    np.save(aside / "sha256.npy", np.array([sha.encode() for sha in shas]))
    for kind in KINDS:
        np.save(aside / f"{kind}.npy", features[kind].astype(np.float32, copy=False))
    digest = hashlib.sha256("".join(sorted(shas)).encode()).hexdigest()[:16]
    target = folder / f"{digest}.shard"
    try:
        aside.rename(target)
    except OSError:
        # Another process has just written the same shard.
        shutil.rmtree(aside)
        if not target.exists():
            raise
    return target
