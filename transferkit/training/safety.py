"""What changes images bear: whether a linear classifier still knows them after each."""

from typing import Any

import numpy as np

from transferkit.backbone.graph import output_of
from transferkit.data.augment.keys import keys_of
from transferkit.data.augment.policy import policy_from
from transferkit.strategies.augmenting import CHANGES, Recognised
from transferkit.training.bank import Extractor, predict
from transferkit.training.discriminant import fit_discriminant
from transferkit.training.pooling import pool

STEPS: dict[str, list[Any]] = {
    "mirror": [{"horizontal_flip": {"probability": 1.0}}],
    "upside-down": [{"vertical_flip": {"probability": 1.0}}],
    "rotation": [{"rotation": {"degrees": 15}}],
    "colour": [{"color_jitter": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.05}}],
}
assert set(STEPS) == set(CHANGES)


def measure_safety(
    extractor: Extractor, images: np.ndarray, labels: np.ndarray, folds: np.ndarray
) -> dict[str, Recognised]:
    """How the changes of `STEPS` leave images recognisable.

    A discriminant on the last stage is fitted without each fold and asked about the fold's images, as they
    are and changed. What it does not recognise changed is another class by then, or nothing it could learn
    to know without being shown: training on such images costs more than it brings.

    Args:
        extractor: its network.
        images: uint8 `(n, S, S, 3)`.
        labels: class numbers `(n,)`, each in every training part.
        folds: of each image.
    """
    import keras

    from transferkit.data.augment.pipeline import pipeline

    last = output_of(extractor.network, extractor.stages[-1].cut)
    network = keras.Model(extractor.network.input, pool(last, "means"))
    found, size = {}, extractor.policy.size_px

    def features(batch: np.ndarray) -> np.ndarray:
        outputs = predict(network, batch, extractor.batch_size)
        return np.asarray(outputs / np.maximum(np.linalg.norm(outputs, axis=1, keepdims=True), 1e-12))

    plain = features(images.astype(np.float32))
    judges = [
        (folds == fold, fit_discriminant(plain[folds != fold], labels[folds != fold], int(labels.max()) + 1))
        for fold in range(int(folds.max()) + 1)
    ]
    right = _right(judges, plain, labels)
    keys = keys_of(np.arange(len(images)), 0, 0)
    for name, steps in STEPS.items():
        changes = pipeline(policy_from(steps), size).changed(images, keys)
        changed = _right(judges, features(changes), labels)
        lost = right - changed
        error = float(lost.std() / np.sqrt(len(lost)))
        found[name] = Recognised(float(right.mean()), float(changed.mean()), error)
    return found


def _right(judges: list[tuple[np.ndarray, Any]], features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Of each image whether the judge that has not seen it is right, 0. or 1."""
    right = np.zeros(len(labels))
    for own, judge in judges:
        logits = features[own] @ judge.kernel + judge.bias
        right[own] = logits.argmax(axis=1) == labels[own]
    return right
