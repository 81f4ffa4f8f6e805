"""Small phases to train: a toy network on bright and dark pictures, and losses that are told to it."""

from typing import Any

import numpy as np
import pytest

from tests.conftest import toy_network
from transferkit.backbone.graph import find_stages
from transferkit.strategies import Phase
from transferkit.training import blending, phases
from transferkit.training.epochs import Epoch
from transferkit.training.job import Job
from transferkit.training.linear import LinearClassifier
from transferkit.training.model import classifier, set_freeze_depth, tail

PHASE = Phase(
    name="finetune", kind="finetune", features=("stage3",), freeze_depth=1, epochs=4, patience=4,
    learning_rate=1e-3,
)  # fmt: skip
RANDOM = np.random.default_rng(0)


class Arrays:
    """A source that holds its inputs."""

    def __init__(self, inputs: np.ndarray) -> None:
        self.inputs = inputs

    def take(self, rows: np.ndarray) -> np.ndarray:
        return self.inputs[rows]


def make_job(depth: int = 1, images: int = 48, dropout: float = 0.0) -> tuple[Job, Any]:
    """A toy classifier with a zero head on bright and dark pictures, cut behind `depth` stages."""
    network = toy_network()
    stages = find_stages(network)
    zero = LinearClassifier(np.zeros((16, 2), np.float32), np.zeros(2, np.float32), 1.0, ())
    model = classifier(network, stages[-1:], zero, 2)
    labels = np.arange(images) % 2
    pictures = RANDOM.normal(90, 30, (images, 32, 32, 3)) + 70 * labels[:, None, None, None]
    inputs = pictures.astype(np.float32)
    if depth:
        import keras

        stem = keras.Model(network.input, network.get_layer(stages[depth - 1].cut).output)
        inputs = np.asarray(stem.predict_on_batch(inputs))
    set_freeze_depth(network, stages, depth)
    job = Job(
        model=tail(model, stages, depth, dropout=dropout), network=network, stages=stages,
        source=Arrays(inputs), labels=labels, classes=2, train=np.arange(32), val=np.arange(32, images),
        batch_size=8, seed=0, smoothing=0.5, jit=False,
    )  # fmt: skip
    return job, model


def values(model: Any) -> dict[str, list[np.ndarray]]:
    return {layer.name: layer.get_weights() for layer in model.layers}


def losses(
    monkeypatch: pytest.MonkeyPatch,
    val: list[float],
    train: list[float] | None = None,
    top1: list[float] | None = None,
) -> list[int]:
    """Pretend val (start first) and train losses; weights count the epochs that were fitted."""
    val, of_train, reached = list(val), list(train or [1.0] * 20), list(top1 or [0.5] * 20)
    fitted: list[int] = []

    def fit(job: Job, epoch: int, **_: Any) -> Epoch:
        fitted.append(epoch)
        job.model.set_weights([w * 0 + len(fitted) for w in job.model.get_weights()])
        return Epoch(job, {"loss": of_train.pop(0), "top1": 0.5}, whole=True)

    monkeypatch.setattr(phases, "fit_epoch", fit)
    monkeypatch.setattr(blending, "SHARES", ())
    monkeypatch.setattr(phases, "measure", lambda job, rows: (None, val.pop(0), reached.pop(0)))
    return fitted


def kept(job: Job) -> float:
    return float(job.model.get_weights()[0].flat[0])
