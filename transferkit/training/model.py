"""Networks made of a backbone and a head. The only place that sets `trainable`."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from transferkit.backbone.graph import Stage, output_of, stage_layers
from transferkit.errors import TrainingError, UsageError
from transferkit.strategies import FeatureSet, Tuning
from transferkit.training.linear import LinearClassifier
from transferkit.training.pooling import pool
from transferkit.training.stochastic_depth import StochasticDepth


def set_freeze_depth(network: Any, stages: tuple[Stage, ...], depth: int) -> None:
    """Let the stages behind the first `depth` train, and no other."""
    set_trainable(network, stages, Tuning(stages=tuple(stage.name for stage in stages[depth:])))


def set_trainable(
    network: Any, stages: tuple[Stage, ...], tuning: Tuning, thawed: Sequence[str] | None = None
) -> None:
    """Let some stages train, whole or their BatchNorm layers alone, and no other layer.

    Keras heeds it from the next `compile` on.

    Args:
        network: the backbone.
        stages: all of its stages.
        tuning: which stages train, and `only` what of them.
        thawed: those of the tuning's stages that train by now; None is all.

    Raises:
        UsageError: only BatchNorm shall train and the backbone has none.
        TrainingError: a stage that the backbone does not have.
    """
    names = tuning.stages if thawed is None else tuple(thawed)
    if unknown := set(names) - {stage.name for stage in stages}:
        raise TrainingError(
            f"{network.name} has no {', '.join(sorted(unknown))}. "
            f"Its stages: {', '.join(stage.name for stage in stages)}."
        )
    if tuning.only == "batchnorm":
        check_has_batchnorm(network)
    for layer in network.layers:
        layer.trainable = False
    for stage, layers in zip(stages, stage_layers(network, stages), strict=True):
        for layer in layers:
            layer.trainable = stage.name in names and (tuning.only == "all" or is_batch_norm(layer))


def is_batch_norm(layer: Any) -> bool:
    """Whether a layer keeps statistics of its inputs; LayerNorm does not."""
    return type(layer).__name__ == "BatchNormalization"


def check_has_batchnorm(network: Any) -> None:
    """Refuse to train BatchNorm alone where there is none: VGG has no normalisation, ConvNeXt LayerNorm.

    Raises:
        UsageError: names the backbone and what to use instead.
    """
    if not any(is_batch_norm(layer) for layer in network.layers):
        raise UsageError(
            f"strategy batchnorm trains the scales and offsets of BatchNorm layers, and backbone "
            f"{network.name} has no such layer. Use finetune-top, finetune-deep, surgical or full, or a "
            "backbone with BatchNorm, such as mobilenet_v2 or resnet50."
        )


def classifier(network: Any, stages: Sequence[Stage], fitted: LinearClassifier, classes: int) -> Any:
    """The complete model: images `(N, S, S, 3)` RGB 0..255 to probabilities `(N, classes)`.

    Made of stock layers only, with the preprocessing inside. Its backbone layers are those of
    `network`, not copies: training one trains the other.

    Args:
        network: the backbone.
        stages: those whose means the head sees, in the order it was fitted on; or, where the classifier
            names its own features, at least those.
        fitted: the classifier that is written into the head; its activation is the model's last.
        classes: C.
    """
    import keras

    asked = fitted.features or FeatureSet(stages=tuple(stage.name for stage in stages))
    joined = features_of(network, stages, asked)
    dense = keras.layers.Dense(classes, dtype="float32", name="logits")
    last = keras.layers.Activation(fitted.activation, dtype="float32", name="probabilities")
    outputs = last(dense(joined))
    dense.set_weights([fitted.kernel, fitted.bias])
    return keras.Model(network.input, outputs, name=f"{network.name}_classifier")


def features_of(network: Any, stages: Sequence[Stage], asked: FeatureSet) -> Any:
    """The tensor `(N, D)` of what the bank gives as `PooledBank.at` of a feature set."""
    import keras

    parts, cuts = [], {stage.name: stage.cut for stage in stages}
    for name in asked.stages:
        maps = output_of(network, cuts[name])
        for kind in asked.kinds:
            part = pool(maps, kind, f"pool_{name}" if kind == "means" else None)
            if asked.normalised:
                part = keras.layers.UnitNormalization(dtype="float32")(part)
            parts.append(part)
    if len(parts) == 1:
        return parts[0]
    return keras.layers.Concatenate(dtype="float32", name="features")(parts)


def tail(
    model: Any,
    stages: tuple[Stage, ...],
    depth: int,
    *,
    dropout: float = 0.0,
    seed: int = 0,
    branches: Callable[[Any], StochasticDepth] | None = None,
) -> Any:
    """The trainable end of a classifier: activations behind `depth` stages to logits.

    It computes in inference mode even while it trains, so BatchNorm keeps to its stored statistics
    while its scales and offsets learn. Updating statistics on little data wrecks pretrained features;
    source: Keras' transfer learning guide, "fine-tuning". Dropout and stochastic depth alone heed training,
    and are not layers of `model`, so nothing of them is saved.

    Args:
        model: made by `classifier`.
        stages: of its backbone.
        depth: stages that are left out; 0 takes images.
        dropout: share of the head's inputs that are dropped in training, the rest scaled up.
        seed: of the dropout and of the branches that are left out.
        branches: makes stochastic depth, given its seeds.
    """
    import keras

    class InferenceMode(keras.Model):  # type: ignore[misc]  # keras has no types
        """A functional model cannot do this: `fit` overrides a recorded `training=False`.

        Seen in Keras 3.15.1 (`functional.operation_fn`), against what the guide says.
        """

        def __init__(self, body: Any, head: Any) -> None:
            super().__init__()
            self.body, self.head = body, head
            self.dropout = keras.layers.Dropout(dropout, seed=seed, dtype="float32") if dropout else None
            self.branch_seeds = keras.random.SeedGenerator(seed + 1) if branches else None
            self.branches = branches(self.branch_seeds) if branches else None

        def build(self, input_shape: Any) -> None:
            self.built = True

        def call(self, inputs: Any, training: bool | None = None) -> Any:
            with self.branches.while_training(bool(training)) if self.branches else nullcontext():
                features = self.body(inputs, training=False)
            if self.dropout is not None:
                features = self.dropout(features, training=training)
            return self.head(features)

    cut = output_of(model, stages[depth - 1].cut) if depth else model.input
    head = model.get_layer("logits")
    return InferenceMode(keras.Model(cut, head.input), head)


def freeze_batch_norm(model: Any) -> None:
    """Mark BatchNorm layers as not trainable, so that a saved model trained on keeps its statistics."""
    for layer in model.layers:
        if is_batch_norm(layer):
            layer.trainable = False


def weights_of(model: Any) -> list[np.ndarray]:
    """A copy of all weights."""
    return [np.array(values) for values in model.get_weights()]
