"""An index whose files have been looked at: what can be used, and which pictures are copies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transferkit.data.index import Index
from transferkit.data.scan import scan
from transferkit.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from transferkit.data.duplicates import Pair

# Below this side two pictures have too few pixels to be told apart from two of the same thing.
COMPARED_FROM_PX = 32


@dataclass(frozen=True)
class Examined:
    """What is known of the files of an index before anything is trained.

    Attributes:
        listed: the index as it was given.
        facts: a row for each of its files, see `data.scan.Facts`.
        pairs: near duplicates, by row; files with equal bytes are not among them.
        usable: the index of the files that can be decoded, with `sha256`, `width`, `height` and
            `cluster` (an int, equal for near duplicates); the rest is in its `excluded`.
        scanned: files that were read; what the others are was known.
    """

    listed: Index
    facts: "pd.DataFrame"
    pairs: "Sequence[Pair]"
    usable: Index
    scanned: int


def examine(index: Index, cache: Path, *, compare: bool = True) -> Examined:
    """Scan the files of an index, and compare their pictures.

    Args:
        index: from a folder or manifest.
        cache: the folder of all caches.
        compare: look for near duplicates; without, every file is a cluster of its own.
    """
    import pandas as pd

    found = scan([index.root / path for path in index.files["path"]], cache)
    bad = (found.facts["problem"] != "").to_numpy()
    pairs = _pairs(found.facts, found.marks, cache) if compare else []
    files = index.files.assign(
        sha256=found.facts["sha256"],
        width=found.facts["width"],
        height=found.facts["height"],
        cluster=_clusters(len(bad), pairs),
    )
    broken = pd.DataFrame(
        {"path": files["path"], "reason": found.facts["reason"], "finding": found.facts["problem"]}
    )[bad]
    usable = replace(
        index,
        files=files[~bad].reset_index(drop=True),
        excluded=pd.concat([index.excluded, broken], ignore_index=True),
    )
    return Examined(index, found.facts, pairs, usable, found.scanned)


def check_usable(examined: Examined) -> None:
    """Refuse files of which none can be decoded.

    Raises:
        DataError: says of the first what is wrong with it.
    """
    if examined.usable.files.empty:
        path, reason = examined.listed.files["path"].iloc[0], examined.facts["reason"].iloc[0]
        raise DataError(
            f"{examined.listed.root}: not one of {len(examined.facts)} files could be read as an image; "
            f"such as {path}: {reason}."
        )


def _pairs(facts: "pd.DataFrame", marks: np.ndarray, cache: Path) -> "list[Pair]":
    """Near duplicates among the readable files of different bytes."""
    from transferkit.data.pair_cache import pairs_of

    large = (facts["width"] >= COMPARED_FROM_PX) & (facts["height"] >= COMPARED_FROM_PX)
    compared = np.flatnonzero((facts["problem"] == "") & large & ~facts["sha256"].duplicated())
    return [
        replace(pair, first=int(compared[pair.first]), second=int(compared[pair.second]))
        for pair in pairs_of(marks[compared], cache)
    ]


def _clusters(files: int, pairs: "Sequence[Pair]") -> np.ndarray:
    if not pairs:
        return np.arange(files)
    from transferkit.data.duplicates import clusters

    return clusters(files, pairs)
