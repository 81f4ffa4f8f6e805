"""Repair of a split in which a class misses: which unit is moved where, and what to say if none can be."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from transferkit.data.units import JOINED, Members, counted, unit_numbers

if TYPE_CHECKING:
    import pandas as pd

RANKS = ("", "train", "val", "test")  # the place of a split; a leak is mended in favour of the higher one
HINTS = {
    "cluster": " Near duplicates count as one: --near-duplicates ignore counts them singly.",
    "group": " Files of a group count as one: check the group column.",
}


@dataclass(frozen=True)
class Placing:
    """Units in splits, U of them with C classes; `place` is what `repair` changes.

    Attributes:
        place: the split of each unit as place in RANKS, (U,).
        free: whether a unit may be moved, bool (U,).
        draws: what was drawn for each unit, in [0, 1), (U,).
        bounds: of the draws, for each split that units may be moved to.
        units: with `labels` each pair of a unit and a class of it once, sorted by unit, (P,).
        labels: places of the classes.
        needed: whether a class must be in a split, bool (C, 4).
    """

    place: np.ndarray
    free: np.ndarray
    draws: np.ndarray
    bounds: dict[int, tuple[float, float]]
    units: np.ndarray
    labels: np.ndarray
    needed: np.ndarray

    @cached_property
    def _by_label(self) -> np.ndarray:
        return np.argsort(self.labels, kind="stable")

    def classes_of(self, unit: int) -> np.ndarray:
        """The classes of a unit."""
        start, stop = np.searchsorted(self.units, [unit, unit + 1])
        found: np.ndarray = self.labels[start:stop]
        return found

    def units_of(self, label: int) -> np.ndarray:
        """The units that have a class."""
        start, stop = np.searchsorted(self.labels, [label, label + 1], sorter=self._by_label)
        found: np.ndarray = self.units[self._by_label[start:stop]]
        return found

    def counts(self) -> np.ndarray:
        """Units of each class in each split, int (C, 4)."""
        cells = self.labels * len(RANKS) + self.place[self.units]
        return np.bincount(cells, minlength=self.needed.size).reshape(self.needed.shape)

    def missing(self) -> np.ndarray:
        """Where a class that must be in a split has no unit, bool (C, 4)."""
        missing: np.ndarray = self.needed & (self.counts() == 0)
        return missing


def repair(placing: Placing) -> None:
    """Move units until no class misses in a drawn split, or no move is left that makes no new gap."""
    counts, moved = placing.counts(), True
    while moved:
        moved = False
        for split in sorted(placing.bounds):
            for label in np.flatnonzero(placing.needed[:, split] & (counts[:, split] == 0)):
                unit = _nearest(placing, counts, int(label), split) if counts[label, split] == 0 else None
                if unit is not None:
                    counts[placing.classes_of(unit), placing.place[unit]] -= 1
                    counts[placing.classes_of(unit), split] += 1
                    placing.place[unit] = split
                    moved = True


def _nearest(placing: Placing, counts: np.ndarray, label: int, split: int) -> int | None:
    """The unit of a class that can be spared where it is and whose draw lies nearest to a split's."""
    low, high = placing.bounds[split]
    units = placing.units_of(label)
    units = units[placing.free[units]]
    draws = placing.draws[units]
    away = np.maximum(low - draws, draws - high).clip(0)
    for unit in units[np.lexsort((draws, away))].tolist():
        if (counts[placing.classes_of(unit), placing.place[unit]] > 1).all():
            return int(unit)
    return None


def impossible(placing: Placing, files: "pd.DataFrame", members: Members, gone: np.ndarray) -> str:
    """Which classes cannot be in each split, what there is of them, and what to do.

    Args:
        placing: after its repair.
        files: all rows, those that are left out too.
        members: their classes.
        gone: which rows are left out, bool (N,).
    """
    missing = placing.missing()
    labels = np.flatnonzero(missing.any(axis=1))
    unit = unit_numbers(files)
    listed = []
    for label in labels[:8]:
        rows = members.row[members.label == label]
        lost, rows = rows[gone[rows]], rows[~gone[rows]]
        kept = np.count_nonzero(~placing.free[placing.units_of(label)])
        notes = [counted(files.iloc[rows], unit[rows])]
        notes += [f"{kept} of them given or kept"] * int(kept > 0)
        notes += [f"{len(lost)} left out as leaks"] * bool(len(lost))
        notes.append(f"none for {_and(np.flatnonzero(missing[label]))}")
        listed.append(f"{members.names[label]!r} ({', '.join(notes)})")
    more = f" and {len(labels) - 8} more" if len(labels) > 8 else ""
    wanted = placing.needed[labels]
    advice = "add images, or move the class away"
    if 3 in placing.bounds:
        advice = "add images, move the class away, or leave out the test part with --test-fraction 0"
    return (
        f"too few different images for one of each class in {_and(np.flatnonzero(wanted.any(axis=0)))}: "
        f"{', '.join(listed)}{more}. Each class needs {wanted.sum(axis=1).max()} that share no content, "
        f"near duplicate or group: {advice}.{_hints(files, members, labels, unit)}"
    )


def _and(places: np.ndarray) -> str:
    *most, last = [RANKS[place] for place in places]
    return f"{', '.join(most)} and {last}" if most else last


def _hints(files: "pd.DataFrame", members: Members, labels: np.ndarray, unit: np.ndarray) -> str:
    """What to do where near duplicates or groups are why a class has too few units."""
    rows = members.row[np.isin(members.label, labels)]
    label = members.label[np.isin(members.label, labels)]

    def pairs(numbers: np.ndarray) -> int:
        return len(np.unique(np.stack([numbers[rows], label]), axis=1).T)

    now = pairs(unit)
    causes = [c for c in HINTS if pairs(unit_numbers(files, tuple(k for k in JOINED if k != c))) > now]
    if not causes and pairs(unit_numbers(files, ("sha256",))) > now:
        causes = list(HINTS)  # either alone would join them
    return "".join(HINTS[cause] for cause in causes)
