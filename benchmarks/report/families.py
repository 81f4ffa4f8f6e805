"""Grad-CAM on one backbone of each family, on a model saved and loaded afresh: seconds, and whether it is right.

    python benchmarks/report/families.py

Random weights: no ImageNet weights of most families are at hand. The smallest backbone of each family at 128 px,
six classes on the means of its last two stages. Behind means the slope along a channel is its weight, so the heat
must be that of the last stage's activations by the head's weights; where it is not, the exit status is 1.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
TOLERANCE = 1e-3


def smallest() -> dict[str, Any]:
    """The backbone of fewest parameters of each family."""
    from transferkit.backbone.catalogue import every

    return {spec.family: spec for spec in sorted(every(), key=lambda spec: -spec.parameters)}


def main() -> None:
    import keras

    from transferkit.backbone.build import build
    from transferkit.backbone.graph import find_stages, output_of
    from transferkit.strategies import FeatureSet
    from transferkit.training import model as models
    from transferkit.training.explain import gradcam
    from transferkit.training.linear import LinearClassifier

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (3, 128, 128, 3)).astype(np.float32)
    print("| family | backbone | heat | most apart | seconds |\n|---|---|---|---|---|")
    wrong = []
    for family, spec in smallest().items():
        keras.backend.clear_session()
        network = build(spec, 128)
        stages = find_stages(network)
        last = stages[-2:]
        width = sum(stage.channels for stage in last)
        seen = FeatureSet(stages=tuple(stage.name for stage in last))
        kernel = random.normal(size=(width, 6)).astype(np.float32)
        fitted = LinearClassifier(kernel, np.zeros(6, np.float32), None, (), features=seen)
        with tempfile.TemporaryDirectory() as folder:
            models.classifier(network, stages, fitted, 6).save(Path(folder) / "model.keras")
            loaded = keras.models.load_model(Path(folder) / "model.keras")
        started = time.perf_counter()
        heat = gradcam(loaded, stages[-1].cut, images, np.array([0, 1, 2]))
        spent = time.perf_counter() - started
        maps = np.asarray(
            keras.Model(network.input, output_of(network, stages[-1].cut))(images, training=False)
        )
        weights = kernel[-stages[-1].channels :]
        expected = np.maximum(np.einsum("nhwc,cn->nhw", maps, weights[:, :3]), 0)
        peak = expected.max(axis=(1, 2), keepdims=True)
        expected = np.divide(expected, peak, out=np.zeros_like(expected), where=peak > 0)
        apart = float(np.abs(heat - expected).max())
        if apart > TOLERANCE or not (peak > 0).any():  # no heat at all would agree with none
            wrong.append(family)
        print(f"| {family} | {spec.name} | {heat.shape[1:]} | {apart:.1e} | {spent:.1f} |", flush=True)
    if wrong:
        sys.exit(f"heat is not that of the head's weights: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
