"""How hard new data pull at each stage of a backbone."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from transferkit.errors import TrainingError
from transferkit.training.optimizers import HEAD
from transferkit.training.recorder import recorder

# Two draws of so many put the same third of the stages first, for satellite images, flowers and signs.
MOST_IMAGES = 256


def relative_gradient_norms(
    model: Any,
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    *,
    stage_of: Mapping[str, str],
    loss: Any,
) -> dict[str, float]:
    """Mean relative gradient norm ||gradient|| / ||weight|| of the kernels of each stage.

    A mean over the stage's kernels and over batches. Biases and offsets are left out: many of them are
    zero, of which no gradient is a share. The model is as before: its weights do not move, and what it
    was compiled with stays. Source: Lee 2023, surgical fine-tuning (arXiv:2210.11466), section 5.

    Args:
        model: inputs to logits, without dropout; stages that are asked for train.
        batches: inputs and labels; of them 256 images at most are taken.
        stage_of: see `optimizers.variables_by_stage`.
        loss: a Keras loss.

    Raises:
        TrainingError: a gradient that is not finite, or no kernel that trains.
    """
    kernels = [
        variable
        for variable in model.trainable_variables
        if len(variable.shape) > 1 and stage_of[variable.path] != HEAD
    ]
    if not kernels:
        raise TrainingError(f"{model.name}: no kernel of the backbone trains, so none has a gradient.")
    norms = [np.linalg.norm(variable.numpy()) for variable in kernels]
    found: list[list[float]] = []
    for gradients in _gradients(model, batches, kernels, loss):
        sizes = [np.linalg.norm(gradient) for gradient in gradients]
        found.append([float(size / norm) if norm else 0.0 for size, norm in zip(sizes, norms, strict=True)])
    means = np.mean(found, axis=0)
    if not np.isfinite(means).all():
        raise TrainingError("the first gradients are not finite. Try --precision float32.")
    by_stage: dict[str, list[float]] = {}
    for variable, mean in zip(kernels, means, strict=True):
        by_stage.setdefault(stage_of[variable.path], []).append(float(mean))
    return {stage: float(np.mean(each)) for stage, each in by_stage.items()}


def _gradients(
    model: Any, batches: Iterable[tuple[np.ndarray, np.ndarray]], kernels: list[Any], loss: Any
) -> Iterable[list[np.ndarray]]:
    """The gradients of some kernels on each batch."""
    import keras

    kept = recorder()
    wrapped, left = None, MOST_IMAGES
    for inputs, labels in batches:
        if wrapped is None:
            # A model around the model: compiling it leaves that of the caller alone.
            entry = keras.Input(inputs.shape[1:])
            wrapped = keras.Model(entry, model(entry))
            wrapped.compile(kept, loss)
        wrapped.train_on_batch(inputs[:left], labels[:left])
        yield [np.array(kept.of(kernel).numpy()) for kernel in kernels]
        left -= len(inputs)
        if left <= 0:
            return
