"""The feature bank: what the frozen backbone says of every image, computed once.

Two kinds are kept. The *pooled* bank holds the spatial mean at every stage's cut, a few kilobytes an
image: the linear classifiers live on it. A *map* bank holds the whole activation at one cut: gradient
phases start from it. Rows are found by the SHA-256 of the file, under a key of everything else that
changes a number, so files may be renamed, added or taken away and the rest still counts.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transferkit.backbones.graph import Stage
from transferkit.data.decode import POLICY_VERSION, Chunk, DecodePolicy, decode_chunks
from transferkit.data.index import Index
from transferkit.errors import DataError
from transferkit.progress import say, task
from transferkit.timing import Stopwatch
from transferkit.training.device import is_out_of_memory

# Raise when the way features are computed changes.
BANK_VERSION = 1
# Images held in memory before a shard is written.
SHARD_IMAGES = 4096


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """A frozen network and how images reach it.

    Attributes:
        network: made by `backbones.build`, weights loaded.
        stages: of the network.
        policy: how files are decoded.
        fingerprint: of the weights.
        precision: dtype policy the network computes in.
        batch_size: images in a forward pass.
        cache: folder of all banks.
    """

    network: Any
    stages: tuple[Stage, ...]
    policy: DecodePolicy
    fingerprint: str
    precision: str
    batch_size: int
    cache: Path

    @property
    def key(self) -> str:
        """Digest of all that a feature depends on beside the file's bytes."""
        parts = {
            "bank": BANK_VERSION,
            "decode": POLICY_VERSION,
            "policy": asdict(self.policy),
            "network": self.network.name,
            "weights": self.fingerprint,
            "precision": self.precision,
            # Sizes, not names: Keras numbers unnamed layers by what was built before them.
            "stages": [(stage.size_px, stage.channels) for stage in self.stages],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class PooledBank:
    """Pooled features of an index.

    Attributes:
        features: float32 `(N, sum of channels)`; row i belongs to row i of the index's files.
        widths: channels of each stage, by name.
        failed: path -> reason of the files that could not be decoded; their rows are zero.
        computed: images that were not in the bank before.
    """

    features: np.ndarray
    widths: dict[str, int]
    failed: dict[str, str]
    computed: int

    def at(self, stages: Sequence[str], rows: np.ndarray | None = None) -> np.ndarray:
        """float32 `(rows, D)`: the features of some stages side by side, in the order asked."""
        ends = np.cumsum(list(self.widths.values()))
        spans = dict(zip(self.widths, zip(ends - list(self.widths.values()), ends, strict=True), strict=True))
        taken = self.features if rows is None else self.features[rows]
        return np.concatenate([taken[:, slice(*spans[name])] for name in stages], axis=1)

    def keep(self, rows: np.ndarray) -> "PooledBank":
        """The bank of some rows of the index."""
        return PooledBank(self.features[rows], self.widths, {}, self.computed)


def pooled_bank(extractor: Extractor, index: Index, watch: Stopwatch) -> PooledBank:
    """The pooled bank of an index; what is not on disk yet is computed and kept.

    Raises:
        DataError: not one file could be decoded.
    """
    folder = extractor.cache / "bank" / extractor.key
    with watch.part("bank"):
        known = _read_shards(folder)
    shas = list(index.files["sha256"])
    missing = [row for row in _first_rows(shas) if shas[row] not in known]
    failed_rows: dict[int, str] = {}
    for part, features, failed in _computed(extractor, index, missing, watch):
        with watch.part("bank"):
            _write_shard(folder, [shas[row] for row in part], features)
        known |= {shas[row]: features[i] for i, row in enumerate(part)}
        failed_rows |= failed
    if not known:
        raise DataError(f"{index.root}: not one of {len(shas)} files could be read as an image.")
    with watch.part("bank"):
        return _gathered(extractor, index, known, failed_rows, len(missing))


def _gathered(
    extractor: Extractor,
    index: Index,
    known: dict[str, np.ndarray],
    failed_rows: dict[int, str],
    computed: int,
) -> PooledBank:
    shas, paths = list(index.files["sha256"]), list(index.files["path"])
    reasons = {shas[row]: reason for row, reason in failed_rows.items()}
    features = np.zeros((len(shas), sum(s.channels for s in extractor.stages)), np.float32)
    for row, sha in enumerate(shas):
        if sha not in reasons:
            features[row] = known[sha]
    failed = {paths[row]: reasons[sha] for row, sha in enumerate(shas) if sha in reasons}
    return PooledBank(features, {s.name: s.channels for s in extractor.stages}, failed, computed)


def _first_rows(shas: Sequence[str]) -> list[int]:
    """The first row of each distinct file, in order."""
    first: dict[str, int] = {}
    for row, sha in enumerate(shas):
        first.setdefault(sha, row)
    return list(first.values())


def _computed(
    extractor: Extractor, index: Index, rows: list[int], watch: Stopwatch
) -> Iterator[tuple[list[int], np.ndarray, dict[int, str]]]:
    """(rows, features, failed rows) of the images of some rows, a shard at a time."""
    if not rows:
        return
    with watch.part("bank"):
        pool = _pooling_network(extractor)
    done: list[int] = []
    parts: list[np.ndarray] = []
    failed: dict[int, str] = {}
    for chunk in _decoded(extractor, index, rows, watch, "bank"):
        failed |= {rows[i]: reason for i, reason in chunk.failed.items()}
        if len(chunk.rows):
            with watch.part("bank"):
                parts.append(predict(pool, chunk.images, extractor.batch_size))
            done += [rows[i] for i in chunk.rows]
        if len(done) >= SHARD_IMAGES:
            yield done, np.concatenate(parts), failed
            done, parts, failed = [], [], {}
    empty = np.zeros((0, sum(stage.channels for stage in extractor.stages)), np.float32)
    yield done, np.concatenate(parts) if parts else empty, failed


def _decoded(
    extractor: Extractor, index: Index, rows: list[int], watch: Stopwatch, what: str
) -> Iterator[Chunk]:
    paths = [index.root / index.files["path"].iloc[row] for row in rows]
    chunks = decode_chunks(paths, extractor.policy, extractor.batch_size)
    with task(what, len(paths)) as bar:
        while True:
            with watch.part("decode"):
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk
            bar.advance(len(chunk.rows) + len(chunk.failed))


def _pooling_network(extractor: Extractor) -> Any:
    import keras

    network = extractor.network
    outputs = [network.get_layer(stage.cut).output for stage in extractor.stages]
    pools = [keras.layers.GlobalAveragePooling2D(dtype="float32")(output) for output in outputs]
    joined = keras.layers.Concatenate(dtype="float32")(pools) if len(pools) > 1 else pools[0]
    return keras.Model(network.input, joined)


def predict(model: Any, inputs: np.ndarray, batch_size: int) -> np.ndarray:
    """Outputs of a model for all inputs, in batches of one size, so that nothing is traced twice.

    When the device's memory runs out the batch is halved and the rest goes on.
    """
    outputs: list[np.ndarray] = []
    start = 0
    while start < len(inputs):
        batch = inputs[start : start + batch_size]
        try:
            outputs.append(_padded_forward(model, batch, batch_size))
        except Exception as error:
            if not is_out_of_memory(error) or batch_size == 1:
                raise
            batch_size //= 2
            say(f"out of memory; going on with batches of {batch_size}")
            continue
        start += batch_size
    return np.concatenate(outputs)


def _padded_forward(model: Any, batch: np.ndarray, batch_size: int) -> np.ndarray:
    short = batch_size - len(batch)
    if short:
        batch = np.concatenate([batch, np.zeros((short, *batch.shape[1:]), batch.dtype)])
    return np.asarray(model.predict_on_batch(batch))[: batch_size - short]


def _read_shards(folder: Path) -> dict[str, np.ndarray]:
    known: dict[str, np.ndarray] = {}
    for shard in sorted(folder.glob("*.shard")):
        features = np.load(shard / "features.npy", mmap_mode="r")
        for row, sha in enumerate(np.load(shard / "sha256.npy")):
            known[sha.decode()] = features[row]
    return known


def _write_shard(folder: Path, shas: list[str], features: np.ndarray) -> None:
    """Write a shard aside, then rename it: a shard that is there is whole."""
    if not shas:
        return
    folder.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder, prefix="writing-"))
    np.save(aside / "sha256.npy", np.array([sha.encode() for sha in shas]))
    np.save(aside / "features.npy", features)
    digest = hashlib.sha256("".join(sorted(shas)).encode()).hexdigest()[:16]
    target = folder / f"{digest}.shard"
    if target.exists():
        shutil.rmtree(aside)
    else:
        aside.rename(target)


