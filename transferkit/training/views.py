"""Views of training images, computed once: augmentation that leaves the bank in use.

Row r + v N of an index of N rows is view v of row r, and view 0 the image itself. A view depends on the
image, the policy, v and the side that crops are cut out of (`canvas.canvas_px`), so runs with other seeds and
splits that have the same side find its pooled features again. (Whole activations are kept by the train images
they are of.)
"""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from transferkit.data.augment.keys import image_numbers, keys_of
from transferkit.data.index import Index
from transferkit.errors import DataError
from transferkit.timing import Stopwatch
from transferkit.training.bank import (
    SHARD_IMAGES,
    SHARD_SECONDS,
    Extractor,
    PooledBank,
    by_kind,
    decoded,
    pooling_network,
    predict,
)
from transferkit.training.maps import (
    Limits,
    MapBank,
    array_file,
    aside,
    digest_of,
    finished,
    kept_array,
    map_shape,
    room,
    stem,
    writable,
)
from transferkit.training.shards import Places, places_of, read_shards, write_shard

# Seed of all views: they are kept for every run.
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Viewed:
    """The images that get views.

    Attributes:
        index: of all.
        rows: of it, that train.
        pipeline: changes them, see `data.augment.pipeline`.
        count: views of each.
    """

    index: Index
    rows: np.ndarray
    pipeline: Any
    count: int

    @property
    def shas(self) -> list[str]:
        """Of the images, each once, in order."""
        return sorted(set(self.index.files["sha256"].iloc[self.rows]))


def with_views(order: np.ndarray, views: int, rows: int, *, seed: int, epoch: int) -> np.ndarray:
    """An epoch's order with a view drawn for each place; the image itself is one of them.

    Args:
        order: rows of the index.
        views: of each image beside itself.
        rows: N of the index.
        seed: the draws are a function of seed and epoch.
        epoch: likewise.
    """
    drawn = np.random.default_rng((seed, epoch, 1)).integers(0, views + 1, len(order))
    return np.asarray(order + rows * drawn)


@dataclass(frozen=True)
class ViewMaps:
    """Activations at one cut of images and of their views; a source of inputs by row.

    Attributes:
        plain: of every image.
        views: `(M, H, W, channels)` of each view.
        places: int `(N,)`: the place in a view's array of each row of the index, -1 where it has none.
    """

    plain: MapBank
    views: tuple[np.ndarray, ...]
    places: np.ndarray

    def take(self, rows: np.ndarray) -> np.ndarray:
        """float32 `(len(rows), H, W, channels)` for rows of the index and of its views."""
        view, own = np.divmod(rows, len(self.places))
        found = np.empty((len(rows), *self.plain.maps.shape[1:]), np.float32)
        for number in np.unique(view):
            asked = view == number
            if number:
                found[asked] = self.views[number - 1][self.places[own[asked]]]
            else:
                found[asked] = self.plain.take(own[asked])
        return found


def view_maps(
    extractor: Extractor, viewed: Viewed, plain: MapBank, depth: int, limits: Limits, watch: Stopwatch
) -> ViewMaps | None:
    """Views at the cut behind `depth` stages, on disk while they fit there, in memory too while they fit.

    None if they fit nowhere.

    Args:
        extractor: its network and decode policy.
        viewed: whose views.
        plain: of the same cut.
        depth: stages behind which the cut is, at least 1.
        limits: of all views together.
        watch: gets the seconds of decoding and of the bank.
    """
    shas = viewed.shas
    place = {sha: i for i, sha in enumerate(shas)}
    own = set(viewed.rows.tolist())
    places = np.array(
        [place[sha] if row in own else -1 for row, sha in enumerate(viewed.index.files["sha256"])]
    )
    shape, dtype = map_shape(extractor, depth)
    whole = (len(shas), *shape)
    key = f"{canvas(extractor, viewed.pipeline).key}-{depth}-{digest_of(shas)}-{viewed.pipeline.digest}"
    files = {v: array_file(extractor, f"{key}-view{v}") for v in range(1, viewed.count + 1)}
    found = {v: kept for v, file in files.items() if (kept := kept_array(file)) is not None}
    missing = {v: file for v, file in files.items() if v not in found}
    size = int(np.prod(whole)) * np.dtype(dtype).itemsize
    on_disk = room(extractor, size * len(missing), limits)
    if not on_disk and size * len(files) > limits.memory:
        return None
    network = stem(extractor, depth) if missing else None
    wanted = {v: np.ones(len(shas), bool) for v in missing}
    try:
        made = {
            v: writable(f, whole, dtype) if on_disk else np.empty(whole, dtype) for v, f in missing.items()
        }
        for rows, number, outputs in _outputs(extractor, viewed, wanted, network, watch):
            made[number][rows] = outputs
        found |= {v: finished(made[v], file) for v, file in missing.items()} if on_disk else made
    finally:
        for file in missing.values():
            aside(file).unlink(missing_ok=True)
    for file in files.values():
        if file.exists():
            os.utime(file)
    held = {v: np.array(array) if size * len(files) <= limits.memory else array for v, array in found.items()}
    return ViewMaps(plain, tuple(held[v] for v in sorted(held)), places)


