"""Splits that never leak: files that belong together move as one, each unit drawn by its own hash."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from transferkit.data.index import Index
from transferkit.data.repair import RANKS, Placing, impossible, repair
from transferkit.data.units import Members, counted, draws, members, reasons, unit_numbers, value_codes
from transferkit.errors import DataError, UsageError

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "val", "test")
TRAIN, VAL, TEST = (RANKS.index(split) for split in SPLITS)
PROOFS = {"path": "path", "content": "sha256", "group": "group", "near duplicates": "cluster"}


@dataclass(frozen=True)
class Split:
    """The files of an index, each in one of train, val and test.

    Attributes:
        files: the index's rows less `dropped`, in its order, numbered anew, `split` filled.
        moved: path to split, of rows that stand there to give each class its place, against their hash.
        dropped: path to reason, of rows left out because their like stands in val or test.
    """

    files: "pd.DataFrame"
    moved: dict[str, str]
    dropped: dict[str, str]


def split_index(
    index: Index,
    *,
    seed: int,
    val_fraction: float,
    test_fraction: float | None,
    earlier: Mapping[str, str] | None = None,
) -> Split:
    """The index's files in splits that share no content, near duplicate or group.

    Files joined by any of the three, however indirectly, are a unit. Its split depends on nothing but
    the seed and its own name (of the group, else of the content), so that more files move no old ones,
    save where a class would miss in a split: then the unit of it whose draw lies nearest is moved in.
    The search for it is greedy: it finds every solution where each unit has one class.

    Splits given by folders are kept. A missing val is taken from train. A missing test is taken from
    train too, unless val was given: then none is made unless `test_fraction` asks for it.

    Args:
        index: of the images, with the columns of a scan.
        seed: another seed gives another split.
        val_fraction: of the units, about.
        test_fraction: likewise; None decides as said above.
        earlier: sha256 to split, of a run before this one: these files stay where they were, and what is
            joined to one of them goes there.

    Raises:
        DataError: a class that cannot have a unit in each split, or that train does not know, or files
            given another split than `earlier` has; names them.
        UsageError: fractions that leave nothing to train with.
    """
    files = index.files.reset_index(drop=True)
    given = _given(index)
    bounds = _bounds(given, val_fraction, test_fraction)
    unit, classes = unit_numbers(files), members(files, index.multilabel)
    _check_known_to_train(classes, given)
    home, gone = _homes(unit, given, _fixed(files, given, earlier or {}))
    draw = draws(files, unit, seed)
    drawn = home.copy()
    for place, (low, high) in bounds.items():
        drawn[(home == 0) & (low <= draw) & (draw < high)] = place
    numbers, labels, _ = _pairs(unit, classes, ~gone)
    needed = _needed(classes, given, bounds)
    placing = Placing(drawn.copy(), home == 0, draw, bounds, numbers, labels, needed)
    repair(placing)
    if placing.missing().any():
        raise DataError(f"{index.root}: {impossible(placing, files, classes, gone)}")
    split = np.array(RANKS)[placing.place[unit]]
    moved = (placing.place != drawn)[unit] & ~gone
    return Split(
        files=files.assign(split=split)[~gone].reset_index(drop=True),
        moved=dict(zip(files["path"][moved], split[moved].tolist(), strict=True)),
        dropped=reasons(files[np.isin(unit, unit[gone])], set(files["path"][gone])),
    )


def intersections(files: "pd.DataFrame") -> dict[str, dict[str, int]]:
    """How many paths, contents, groups and clusters each two splits share, counted from the table."""
    present = [split for split in SPLITS if (files["split"] == split).any()]
    found: dict[str, dict[str, int]] = {}
    for name, column in PROOFS.items():
        known = files[value_codes(files[column]) >= 0]
        held = {split: set(known.loc[known["split"] == split, column]) for split in present}
        found[name] = {
            f"{one} & {other}": len(held[one] & held[other])
            for place, one in enumerate(present)
            for other in present[place + 1 :]
        }
    return found


def fold_numbers(files: "pd.DataFrame", folds: int, seed: int, multilabel: bool = False) -> np.ndarray:
    """The fold of each row, int (N,) in 0..folds-1: whole units, each class shared out evenly.

    Every class has files outside of every fold, and no fold is empty.

    Raises:
        UsageError: fewer than two folds, or more than there are units.
        DataError: a class that would lie in one fold whole, so that nothing could learn it; names it.
    """
    files = files.reset_index(drop=True)
    unit, classes = unit_numbers(files), members(files, multilabel)
    draw = draws(files, unit, seed)
    if not 2 <= folds <= len(draw):
        raise UsageError(
            f"{folds} folds cannot be made of {counted(files, unit)}: at least 2 are needed, and at most "
            f"as many as there are different images ({len(draw)})."
        )
    fold: np.ndarray = _dealt(_pairs(unit, classes, np.full(len(unit), True)), draw, folds)[unit]
    seen = np.unique(np.stack([classes.label, fold[classes.row]]), axis=1)[0]
    lone = np.flatnonzero(np.bincount(seen) < 2)
    if len(lone):
        rows = [classes.row[classes.label == label] for label in lone[:8]]
        listed = ", ".join(
            f"{classes.names[label]!r} ({counted(files.iloc[own], unit[own])})"
            for label, own in zip(lone, rows, strict=False)
        )
        more = f" and {len(lone) - 8} more" if len(lone) > 8 else ""
        raise DataError(
            f"too few different images for {folds} folds: {listed}{more}. Each class needs 2 that share no "
            "content, near duplicate or group, so that one is left to train with: add images, or move the "
            "class away."
        )
    return fold


def _dealt(pairs: tuple[np.ndarray, np.ndarray, np.ndarray], draw: np.ndarray, folds: int) -> np.ndarray:
    """The fold of each unit: the largest first, each to the fold that has the least of its classes."""
    sizes, totals = [0] * folds, np.bincount(pairs[1], pairs[2]).tolist()
    held = [[0] * folds for _ in totals]
    parts: list[list[tuple[int, int]]] = [[] for _ in draw]
    for unit, label, rows in zip(*(column.tolist() for column in pairs), strict=True):
        parts[unit].append((label, rows))
    several, files = np.array([len(part) for part in parts]), np.bincount(pairs[0], pairs[2])
    fold = np.zeros(len(draw), dtype=np.int64)
    for unit in np.lexsort((draw, -files, -several)).tolist():
        part = parts[unit]

        def cost(n: int, part: list[tuple[int, int]] = part) -> tuple[int, float, int]:
            lone = sum(held[label][n] > 0 and held[label][n] == sum(held[label]) for label, _ in part)
            return lone, sum(held[label][n] / totals[label] for label, _ in part), sizes[n]

        fold[unit] = best = min(range(folds), key=cost)
        for label, rows in part:
            held[label][best] += rows
            sizes[best] += rows
    return fold


def _pairs(unit: np.ndarray, classes: Members, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each unit with each class of its kept rows, sorted: unit, class, how many of the rows."""
    own = kept[classes.row]
    cells, rows = np.unique((unit[classes.row] * len(classes.names) + classes.label)[own], return_counts=True)
    return cells // len(classes.names), cells % len(classes.names), rows


