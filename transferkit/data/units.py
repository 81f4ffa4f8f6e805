"""Units: files that belong together, since they share content, a near duplicate or a group."""

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from transferkit.data.index import BETWEEN_NAMES

if TYPE_CHECKING:
    import pandas as pd

# What joins files, and how a reason says so. Nothing is joined by "" or by a missing value.
JOINED = {
    "sha256": "same picture as {path}",
    "cluster": "near duplicate of {path}",
    "group": "same group ({value}) as {path}",
}


@dataclass(frozen=True)
class Members:
    """Which classes the rows have: a place in both arrays for each row and class of it."""

    names: list[str]  # of the classes, sorted
    row: np.ndarray
    label: np.ndarray  # place in `names`


def unit_numbers(files: "pd.DataFrame", joined: tuple[str, ...] = tuple(JOINED)) -> np.ndarray:
    """The unit of each row, int (N,) from 0: rows joined by the columns, however indirectly, share it."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows, values, nodes = [], [], len(files)
    for column in joined:
        codes = value_codes(files[column])
        rows.append(np.flatnonzero(codes >= 0))
        values.append(nodes + codes[codes >= 0])
        nodes += int(codes.max(initial=-1)) + 1
    edges = np.concatenate(rows), np.concatenate(values)
    graph = coo_matrix((np.ones(len(edges[0]), dtype=np.int8), edges), shape=(nodes, nodes))
    found: np.ndarray = connected_components(graph, directed=False)[1]
    return found[: len(files)]


def value_codes(column: "pd.Series") -> np.ndarray:
    """A number for each value, int (N,), -1 where there is none ("" or missing)."""
    import pandas as pd

    return pd.factorize(column.where(column != ""))[0]


def draws(files: "pd.DataFrame", unit: np.ndarray, seed: int) -> np.ndarray:
    """A fraction in [0, 1) for each unit, by a hash of its smallest group, else its smallest content."""
    names: dict[int, str] = {}
    for number, group, sha256 in zip(unit.tolist(), files["group"], files["sha256"], strict=True):
        name = f"group:{group}" if group else f"sha256:{sha256}"  # "g" sorts before "s"
        names[number] = min(names.get(number, name), name)
    digests = (hashlib.sha256(f"{seed}:{names[number]}".encode()).digest() for number in range(len(names)))
    return np.array([int.from_bytes(digest[:6]) / 2**48 for digest in digests])


def members(files: "pd.DataFrame", multilabel: bool) -> Members:
    """The classes of each row; `files` must be numbered from 0."""
    import pandas as pd

    labels = files["label"].str.split(BETWEEN_NAMES).explode() if multilabel else files["label"]
    label, names = pd.factorize(labels, sort=True)
    return Members(list(names), labels.index.to_numpy(), label)


def reasons(files: "pd.DataFrame", gone: set[str]) -> dict[str, str]:
    """Why each path is left out, by a row that stays, else by one that is left out before it.

    Args:
        files: whole units, each with a row that stays.
        gone: the paths.
    """
    held: dict[tuple[str, Hashable], str] = {}
    keys: dict[str, list[tuple[str, Hashable]]] = {path: [] for path in files["path"]}
    for column in JOINED:
        known = files[value_codes(files[column]) >= 0]
        for path, value in zip(known["path"], known[column], strict=True):
            keys[path].append((column, value))
    for path in [path for path in keys if path not in gone]:
        held |= {key: path for key in keys[path] if key not in held}
    found: dict[str, str] = {}
    while len(found) < len(gone):
        link = {path: next((key for key in keys[path] if key in held), None) for path in gone - found.keys()}
        linked = sorted((path, key) for path, key in link.items() if key)
        found |= {path: JOINED[key[0]].format(path=held[key], value=key[1]) for path, key in linked}
        for path, _ in linked:
            held |= {key: f"{path}, left out too" for key in keys[path] if key not in held}
    return {path: found[path] for path in files["path"] if path in found}


def counted(files: "pd.DataFrame", unit: np.ndarray) -> str:
    """What units rows make up, such as "2 groups and 1 image (of 31 files)".

    Args:
        files: the rows.
        unit: the unit of each.
    """
    grouped = set(unit[(files["group"] != "").to_numpy()])
    contents = files["sha256"].groupby(unit).nunique()
    clusters = sum(count > 1 and number not in grouped for number, count in contents.items())
    kinds = {"group": len(grouped), "cluster": clusters, "image": len(contents) - len(grouped) - clusters}
    said = " and ".join(f"{n} {kind}{'s' * (n != 1)}" for kind, n in kinds.items() if n) or "no image"
    return said if len(files) == len(contents) else f"{said} of {len(files)} files"
