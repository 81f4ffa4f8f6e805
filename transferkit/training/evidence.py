"""Measuring a data set: what the plan decides from, on train alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transferkit.backbone.catalogue import BackboneSpec
from transferkit.data.decode import decode_chunks
from transferkit.data.index import Index
from transferkit.strategies.evidence import IMAGENET, Evidence
from transferkit.strategies.transferability import h_score, logme
from transferkit.training.bank import Extractor, PooledBank
from transferkit.training.linear import check_finite
from transferkit.training.probes import (
    FOLDS,
    compact,
    gaps_of_chosen,
    judged,
    learning_curve,
    out_of_fold,
    stratified_folds,
)
from transferkit.training.statistics import IMAGES, batchnorm_distances, source_confidence

# More images make the probes' numbers finer than any decision needs.
PROBE_IMAGES = 2000
# LogME and H-score are told, not decided by (see docs/decision.md): they get fewer.
SCORE_IMAGES = 500


@dataclass(frozen=True, kw_only=True)
class Source:
    """The pretrained network that images are compared with.

    Attributes:
        spec: of the backbone.
        extractor: holds the network.
        weights_file: of the backbone; None for random weights, which remember nothing.
        pretrained_on: what these weights were trained on, in words.
    """

    spec: BackboneSpec
    extractor: Extractor
    weights_file: Path | None
    pretrained_on: str = IMAGENET


@dataclass(frozen=True, kw_only=True)
class Looked:
    """The images that may be looked at: train.

    Attributes:
        rows: of the bank, `(n,)`.
        labels: of these rows: class numbers `(n,)`, or a matrix `(n, C)` of 0 and 1.
        units: of these rows: number `(n,)` of what never parts, see `data.units`.
    """

    rows: np.ndarray
    labels: np.ndarray
    units: np.ndarray

    def drawn(self, most: int, seed: int) -> "Looked":
        """At most so many of them; each class keeps its share."""
        some = subsample(self.labels, most, seed)
        return Looked(rows=self.rows[some], labels=self.labels[some], units=self.units[some])


def measure_evidence(
    bank: PooledBank, looked: Looked, *, source: Source, images: np.ndarray, seed: int = 0
) -> Evidence:
    """Everything that is measured on a data set before it is decided how to train.

    Args:
        bank: pooled features.
        looked: whose of them.
        source: the network.
        images: some decoded ones of train, `(n, S, S, 3)`, see `sample_images`; may be empty.
        seed: of the choice of images and of the folds.

    Raises:
        TrainingError: features that are not finite.
    """
    from threadpoolctl import threadpool_limits

    chosen = looked.drawn(PROBE_IMAGES, seed)
    features, whole = _by_stage(bank, chosen.rows)
    few = subsample(chosen.labels, SCORE_IMAGES, seed)
    told = chosen.labels[few]
    # One thread: beside TensorFlow's, small products lose more to waking threads than they gain.
    with threadpool_limits(1, user_api="blas"):
        probes = probe(features, whole, chosen, seed)
        fits = {name: logme(each[few], told) for name, each in features.items()}
        scores = {name: h_score(each[few], told) for name, each in features.items() if told.ndim == 1}
    layers, top = {}, None
    if source.weights_file is not None:
        layers = batchnorm_distances(source.extractor.network, images)
        if source.pretrained_on == IMAGENET:  # the classifier belongs to those weights
            top = source_confidence(source.spec, source.weights_file, images)
    return Evidence(
        stages=probes.stages,
        together=probes.together,
        gap=probes.gap,
        gap_error=probes.gap_error,
        probe_images=len(chosen.rows),
        multilabel=looked.labels.ndim == 2,
        size_ratio=source.extractor.policy.size_px / source.spec.image_size,
        batchnorm=float(np.mean(list(layers.values()))) if layers else None,
        batchnorm_layers=layers,
        confidence=top[0] if top else None,
        entropy=top[1] if top else None,
        logme=fits,
        h_score=scores,
        curve=probes.curve,
        curve_images=probes.curve_images,
        pretrained_on=source.pretrained_on,
    )


def probe_bank(bank: PooledBank, looked: Looked, seed: int) -> "Probes":
    """What quick classifiers reach on each stage and on all; see `probe`.

    Raises:
        TrainingError: features that are not finite.
    """
    return probe(*_by_stage(bank, looked.rows), looked, seed)


def _by_stage(bank: PooledBank, rows: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The means of each stage by name, and the same side by side."""
    whole = bank.at(list(bank.widths), rows)
    check_finite(whole)
    ends = np.cumsum(list(bank.widths.values()))
    return dict(zip(bank.widths, np.split(whole, ends[:-1], axis=1), strict=True)), whole


def subsample(labels: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Places of at most so many images, in order; each class keeps its share.

    Args:
        labels: class numbers `(N,)`, or a matrix `(N, C)`, of which any are taken.
        most: how many.
        seed: of the choice.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    if len(labels) <= most:
        return np.arange(len(labels))
    if labels.ndim == 1:
        order = order[np.argsort(labels[order], kind="stable")]
    return np.sort(order[np.arange(most) * len(labels) // most])


def sample_images(extractor: Extractor, index: Index, rows: np.ndarray, seed: int) -> np.ndarray:
    """Some decoded images of some rows of an index, uint8 `(n, S, S, 3)`; at most 128."""
    chosen = np.random.default_rng(seed).permutation(rows)[:IMAGES]
    paths = [index.root / index.files["path"].iloc[row] for row in chosen]
    chunks = decode_chunks(paths, extractor.policy, extractor.batch_size)
    return np.concatenate([chunk.images for chunk in chunks])


@dataclass(frozen=True)
class Probes:
    """The fields of `Evidence` of the same names."""

    stages: dict[str, float]
    together: float
    gap: float
    gap_error: float
    curve: tuple[tuple[float, float], ...]
    curve_images: tuple[float, ...]


def probe(features: Mapping[str, np.ndarray], whole: np.ndarray, looked: Looked, seed: int) -> Probes:
    """What quick classifiers reach on each stage and on all.

    Args:
        features: of each stage by name, `(N, D)`, nearest the input first.
        whole: the same side by side.
        looked: the images.
        seed: of the folds.
    """
    labels, units = looked.labels, looked.units
    if (count := len(np.unique(units))) < 2:
        # A single group, such as one patient: within it is all there is to compare.
        units, count = np.arange(len(labels)), len(labels)
    folds = stratified_folds(labels, min(FOLDS, count), seed, units)
    each = {
        name: judged(out_of_fold(compact(part), labels, folds, part.shape[1]), labels)
        for name, part in features.items()
    }
    packed, channels = compact(whole), whole.shape[1]
    together = judged(out_of_fold(packed, labels, folds, channels), labels)
    *earlier, last = each.values()
    groups = np.arange(len(last)) if labels.ndim == 2 else folds
    gaps = gaps_of_chosen(np.array([together, *earlier]), last, groups)
    sizes = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels)
    per_class = float(np.median(sizes[sizes > 0]))
    whole_share = (1 - 1 / (int(folds.max()) + 1), float(together.mean()))
    curve = [*learning_curve(packed, labels, channels, seed, units), whole_share]
    return Probes(
        stages={name: float(one.mean()) for name, one in each.items()},
        together=float(together.mean()),
        gap=float(gaps.mean()),
        gap_error=float(gaps.std() / np.sqrt(len(gaps))),
        curve=tuple((share * per_class, reached) for share, reached in curve),
        curve_images=tuple(share * len(labels) for share, _ in curve),
    )