def view_bank(extractor: Extractor, viewed: Viewed, plain: PooledBank, watch: Stopwatch) -> PooledBank:
    """The pooled bank of an index and of its views: row r + v N is view v of row r.

    Args:
        extractor: its network and decode policy.
        viewed: whose views; rows that have none give zeros.
        plain: of the index.
        watch: gets the seconds of decoding and of the bank.
    """
    folder = extractor.cache / "bank" / f"{canvas(extractor, viewed.pipeline).key}-{viewed.pipeline.digest}"
    with watch.part("bank"):
        known = read_shards(folder)
    own_shas = viewed.shas
    missing = {
        v: np.array([_name(sha, v) not in known for sha in own_shas]) for v in range(1, viewed.count + 1)
    }
    if any(views.any() for views in missing.values()):
        known |= _pooled(extractor, viewed, missing, folder, watch)
    own = set(viewed.rows.tolist())
    shas = list(viewed.index.files["sha256"])
    parts = [plain.places]
    for number in range(1, viewed.count + 1):
        parts.append(places_of([_name(s, number) if r in own else "" for r, s in enumerate(shas)], known))
    return replace(plain, places=_joined(parts), failed={})


def _pooled(
    extractor: Extractor, viewed: Viewed, missing: Mapping[int, np.ndarray], folder: Path, watch: Stopwatch
) -> Mapping[str, tuple[Path, int]]:
    """Where the new pooled views lie, by their names."""
    with watch.part("bank"):
        network = pooling_network(extractor)
    shas, known = viewed.shas, {}
    names: list[str] = []
    parts: list[np.ndarray] = []

    def write() -> None:
        if not names:
            return
        with watch.part("bank"):
            shard = write_shard(folder, names, by_kind(extractor, parts))
        known.update({name: (shard, row) for row, name in enumerate(names)})
        names.clear()
        parts.clear()

    since = time.perf_counter()
    for rows, number, outputs in _outputs(extractor, viewed, missing, network, watch):
        names += [_name(shas[row], number) for row in rows]
        parts.append(outputs)
        if len(names) >= SHARD_IMAGES or time.perf_counter() - since > SHARD_SECONDS:
            write()
            since = time.perf_counter()
    write()
    return known


def _outputs(
    extractor: Extractor, viewed: Viewed, missing: Mapping[int, np.ndarray], network: Any, watch: Stopwatch
) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
    """(places in `viewed.shas`, number of the view, what a network makes of it); files are decoded once."""
    shas = viewed.shas
    column = list(viewed.index.files["sha256"])
    first = {sha: row for row, sha in reversed(list(enumerate(column)))}
    images, asked = image_numbers(shas), np.flatnonzero(np.any(list(missing.values()), axis=0))
    rows = [first[shas[place]] for place in asked]
    for chunk in decoded(canvas(extractor, viewed.pipeline), viewed.index, rows, watch, "views"):
        if chunk.failed:
            raise DataError(f"files changed while they were used: {list(chunk.failed.values())}")
        for number, wanted in missing.items():
            own = wanted[asked[chunk.rows]]
            if not own.any():
                continue
            places = asked[chunk.rows][own]
            with watch.part("bank"):
                views = viewed.pipeline.changed(chunk.images[own], keys_of(images[places], SEED, number))
                outputs = predict(network, views, extractor.batch_size)
            yield places, number, outputs


def canvas(extractor: Extractor, pipeline: Any) -> Extractor:
    """The extractor with images that the crops of a pipeline are cut out of."""
    return replace(extractor, policy=extractor.policy.crops_from(pipeline.side))


def _name(sha: str, number: int) -> str:
    return f"{sha}.{number}"


def _joined(parts: list[Places]) -> Places:
    """Places one after another."""
    shards = tuple(dict.fromkeys(shard for part in parts for shard in part.shards))
    numbers = []
    for part in parts:
        renamed = np.array([shards.index(shard) for shard in part.shards], dtype=np.int64)
        numbers.append(np.where(part.shard < 0, -1, renamed[part.shard]) if len(renamed) else part.shard)
    return Places(shards, np.concatenate(numbers), np.concatenate([part.row for part in parts]))


def views_within(rows: int, most: int, budget: float, each: float) -> int:
    """How many views fit into a budget: at most `most`, at least 0.

    Args:
        rows: images that get views.
        most: views of an image.
        budget: of all, in whatever `each` is counted.
        each: what one view of one image takes.
    """
    return int(max(0, min(most, budget // max(rows * each, 1e-9))))