def _given(index: Index) -> np.ndarray:
    """The given split of each row, as place in RANKS; beside given splits, train is what has none."""
    given = index.files["split"].map(RANKS.index).to_numpy(dtype=np.int64)
    names = [RANKS[place] for place in np.unique(given[given > 0])]
    if names and "train" not in names:
        raise DataError(
            f"{index.root}: no train folder (there is {' and '.join(names)}). Training needs "
            "train/CLASS/*.jpg, or class folders without splits."
        )
    return np.maximum(given, TRAIN) if names else given


def _bounds(
    given: np.ndarray, val_fraction: float, test_fraction: float | None
) -> dict[int, tuple[float, float]]:
    """Which draws make a unit one of train, val and test, those left out that nothing is drawn for."""
    if TEST in given or (test_fraction is None and VAL in given):
        test_fraction = 0.0
    test = 0.15 if test_fraction is None else test_fraction
    val = 0.0 if VAL in given else val_fraction
    if val + test >= 1:
        raise UsageError(
            f"val_fraction {val:g} and test_fraction {test:g} leave nothing to train with: they make "
            f"{val + test:g}, and less than 1 is allowed. Lower one, such as --test-fraction 0.15."
        )
    bounds = {TRAIN: (val + test, 1.0), VAL: (test, val + test), TEST: (0.0, test)}
    return {place: (low, high) for place, (low, high) in bounds.items() if low < high}


def _check_known_to_train(classes: Members, given: np.ndarray) -> None:
    of = {place: classes.label[given[classes.row] == place] for place in (TRAIN, VAL, TEST)}
    for place in (VAL, TEST):
        strange = [classes.names[label] for label in np.setdiff1d(of[place], of[TRAIN])]
        if strange:
            known = ", ".join(classes.names[label] for label in np.unique(of[TRAIN]))
            raise DataError(
                f"the {RANKS[place]} folder has classes that train does not: {', '.join(strange)}. "
                f"Train has: {known}. Rename the folders so that they agree."
            )


def _fixed(files: "pd.DataFrame", given: np.ndarray, earlier: Mapping[str, str]) -> np.ndarray:
    """The split that each row must have, as place in RANKS, 0 where it is to be found."""
    before = files["sha256"].map(lambda sha256: RANKS.index(earlier.get(sha256, ""))).to_numpy(np.int64)
    same = files["sha256"][(before > 0) & (before == given)]
    copies = files["sha256"].isin(set(same)).to_numpy()  # a row with these bytes stands where it stood
    other = np.flatnonzero((given > TRAIN) & (before > 0) & ~copies)
    if len(other):
        some = ", ".join(f"{files['path'][row]} (was {RANKS[before[row]]})" for row in other[:4])
        raise DataError(
            f"files of the earlier run are given another split now: {some}; {len(other)} in all. Move "
            "them back, or start without the earlier run."
        )
    fixed: np.ndarray = np.where(given > TRAIN, given, before)
    fixed[(given == TRAIN) & copies & (before > TRAIN)] = 0
    return fixed


def _homes(unit: np.ndarray, given: np.ndarray, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The split that each unit must have, 0 where it is drawn, and which rows cannot follow it there."""
    home = np.zeros(unit.max() + 1, dtype=np.int64)
    np.maximum.at(home, unit, fixed)
    there = home[unit]
    by_hand = np.isin(unit, unit[(given == there) & (there > TRAIN)])
    gone = (fixed > 0) & (fixed < there)
    # What lies in the train folder may be drawn into val or test, but is not put into a given one.
    return home, gone | ((fixed == 0) & (given == TRAIN) & by_hand)


def _needed(classes: Members, given: np.ndarray, bounds: dict[int, tuple[float, float]]) -> np.ndarray:
    """All classes in the splits that are drawn, and in given ones those that were given there."""
    needed = np.zeros((len(classes.names), len(RANKS)), dtype=bool)
    needed[classes.label, given[classes.row]] = True
    needed[:, 0] = False
    needed[:, list(bounds)] = True
    return needed
