"""Files that show one picture or share a group, and what that spoils."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from transferkit.data.examine import Examined
from transferkit.data.findings import Finding, finding

if TYPE_CHECKING:
    import pandas as pd


class Alike(NamedTuple):
    """Files that show one picture or share a group; each has `path`, `label` and `split`."""

    files: Sequence[Any]
    how: str
    labelled_alike: bool  # whether another label is a conflict


def find_alike(examined: Examined) -> list[Alike]:
    """Files with equal bytes, near duplicates, and groups that stand in two given splits."""
    files = examined.usable.files
    found = [Alike(same, "same bytes as", True) for same in _gathered(files, "sha256")]
    found += _near(examined)
    for same in _gathered(files[(files["group"] != "") & (files["split"] != "")], "group"):
        if len({one.split for one in same}) > 1:
            found.append(Alike(same, f"of the same group ({same[0].group}) as", False))
    return found


def _near(examined: Examined) -> Iterator[Alike]:
    """Near duplicates, two by two; of files with equal bytes one for each label and split stands for all."""
    if not examined.pairs:
        return
    shas = examined.facts["sha256"].tolist()
    wanted = {shas[row] for pair in examined.pairs for row in (pair.first, pair.second)}
    like: dict[str, dict[tuple[Any, Any], Any]] = {}
    for row, one in enumerate(examined.listed.files.itertuples()):
        if shas[row] in wanted:
            like.setdefault(shas[row], {}).setdefault((one.label, one.split), one)
    for pair in examined.pairs:
        for both in product(like[shas[pair.first]].values(), like[shas[pair.second]].values()):
            # A mirrored letter or arrow may rightly have another label.
            yield Alike(both, "mirrored copy of" if pair.mirrored else "looks like", not pair.mirrored)


def _gathered(files: "pd.DataFrame", column: str) -> list[list[Any]]:
    """The rows that share a value with another row, value by value."""
    sets: dict[str, list[Any]] = {}
    for row in files[files[column].duplicated(keep=False)].itertuples():
        sets.setdefault(getattr(row, column), []).append(row)
    return list(sets.values())


def copies(found: Sequence[Alike]) -> Iterator[Finding]:
    """Copies, those under other labels, and those in other splits."""
    for alike in found:
        name = COPIES.get(alike.how)
        first: dict[tuple[str, str], str] = {}
        for one in alike.files if name else ():
            # Under another label, or in another split, a copy is an error and told as such.
            known = first.setdefault((one.label if alike.labelled_alike else "", one.split), one.path)
            if known != one.path:
                yield finding(one.path, str(name), f"{alike.how} {known}")
        yield from _conflicts(alike)


COPIES = {
    "same bytes as": "duplicate",
    "looks like": "near-duplicate",
    "mirrored copy of": "near-duplicate",
}


def _conflicts(alike: Alike) -> Iterator[Finding]:
    """The errors among files that should agree."""
    by_label, by_split = _first_of(alike.files, "label"), _first_of(alike.files, "split")
    for one in alike.files:
        if alike.labelled_alike and (label := _other(by_label, one.label)):
            detail = f"{alike.how} {by_label[label]}, labelled {label}"
            yield finding(one.path, "label-conflict", detail)
        if one.split and (split := _other(by_split, one.split)):
            yield finding(one.path, "leak", f"{alike.how} {by_split[split]}, in {split}")


def _first_of(rows: "Sequence[Any]", column: str) -> dict[str, str]:
    first: dict[str, str] = {}
    for row in rows:
        first.setdefault(getattr(row, column), row.path)
    return first


def _other(values: dict[str, str], own: str) -> str:
    return next((value for value in values if value and value != own), "")


def leaked(found: Sequence[Alike]) -> Iterator[str]:
    """Of files that leak, those outside the split that is last in train, val, test."""
    for alike in found:
        highest = max(RANK[one.split] for one in alike.files)
        yield from (one.path for one in alike.files if 0 < RANK[one.split] < highest)


RANK = {"": 0, "train": 1, "val": 2, "test": 3}
