"""One split of the images into train, val and test: stratified, seeded, by content."""

import hashlib
import math
from typing import TYPE_CHECKING

from transferkit.data.index import Index
from transferkit.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "val", "test")


def split_index(
    index: Index, *, seed: int, val_fraction: float, test_fraction: float | None
) -> "pd.DataFrame":
    """The index's files with their `split` filled in; rows in the order of the index.

    Splits given by folders are kept. A missing val is taken from train. A missing test is taken from
    train too, unless val was given: then val judges the model, and nothing is set aside unless
    `test_fraction` asks for it. Files with equal bytes within a class stay together.

    Args:
        index: of the images.
        seed: another seed gives another split.
        val_fraction: of each class, at least one image.
        test_fraction: likewise; None decides as said above.

    Raises:
        DataError: a class with too few images, or a class that train does not know; names them.
    """
    files = index.files.copy()
    given = set(files["split"]) - {""}
    if given and "train" not in given:
        raise DataError(
            f"{index.root}: no train folder (there is {' and '.join(sorted(given))}). Training needs "
            "train/CLASS/*.jpg, or class folders without splits."
        )
    files.loc[files["split"] == "", "split"] = "train"
    _check_known_to_train(files)
    if "test" in given or (test_fraction is None and "val" in given):
        test_fraction = 0.0
    fractions = {
        "test": 0.15 if test_fraction is None else test_fraction,
        "val": 0.0 if "val" in given else val_fraction,
    }
    _check_enough(files, fractions)
    for label, rows in files[files["split"] == "train"].groupby("label", sort=True):
        for name, group in _drawn(rows, fractions, f"{seed}:{label}").items():
            files.loc[group, "split"] = name
    return files


def leaks(files: "pd.DataFrame") -> list[str]:
    """Sentences on equal files that stand in two splits or under two labels; none if all is well."""
    found = []
    for column, words in (
        ("split", "in more than one of train, val and test"),
        ("label", "under two labels"),
    ):
        kinds = files.groupby("sha256")[column].nunique()
        shared = files[files["sha256"].isin(kinds[kinds > 1].index)]
        if len(shared):
            some = ", ".join(shared["path"].head(4))
            found.append(f"{len(shared)} files with equal bytes stand {words}: {some}")
    return found


def _check_known_to_train(files: "pd.DataFrame") -> None:
    known = set(files.loc[files["split"] == "train", "label"])
    for split in ("val", "test"):
        strange = sorted(set(files.loc[files["split"] == split, "label"]) - known)
        if strange:
            raise DataError(
                f"the {split} folder has classes that train does not: {', '.join(strange)}. "
                f"Train has: {', '.join(sorted(known))}. Rename the folders so that they agree."
            )


def _check_enough(files: "pd.DataFrame", fractions: dict[str, float]) -> None:
    wanted = 1 + sum(fraction > 0 for fraction in fractions.values())
    train = files[files["split"] == "train"]
    counts = train.groupby("label")["sha256"].nunique()
    few = counts[counts < wanted]
    if len(few):
        listed = ", ".join(f"{label!r} ({count})" for label, count in few.items())
        parts = ["train"] + [name for name, fraction in fractions.items() if fraction > 0]
        raise DataError(
            f"too few different images for one in each of {', '.join(parts)}: {listed}. "
            f"Each class needs {wanted}: add images, move the class away, or leave out the test "
            "part with --set test_fraction=0."
        )


def _drawn(rows: "pd.DataFrame", fractions: dict[str, float], salt: str) -> dict[str, list[int]]:
    """Row numbers of one class for each split other than train, drawn by a hash of the content."""
    groups: dict[str, list[int]] = {}
    for row, sha256 in rows["sha256"].items():
        groups.setdefault(sha256, []).append(int(row))  # type: ignore[call-overload]
    order = sorted(groups, key=lambda sha: hashlib.sha256(f"{salt}:{sha}".encode()).digest())
    drawn: dict[str, list[int]] = {}
    parts = 1 + sum(fraction > 0 for fraction in fractions.values())
    for name, fraction in fractions.items():
        parts -= fraction > 0  # those still to come, train the last, keep an image each
        take = min(_count(len(groups), fraction), len(order) - parts)
        drawn[name] = [row for sha in order[:take] for row in groups[sha]]
        order = order[take:]
    return drawn


def _count(images: int, fraction: float) -> int:
    """Images of a class that a split takes: rounded, at least one, none where none is asked."""
    return max(1, math.floor(images * fraction + 0.5)) if fraction > 0 else 0
