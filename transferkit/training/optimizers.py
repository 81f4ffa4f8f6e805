"""Optimizers whose steps are a share of the learning rate, stage by stage."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from transferkit.backbone.graph import Stage, stage_layers
from transferkit.errors import TrainingError
from transferkit.strategies.base import Phase, Tuning

HEAD = "head"


def variables_by_stage(network: Any, stages: tuple[Stage, ...], model: Any) -> dict[str, str]:
    """The stage of each weight, by the weight's path; `head` for those that are not the backbone's.

    Args:
        network: the backbone.
        stages: its stages.
        model: the classifier or its tail, made of layers of `network`.

    Raises:
        TrainingError: two weights of one path, so a rule for one would hold for both.
    """
    owner = {
        id(weight): stage.name
        for stage, layers in zip(stages, stage_layers(network, stages), strict=True)
        for layer in layers
        for weight in layer.weights
    }
    weights = {id(weight): weight for weight in [*network.weights, *model.weights]}
    found: dict[str, str] = {}
    for key, weight in weights.items():
        if weight.path in found:
            raise TrainingError(
                f"{network.name}: two weights have the path {weight.path!r}, so they cannot have rates "
                "of their own. Is a layer of that name in the backbone and in the head?"
            )
        found[weight.path] = owner.get(key, HEAD)
    return found


def make_optimizer(phase: Phase, model: Any, stage_of: Mapping[str, str]) -> Any:
    """A Keras optimizer that takes the steps of a phase as its tuning says.

    The update of a weight is multiplied by the share of its stage; the head's share is 1. Scaling the
    gradient instead would do nothing under Adam, RMSprop and Adagrad, which divide by its size.

    Weight decay is decoupled for all kinds (Loshchilov and Hutter 2019, arXiv:1711.05101): a weight
    loses rate times share times `weight_decay` of itself in a step, before its update. Biases and the
    scales and offsets of normalisation do not decay; these are the weights with one dimension. So `adam`
    and `adamw` are the same. The average of weights (`ema`) is kept beside them, see `averaged`.

    Args:
        phase: its learning rate and tuning.
        model: what will be compiled; the tail of a classifier.
        stage_of: see `variables_by_stage`.

    Raises:
        TrainingError: a weight that trains though its stage is not one of the phase's.
    """
    import keras

    tuning = phase.tuning or Tuning(stages=())
    shares = _shares(phase, model, stage_of)
    base, arguments = {
        "adamw": (keras.optimizers.AdamW, {}),
        "adam": (keras.optimizers.Adam, {}),
        "sgd": (keras.optimizers.SGD, {"momentum": tuning.momentum}),
        "rmsprop": (keras.optimizers.RMSprop, {"momentum": tuning.momentum}),
        "adagrad": (keras.optimizers.Adagrad, {}),
    }[tuning.optimizer]
    if tuning.ema:
        arguments |= {"use_ema": True, "ema_momentum": tuning.ema}
    return _shared(base, shares)(phase.learning_rate, weight_decay=tuning.weight_decay, **arguments)


def _shares(phase: Phase, model: Any, stage_of: Mapping[str, str]) -> dict[str, float]:
    """The share of each weight that trains, by its path."""
    tuning = phase.tuning
    shares = {HEAD: 1.0}
    if tuning is None:
        shares |= dict.fromkeys(stage_of.values(), 1.0)
    else:
        rates = tuning.rates or (1.0,) * len(tuning.stages)
        shares |= dict(zip(tuning.stages, rates, strict=True))
    found = {}
    for variable in model.trainable_variables:
        stage = stage_of.get(variable.path)
        if stage not in shares:
            raise TrainingError(
                f"{phase.name}: {variable.path} of {stage or 'no stage'} would train without a rate. "
                f"Stages that train: {', '.join(shares)}."
            )
        found[variable.path] = shares[stage]
    return found


def _shared(base: Any, shares: Mapping[str, float]) -> Any:
    """A kind of Keras' optimizers with shares.

    In all five kinds the update is proportional to the rate that `update_step` is given, momentum
    included: its buffer holds past updates, of the same share. The tests compare them with numpy.
    """
    import keras

    class Shared(base):  # type: ignore[misc]  # keras has no types
        # Weights that began to train late: path -> steps that the optimizer had taken by then.
        joined: Mapping[str, int] = {}

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            # TensorFlow hands over its own variable, which has no path.
            known = self._trainable_variables[self._get_variable_index(variable)]
            rate = learning_rate * shares[known.path]
            if self.weight_decay and len(known.shape) > 1:
                self.assign_sub(variable, variable * (rate * self.weight_decay))
            super().update_step(gradient, variable, rate * self._late(known.path))

        def _late(self, path: str) -> Any:
            """Adam's correction of its moments for their zero start, at the steps of this weight alone.

            Without it the first step of a weight that joins late is sqrt(1000) / 10, or 3.2, times as long.
            """
            before = self.joined.get(path, 0)
            if not before or not hasattr(self, "beta_2"):
                return 1.0
            step = keras.ops.cast(self.iterations + 1, "float32")
            return self._correction(step - before) / self._correction(step)

        def _correction(self, step: Any) -> Any:
            return keras.ops.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)

        def _apply_weight_decay(self, variables: Any) -> None:
            """Keras' own knows no shares; see `update_step`."""

        def finalize_variable_values(self, var_list: Any) -> None:
            """Keras would leave the average in the model after each `fit`, and train on from there."""

    return Shared


@contextmanager
def averaged(model: Any) -> Iterator[None]:
    """The model with the moving average of its weights, for as long as this lasts.

    Nothing changes where its optimizer keeps none or has not taken a step.
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    averages = getattr(optimizer, "_model_variables_moving_average", None)
    if averages is None or int(optimizer.iterations) == 0:
        yield
        return
    variables = optimizer._trainable_variables
    raw = [np.array(variable.numpy()) for variable in variables]
    for variable, average in zip(variables, averages, strict=True):
        variable.assign(average)
    try:
        yield
    finally:
        for variable, value in zip(variables, raw, strict=True):
            variable.assign(value)
