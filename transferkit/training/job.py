"""What a gradient phase works on, and how its model is judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transferkit.backbone.graph import Stage
from transferkit.data.balance import class_counts, class_weights, sample_weights
from transferkit.data.loader import Augmentation, Source
from transferkit.evaluation.multilabel import mean_average_precision
from transferkit.training.bank import predict
from transferkit.training.linear import activate


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a gradient phase works on.

    Attributes:
        model: inputs of `source` to logits; made by `model.tail`.
        network: the backbone whose layers `model` trains; `stages` all of its stages.
        source: inputs by row of the index.
        labels: class numbers `(N,)`; or a matrix `(N, C)` of 0 and 1 where images may have several
            classes: the loss is the binary cross-entropy then, a mean over the classes.
        classes: C.
        train: rows that train; `val`: rows that judge.
        drawn: inputs that train, by row, where they are others than those of `source`: larger images that
            crops are cut out of, or views. Row r + v N is view v of row r then.
        views: of each image in `drawn`, beside itself.
        augment: what happens to `drawn`; see `data.loader`.
        smoothing: weight of the past in the smoothed val loss.
        jit: whether steps are compiled.
        weights: of the classes `(C,)`. A step's loss is the sum of weight times loss over the number of
            images, not over the sum of weights, so they need a mean of 1 over train.
        sampler: an epoch draws all classes equally often instead; weights then judge val only.
    """

    model: Any
    network: Any
    stages: Sequence[Stage]
    source: Source
    labels: np.ndarray
    classes: int
    train: np.ndarray
    val: np.ndarray
    batch_size: int
    seed: int
    smoothing: float
    jit: bool
    drawn: Source | None = None
    views: int = 0
    augment: Augmentation | None = None
    weights: np.ndarray | None = None
    sampler: bool = False

    @property
    def multilabel(self) -> bool:
        """Whether an image may have several classes."""
        return self.labels.ndim == 2

    @property
    def shares(self) -> bool:
        """Whether labels reach a step as shares of the classes, one image of several."""
        return self.augment is not None and self.augment.mixes and not self.multilabel

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return -(-len(self.train) // self.batch_size)


def measure(job: Job, rows: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Probabilities, mean loss and top-1 (mAP where images may have several classes) of some rows.

    Where classes are weighted or drawn equally often the loss is a weighted mean, so that early stopping
    wants of val what training wants of train. Top-1 and mAP are never weighted.
    """
    parts = []
    for start in range(0, len(rows), job.batch_size):
        inputs = job.source.take(rows[start : start + job.batch_size]).astype(np.float32)
        parts.append(predict(job.model, inputs, job.batch_size).astype(np.float64))
    logits, labels = np.concatenate(parts), job.labels[rows]
    weights = _judging_weights(job, labels, logits.shape[1])
    with np.errstate(invalid="ignore"):  # logits of an exploded model give a loss that is not finite
        probabilities = activate(logits, "sigmoid" if job.multilabel else "softmax")
        if job.multilabel:
            each = np.mean(np.logaddexp(0, logits) - labels * logits, axis=1)
            reached = mean_average_precision(probabilities, labels)
        else:
            log_sum = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1)
            each = log_sum - logits[np.arange(len(labels)), labels]
            reached = float(np.mean(logits.argmax(1) == labels))
        return probabilities, float(np.average(each, weights=weights)), reached


def _judging_weights(job: Job, labels: np.ndarray, classes: int) -> np.ndarray | None:
    """Weights of images with these labels; None where nothing is balanced."""
    weights = job.weights
    if weights is None and job.sampler:
        weights = class_weights(class_counts(job.labels[job.train], classes))
    return None if weights is None else sample_weights(labels, weights)