@dataclass(frozen=True)
class MapBank:
    """Activations at one cut.

    Attributes:
        maps: memory-mapped `(M, H, W, channels)`, float32, or uint8 images at freeze depth 0.
        rows: int `(N,)`: the map of each row of the index.
    """

    maps: np.ndarray
    rows: np.ndarray

    def take(self, rows: np.ndarray) -> np.ndarray:
        """float32 `(len(rows), H, W, channels)` for rows of the index."""
        return np.asarray(self.maps[self.rows[rows]], dtype=np.float32)


def map_bank(
    extractor: Extractor, index: Index, freeze_depth: int, limit_gb: float, watch: Stopwatch
) -> MapBank | None:
    """Activations of every image at the cut behind `freeze_depth` stages; None if over the limit.

    Args:
        extractor: its network and decode policy.
        index: readable images only.
        freeze_depth: 0 keeps the decoded images themselves.
        limit_gb: of disk; also never more than half of what is free.
        watch: gets the seconds of decoding and of the bank.
    """
    shas = list(index.files["sha256"])
    unique = sorted(_first_rows(shas), key=lambda row: shas[row])
    shape, dtype = _map_shape(extractor, freeze_depth)
    size = len(unique) * int(np.prod(shape)) * np.dtype(dtype).itemsize
    folder = extractor.cache / "maps"
    folder.mkdir(parents=True, exist_ok=True)
    if size > min(limit_gb * 1e9, shutil.disk_usage(folder).free / 2):
        say(f"bank: {size / 1e9:.1f} GB of activations are over the limit; computed anew each epoch")
        return None
    digest = hashlib.sha256("".join(shas[row] for row in unique).encode()).hexdigest()[:16]
    target = folder / f"{extractor.key}-{freeze_depth}-{digest}.npy"
    if not target.exists():
        _make_room(folder, size, limit_gb)
        _write_maps(extractor, index, unique, target, freeze_depth, watch)
    os.utime(target)
    place = {shas[row]: i for i, row in enumerate(unique)}
    return MapBank(np.load(target, mmap_mode="r"), np.array([place[sha] for sha in shas]))


