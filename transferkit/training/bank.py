"""The feature bank: what the frozen backbone says of every image, computed once.

It holds means, deviations and grids at every stage's cut (see `pooling`), some tens of kilobytes an
image: the linear classifiers live on it. Rows are found by the SHA-256 of the file, under a key of
everything else that changes a number, so files may be renamed, added or taken away and the rest still
counts. (`training.maps` keeps whole activations at one cut, for gradient phases.)
"""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transferkit.backbone.graph import Stage, output_of
from transferkit.data.decode import POLICY_VERSION, Chunk, DecodePolicy, decode_chunks
from transferkit.data.index import Index
from transferkit.errors import DataError
from transferkit.progress import say, task
from transferkit.strategies import FeatureSet
from transferkit.timing import Stopwatch
from transferkit.training.device import halved
from transferkit.training.pooling import WIDTHS, pool_all
from transferkit.training.shards import Places, places_of, read_shards, write_shard

# Raise when the way features are computed changes.
BANK_VERSION = 3
# Images held in memory before a shard is written.
SHARD_IMAGES = 1024
# At the longest that a process that is killed can lose. Shards end where batches do, so that the images
# behind them come in the same batches when the rest is computed.
SHARD_SECONDS = 30.0


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
        policy = asdict(self.policy)
        if policy["resample"] == "bicubic":  # as all were before there was a choice: their banks still hold
            del policy["resample"]
        parts = {
            "bank": BANK_VERSION,
            "decode": POLICY_VERSION,
            "policy": policy,
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
    """Pooled features of an index: row i belongs to row i of the index's files.

    Attributes:
        places: of every image on disk; nothing is in memory until it is asked for.
        widths: channels of each stage, by name.
        failed: path -> reason of the files that could not be decoded; their features are zero.
        computed: images that were not in the bank before and now are.
    """

    places: Places
    widths: dict[str, int]
    failed: dict[str, str]
    computed: int

    def __len__(self) -> int:
        return len(self.places.row)

    def at(self, features: FeatureSet | Sequence[str], rows: np.ndarray | None = None) -> np.ndarray:
        """float32 `(rows, D)`: what a classifier on these features sees.

        Stages stand in the order asked, and the kinds of each in theirs; `selected` leaves nothing out here.

        Args:
            features: a feature set, or names of stages for their means.
            rows: of the index; None takes all.

        Raises:
            DataError: the bank on disk has gone since.
        """
        asked = features if isinstance(features, FeatureSet) else FeatureSet(stages=tuple(features))
        places = self.places if rows is None else self.places.keep(np.asarray(rows))
        found = {}
        for kind in asked.kinds:
            spans = [self._span(stage, kind) for stage in asked.stages]
            for stage, part in zip(asked.stages, places.gather(kind, spans), strict=True):
                found[stage, kind] = _to_unit_length(part) if asked.normalised else part
        return np.concatenate([found[stage, kind] for stage in asked.stages for kind in asked.kinds], axis=1)

    def block_widths(self, features: FeatureSet) -> tuple[int, ...]:
        """How many of the features `at` gives belong to each kind of each stage, in its order."""
        return tuple(self.widths[s] * WIDTHS[kind] for s in features.stages for kind in features.kinds)

    def keep(self, rows: np.ndarray) -> "PooledBank":
        """The bank of some rows of the index."""
        return PooledBank(self.places.keep(rows), self.widths, {}, self.computed)

    def _span(self, stage: str, kind: str) -> slice:
        names = list(self.widths)
        start = sum(self.widths[name] for name in names[: names.index(stage)]) * WIDTHS[kind]
        return slice(start, start + self.widths[stage] * WIDTHS[kind])


def _to_unit_length(part: np.ndarray) -> np.ndarray:
    """As Keras' UnitNormalization does it (`ops.normalize`, epsilon 1e-12)."""
    lengths = np.linalg.norm(part, axis=1, keepdims=True)
    return np.asarray(part / np.maximum(lengths, 1e-12))


def pooled_bank(extractor: Extractor, index: Index, watch: Stopwatch) -> PooledBank:
    """The pooled bank of an index; what is not on disk yet is computed and kept.

    Raises:
        DataError: not one file could be decoded.
    """
    folder = extractor.cache / "bank" / extractor.key
    with watch.part("bank"):
        known = read_shards(folder)
    shas, paths = list(index.files["sha256"]), list(index.files["path"])
    missing = [row for row in first_rows(shas) if shas[row] not in known]
    failed_rows: dict[int, str] = {}
    for part, features, failed in _computed(extractor, index, missing, watch):
        failed_rows |= failed
        if part:
            with watch.part("bank"):
                shard = write_shard(folder, [shas[row] for row in part], features)
            known |= {shas[row]: (shard, i) for i, row in enumerate(part)}
    if len(failed_rows) == len(set(shas)):
        raise DataError(f"{index.root}: not one of {len(shas)} files could be read as an image.")
    reasons = {shas[row]: reason for row, reason in failed_rows.items()}
    return PooledBank(
        places_of(shas, known),
        {stage.name: stage.channels for stage in extractor.stages},
        {paths[row]: reasons[sha] for row, sha in enumerate(shas) if sha in reasons},
        len(missing) - len(failed_rows),
    )


def first_rows(shas: Sequence[str]) -> list[int]:
    """The first row of each distinct file, in order."""
    first: dict[str, int] = {}
    for row, sha in enumerate(shas):
        first.setdefault(sha, row)
    return list(first.values())


def _computed(
    extractor: Extractor, index: Index, rows: list[int], watch: Stopwatch
) -> Iterator[tuple[list[int], dict[str, np.ndarray], dict[int, str]]]:
    """(rows, features by kind, failed rows) of the images of some rows, a shard at a time."""
    if not rows:
        return
    with watch.part("bank"):
        pool_all = pooling_network(extractor)
    done: list[int] = []
    parts: list[np.ndarray] = []
    failed: dict[int, str] = {}
    since = time.perf_counter()
    for chunk in decoded(extractor, index, rows, watch, "bank"):
        failed |= {rows[i]: reason for i, reason in chunk.failed.items()}
        if len(chunk.rows):
            with watch.part("bank"):
                parts.append(predict(pool_all, chunk.images, extractor.batch_size))
            done += [rows[i] for i in chunk.rows]
        if len(done) >= SHARD_IMAGES or time.perf_counter() - since > SHARD_SECONDS:
            yield done, by_kind(extractor, parts), failed
            done, parts, failed, since = [], [], {}, time.perf_counter()
    yield done, by_kind(extractor, parts), failed


def by_kind(extractor: Extractor, parts: list[np.ndarray]) -> dict[str, np.ndarray]:
    """What the pooling network gives in one row, apart."""
    if not parts:
        return {}
    channels = sum(stage.channels for stage in extractor.stages)
    ends = np.cumsum([channels * width for width in WIDTHS.values()])[:-1]
    return dict(zip(WIDTHS, np.split(np.concatenate(parts), ends, axis=1), strict=True))


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


def pooling_network(extractor: Extractor) -> Any:
    """Images to all features in one row: means of every stage, then deviations, then grids."""
    import keras

    network = extractor.network
    outputs = [output_of(network, stage.cut) for stage in extractor.stages]
    pooled = [pool_all(output) for output in outputs]
    pools = [stage[kind] for kind in WIDTHS for stage in pooled]
    return keras.Model(network.input, keras.layers.Concatenate(dtype="float32")(pools))


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
            batch_size = halved(batch_size, error)
            say(f"out of memory; going on with batches of {batch_size}")
            continue
        start += batch_size
    return np.concatenate(outputs)


def _padded_forward(model: Any, batch: np.ndarray, batch_size: int) -> np.ndarray:
    short = batch_size - len(batch)
    if short:
        batch = np.concatenate([batch, np.zeros((short, *batch.shape[1:]), batch.dtype)])
    return np.asarray(model.predict_on_batch(batch))[: batch_size - short]
