"""What is asked of training beside fitting: smooth targets, and weights that stay near the pretrained."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from transferkit.errors import TrainingError
from transferkit.strategies.base import Phase


def loss_for(phase: Phase, *, multilabel: bool, classes: int, shares: bool = False) -> Any:
    """The Keras loss of a phase, on logits.

    Label smoothing s moves the target to (1 - s) target + s / C, and where an image may have several
    classes to (1 - s) target + s / 2 for each of them. Source: Szegedy 2016 (arXiv:1512.00567), section 7.
    With sample weights a step's loss is the sum of weight times loss over the number of images: Keras 3.15
    divides by the images of the batch (`losses.loss.reduce_values`).

    Args:
        phase: its tuning says how smooth.
        multilabel: targets are `(N, C)` of 0 and 1; else class numbers `(N,)`.
        classes: C.
        shares: targets are `(N, C)` that sum to 1, as where batches are mixed.
    """
    import keras

    share = phase.tuning.label_smoothing if phase.tuning else 0.0
    if multilabel:
        return keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=share)
    if shares:
        return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=share)
    if not share:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    class SmoothedCrossentropy(keras.losses.Loss):  # type: ignore[misc]  # keras has no types
        """The sparse loss of Keras has no smoothing, and the smoothed one wants whole rows."""

        def call(self, y_true: Any, y_pred: Any) -> Any:
            numbers = keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "int32")
            targets = keras.ops.one_hot(numbers, classes)
            return keras.losses.categorical_crossentropy(
                targets, y_pred, from_logits=True, label_smoothing=share
            )

    return SmoothedCrossentropy()


def kernels_of(network: Any) -> dict[str, np.ndarray]:
    """Copies of a backbone's kernels by their paths: the anchors of `add_l2_sp`."""
    return {weight.path: np.array(weight.numpy()) for weight in network.weights if len(weight.shape) > 1}


def add_l2_sp(model: Any, weight: float, anchors: Mapping[str, np.ndarray]) -> None:
    """Add weight / 2 times the squared distance of the kernels from their anchors to the training loss.

    Of the kernels that train. To be called before `compile`, and taken back by `remove_l2_sp`; it hangs
    on the variables, not on the layers, so nothing of it is saved. Source: Li 2018, L2-SP
    (arXiv:1802.01483), equation 2.

    Args:
        model: what will be compiled.
        weight: 0 adds nothing.
        anchors: of the backbone's kernels, by path; see `kernels_of`.

    Raises:
        TrainingError: not one weight of the model has an anchor.
    """
    import keras

    if not weight:
        return
    pulled = [variable for variable in model.weights if variable.path in anchors]
    if not pulled:
        raise TrainingError(
            f"{model.name}: l2_sp {weight:g} pulls at nothing: none of its weights has an anchor."
        )

    class Pull(keras.regularizers.Regularizer):  # type: ignore[misc]  # keras has no types
        l2_sp = True

        def __init__(self, anchor: np.ndarray) -> None:
            # A variable, for a constant would be written into the compiled step.
            self.anchor = keras.Variable(anchor, trainable=False, name="anchor")

        def __call__(self, x: Any) -> Any:
            return 0.5 * weight * keras.ops.sum(keras.ops.square(x - self.anchor))

    for variable in pulled:
        variable.regularizer = Pull(anchors[variable.path])


def remove_l2_sp(model: Any) -> None:
    """Take back what `add_l2_sp` added."""
    for variable in model.weights:
        if getattr(variable.regularizer, "l2_sp", False):
            variable.regularizer = None
