"""How far images lie from what a network was pretrained on, told by the network itself.

A BatchNorm layer keeps the mean and deviation of its inputs over the pretraining images: a memory of
ImageNet that needs no ImageNet image to be compared with.
"""

from pathlib import Path
from typing import Any

import numpy as np

from transferkit.backbone.build import build
from transferkit.backbone.catalogue import BackboneSpec
from transferkit.backbone.weights import load, places
from transferkit.errors import WeightsError
from transferkit.progress import say
from transferkit.training.bank import predict

# Enough: with more of either the mean distance moves by under a hundredth.
LAYERS = 16
IMAGES = 128
BATCH = 16
# Channels whose stored deviation is under this share of the layer's median are dead: dividing by it
# would tell of rounding alone.
DEAD = 1e-3


def batchnorm_distances(network: Any, images: np.ndarray) -> dict[str, float]:
    """How far the inputs of each BatchNorm layer lie from its stored statistics; nearest the input first.

    Of each channel sqrt((m - m0)^2 + (s - s0)^2) / s0, with mean m and deviation s over images and
    places, m0 and s0 as stored; of a layer the median over channels. 0 is alike, 1 is a deviation away.

    Args:
        network: a backbone with pretrained weights; random ones give numbers that say nothing.
        images: uint8 or float `(n, S, S, 3)` RGB 0..255; the first 128 are taken.

    Returns:
        At most 16 layers, spread evenly over the depth; empty where there is no BatchNorm.

    Source of the idea: test-time normalisation (Schneider 2020, arXiv:2006.16971) measures a shift of
    the data by the same statistics.
    """
    layers = [layer for layer in network.layers if type(layer).__name__ == "BatchNormalization"]
    if not layers or not len(images):
        return {}
    chosen = [layers[i] for i in np.unique(np.linspace(0, len(layers) - 1, LAYERS).round().astype(int))]
    mean, deviation = _moments(network, chosen, images[:IMAGES])
    found: dict[str, float] = {}
    start = 0
    for layer in chosen:
        stored = np.asarray(layer.get_weights()[-2:], dtype=np.float64)  # moving mean and variance
        part = slice(start, start := start + stored.shape[1])
        distance = _distance(mean[part], deviation[part], stored[0], np.sqrt(stored[1]))
        if distance is not None:
            found[layer.name] = distance
    return found


def _distance(
    mean: np.ndarray, deviation: np.ndarray, stored_mean: np.ndarray, stored_deviation: np.ndarray
) -> float | None:
    """The median over the channels that live; None where none does."""
    alive = stored_deviation > max(DEAD * float(np.median(stored_deviation)), 1e-12)
    if not alive.any():
        return None
    away = np.hypot(mean - stored_mean, deviation - stored_deviation)
    return float(np.median(away[alive] / stored_deviation[alive]))


def _moments(network: Any, layers: list[Any], images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of the inputs of some layers over images and places, channels side by side.

    Activations of all layers never lie in memory for more than one batch of few images.
    """
    import keras

    ops = keras.ops
    inputs = [ops.cast(layer.input, "float32") for layer in layers]
    means = [ops.mean(each, axis=(1, 2)) for each in inputs]
    # Of each image about its own mean: squares about zero would lose digits where the mean is large.
    variances = [ops.var(each, axis=(1, 2)) for each in inputs]
    probe = keras.Model(network.input, ops.concatenate([*means, *variances], axis=-1))
    total = square = within = np.float64(0)
    for start in range(0, len(images), BATCH):
        found = predict(probe, images[start : start + BATCH], BATCH).astype(np.float64)
        mean, variance = np.split(found, 2, axis=1)
        total, square, within = total + mean.sum(0), square + (mean**2).sum(0), within + variance.sum(0)
    mean = np.asarray(total / len(images))
    return mean, np.sqrt(np.maximum((square + within) / len(images) - mean**2, 0))


def source_confidence(
    spec: BackboneSpec, weights_file: Path | None, images: np.ndarray
) -> tuple[float, float] | None:
    """(mean highest probability, mean entropy / log 1000) of the ImageNet classifier on some images.

    Both 0..1: an image that is like ImageNet gives a high probability and a low entropy.

    Args:
        spec: the backbone.
        weights_file: the one in force; the file with the classifier may lie beside it.
        images: `(n, S, S, 3)` RGB 0..255; the first 128 are taken.

    Returns:
        None where the file with the classifier is not on this machine (nothing is downloaded), or where
        the classifier takes images of another size only (VGG).
    """
    file = _with_classifier(spec, weights_file)
    if file is None or not len(images):
        return None
    network = build(spec, images.shape[1], classifier=True)
    if network.count_params() != spec.parameters_top:
        return None
    try:
        load(network, spec, file)
    except WeightsError as error:
        # Told only, decided by never: a broken file that nothing needs must not end the run.
        say(f"evidence: no confidence of the ImageNet classifier: {error}")
        return None
    p = np.clip(predict(network, images[:IMAGES], BATCH).astype(np.float64), 1e-12, 1)
    entropy = -(p * np.log(p)).sum(axis=1) / np.log(p.shape[1])
    return float(p.max(axis=1).mean()), float(entropy.mean())


def _with_classifier(spec: BackboneSpec, weights_file: Path | None) -> Path | None:
    if weights_file is None:
        return None
    folders = [weights_file.parent, *(place.folder for place in places(None))]
    files = [folder / spec.weights_top.name for folder in folders]
    return next((file for file in files if file.is_file()), None)
