"""The near duplicates of a set of pictures, kept: to compare all with all again takes a minute or more."""

import hashlib
import os
from pathlib import Path

import numpy as np

from transferkit.data.duplicates import Pair, find_pairs
from transferkit.progress import say

# Raise when the rule that makes two pictures a pair changes.
PAIRS_VERSION = 1
WORTH_BYTES = 330 * 2000  # marks of two thousand pictures: fewer are compared in no time
KEPT = 50  # sets

_FIELDS = np.dtype([("first", "i8"), ("second", "i8"), ("mirrored", "?"), ("difference", "f8")])


def pairs_of(marks: np.ndarray, cache: Path) -> list[Pair]:
    """What `find_pairs` finds, from the cache where the same marks were compared before.

    Args:
        marks: int16, from `describe`.
        cache: the folder of all caches.
    """
    if marks.nbytes < WORTH_BYTES:
        return find_pairs(marks)
    digest = hashlib.sha256(np.ascontiguousarray(marks).data).hexdigest()[:24]
    file = cache / "pairs" / f"{PAIRS_VERSION}-{digest}.npy"
    try:
        table = np.load(file)
        os.utime(file)
        return [Pair(*row) for row in table.astype(_FIELDS).tolist()]
    except FileNotFoundError:
        pass
    except (OSError, ValueError, EOFError) as error:
        say(f"duplicates: {file} is broken ({error}); all pictures are compared anew")
    say(f"duplicates: {len(marks)} pictures are compared with each other")
    found = find_pairs(marks)
    _keep(found, file)
    return found


def _keep(pairs: list[Pair], file: Path) -> None:
    """Write aside, then rename; a cache that cannot be written is told, and costs only time."""
    rows = [(pair.first, pair.second, pair.mirrored, pair.difference) for pair in pairs]
    aside = file.with_suffix(f".{os.getpid()}.writing")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as stream:
            np.save(stream, np.array(rows, _FIELDS))
        aside.rename(file)
        old = sorted(file.parent.glob("*.npy"), key=lambda path: path.stat().st_mtime)
        for path in old[:-KEPT]:
            path.unlink(missing_ok=True)
    except OSError as error:
        say(f"duplicates: {file} cannot be written ({error}); the next run compares all again")