def _map_shape(extractor: Extractor, freeze_depth: int) -> tuple[tuple[int, ...], str]:
    if freeze_depth == 0:
        return (extractor.policy.size_px, extractor.policy.size_px, 3), "uint8"
    stage = extractor.stages[freeze_depth - 1]
    return (stage.size_px, stage.size_px, stage.channels), "float32"


def _make_room(folder: Path, size: int, limit_gb: float) -> None:
    """Remove the maps unused for longest until the new ones fit into twice the limit."""
    old = sorted(folder.glob("*.npy"), key=lambda path: path.stat().st_mtime)
    held = sum(path.stat().st_size for path in old)
    while old and held + size > 2e9 * limit_gb:
        held -= old[0].stat().st_size
        old.pop(0).unlink()


def _write_maps(
    extractor: Extractor,
    index: Index,
    rows: list[int],
    target: Path,
    freeze_depth: int,
    watch: Stopwatch,
) -> None:
    import keras

    shape, dtype = _map_shape(extractor, freeze_depth)
    stem = None
    if freeze_depth:
        cut = extractor.network.get_layer(extractor.stages[freeze_depth - 1].cut).output
        stem = keras.Model(extractor.network.input, cut)
    aside = target.with_suffix(f".{os.getpid()}.writing")
    maps = np.lib.format.open_memmap(aside, "w+", dtype, (len(rows), *shape))
    try:
        for chunk in _decoded(extractor, index, rows, watch, "activations"):
            if chunk.failed:
                raise DataError(f"files changed while they were used: {list(chunk.failed.values())}")
            with watch.part("bank"):
                images = chunk.images
                maps[chunk.rows] = predict(stem, images, extractor.batch_size) if stem else images
        maps.flush()
        aside.rename(target)
    finally:
        aside.unlink(missing_ok=True)
