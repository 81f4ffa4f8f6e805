"""What a finished classifier says of an image at its last stage: for likeness, and for what it never saw."""

from typing import Any

import numpy as np

from transferkit.backbone.graph import output_of
from transferkit.training.bank import predict


def describer(model: Any, cut: str) -> Any:
    """A model from images to the means of a stage `(N, channels)` and to the probabilities `(N, C)`.

    Args:
        model: of a run, perhaps loaded from its file.
        cut: name of the layer that ends the stage.
    """
    import keras

    means = keras.layers.GlobalAveragePooling2D(dtype="float32")(output_of(model, cut))
    joined = keras.layers.Concatenate(dtype="float32")([means, model.output])
    return keras.Model(model.input, joined)


def described(describer: Any, images: np.ndarray, classes: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """(means `(n, channels)`, probabilities `(n, C)`) of images `(n, S, S, 3)`."""
    found = predict(describer, images, batch)
    return found[:, :-classes], found[:, -classes:]
