"""Networks made of a backbone and a head. The only place that sets `trainable`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from transferkit.backbones.graph import Stage, output_of, stage_layers
from transferkit.training.linear import LinearClassifier


def set_freeze_depth(network: Any, stages: tuple[Stage, ...], depth: int) -> None:
    """Let the stages behind the first `depth` train, and no other."""
    for number, layers in enumerate(stage_layers(network, stages)):
        for layer in layers:
            layer.trainable = number >= depth


def classifier(network: Any, stages: Sequence[Stage], fitted: LinearClassifier, classes: int) -> Any:
    """The complete model: images `(N, S, S, 3)` RGB 0..255 to probabilities `(N, classes)`.

    Made of stock layers only, with the preprocessing inside. Its backbone layers are those of
    `network`, not copies: training one trains the other.

    Args:
        network: the backbone.
        stages: whose pooled features the head sees, in the order it was fitted on.
        fitted: the classifier that is written into the head; its activation is the model's last.
        classes: C.
    """
    import keras

    pools = [
        keras.layers.GlobalAveragePooling2D(dtype="float32", name=f"pool_{stage.name}")(
            output_of(network, stage.cut)
        )
        for stage in stages
    ]
    joined = pools[0]
    if len(pools) > 1:
        joined = keras.layers.Concatenate(dtype="float32", name="features")(pools)
    dense = keras.layers.Dense(classes, dtype="float32", name="logits")
    last = keras.layers.Activation(fitted.activation, dtype="float32", name="probabilities")
    outputs = last(dense(joined))
    dense.set_weights([fitted.kernel, fitted.bias])
    return keras.Model(network.input, outputs, name=f"{network.name}_classifier")


def tail(model: Any, stages: tuple[Stage, ...], depth: int) -> Any:
    """The trainable end of a classifier: activations behind `depth` stages to logits.

    It computes in inference mode even while it trains, so BatchNorm keeps to its stored statistics
    while its scales and offsets learn. Updating statistics on little data wrecks pretrained features;
    source: Keras' transfer learning guide, "fine-tuning".
    """
    import keras

    class InferenceMode(keras.Model):  # type: ignore[misc]  # keras has no types
        """A functional model cannot do this: `fit` overrides a recorded `training=False`.

        Seen in Keras 3.15.1 (`functional.operation_fn`), against what the guide says.
        """

        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def build(self, input_shape: Any) -> None:
            self.built = True

        def call(self, inputs: Any, training: bool | None = None) -> Any:
            return self.inner(inputs, training=False)

    cut = output_of(model, stages[depth - 1].cut) if depth else model.input
    return InferenceMode(keras.Model(cut, model.get_layer("logits").output))


def freeze_batch_norm(model: Any) -> None:
    """Mark BatchNorm layers as not trainable, so that a saved model trained on keeps its statistics."""
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.trainable = False


def weights_of(model: Any) -> list[np.ndarray]:
    """A copy of all weights."""
    return [np.array(values) for values in model.get_weights()]
