"""The feature bank: what the frozen backbone says of every image, computed once.

It holds the spatial mean at every stage's cut, a few kilobytes an image: the linear classifiers live
on it. Rows are found by the SHA-256 of the file, under a key of everything else that changes a number,
so files may be renamed, added or taken away and the rest still counts. (`training.maps` keeps whole
activations at one cut, for gradient phases.)
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transferkit.backbones.graph import Stage, output_of
from transferkit.data.decode import POLICY_VERSION, Chunk, DecodePolicy, decode_chunks
from transferkit.data.index import Index
from transferkit.errors import DataError
from transferkit.progress import say, task
from transferkit.timing import Stopwatch
from transferkit.training.device import is_out_of_memory, too_large

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
        computed_by: backend, kind of device and versions: what may round or decode differently.
        batch_size: images in a forward pass.
        cache: folder of all banks.
    """

    network: Any
    stages: tuple[Stage, ...]
    policy: DecodePolicy
    fingerprint: str
    precision: str
    computed_by: str
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
            "computed by": self.computed_by,
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
        computed: images that were not in the bank before and now are.
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
    missing = [row for row in first_rows(shas) if shas[row] not in known]
    failed_rows: dict[int, str] = {}
    for part, features, failed in _computed(extractor, index, missing, watch):
        with watch.part("bank"):
            kept = _write_shard(folder, [shas[row] for row in part], features)
        known |= {shas[row]: kept[i] for i, row in enumerate(part)}
        failed_rows |= failed
    if len(failed_rows) == len(set(shas)):
        raise DataError(f"{index.root}: not one of {len(shas)} files could be read as an image.")
    with watch.part("bank"):
        return _gathered(extractor, index, known, failed_rows, len(missing) - len(failed_rows))


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


def first_rows(shas: Sequence[str]) -> list[int]:
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
    for chunk in decoded(extractor, index, rows, watch, "bank"):
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


def decoded(
    extractor: Extractor, index: Index, rows: list[int], watch: Stopwatch, what: str
) -> Iterator[Chunk]:
    """The images of some rows of an index, chunk by chunk, with progress under the name `what`."""
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
    outputs = [output_of(network, stage.cut) for stage in extractor.stages]
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
            if not is_out_of_memory(error):
                raise
            if batch_size == 1:
                raise too_large() from error
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
        try:
            features = np.load(shard / "features.npy", mmap_mode="r")
            shas = np.load(shard / "sha256.npy")
            if len(shas) != len(features):
                raise ValueError(f"{len(features)} rows of features for {len(shas)} files")
        except (OSError, ValueError, EOFError) as error:
            say(f"bank: {shard} is broken ({error}); its images are computed anew")
            shutil.rmtree(shard)
            continue
        known |= {sha.decode(): features[row] for row, sha in enumerate(shas)}
    return known


def _write_shard(folder: Path, shas: list[str], features: np.ndarray) -> np.ndarray:
    """Write a shard aside, then rename it: a shard that is there is whole.

    Returns the features as they lie on disk, so that memory holds one shard at a time.
    """
    if not shas:
        return features
    folder.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder, prefix="writing-"))
    np.save(aside / "sha256.npy", np.array([sha.encode() for sha in shas]))
    np.save(aside / "features.npy", features)
    digest = hashlib.sha256("".join(sorted(shas)).encode()).hexdigest()[:16]
    target = folder / f"{digest}.shard"
    try:
        aside.rename(target)
    except OSError:
        # Another process has just written the same shard.
        shutil.rmtree(aside)
        if not target.exists():
            raise
    kept: np.ndarray = np.load(target / "features.npy", mmap_mode="r")
    return kept
