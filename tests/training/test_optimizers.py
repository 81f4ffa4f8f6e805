import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.conftest import toy_network
from transferkit.backbone.graph import find_stages
from transferkit.errors import TrainingError
from transferkit.strategies import Phase, Tuning
from transferkit.training.linear import LinearClassifier
from transferkit.training.model import classifier
from transferkit.training.optimizers import averaged, make_optimizer, variables_by_stage

KINDS = ("adamw", "adam", "sgd", "rmsprop", "adagrad")
RATE, DECAY, MOMENTUM = 0.05, 0.1, 0.9
SHARES = {"first": 0.1, "second": 0.5, "head": 1.0}
RANDOM = np.random.default_rng(0)
BATCHES = [(RANDOM.normal(size=(6, 4)), RANDOM.normal(size=(6, 2))) for _ in range(3)]


def tiny() -> Any:
    """Three dense layers without a curve: a gradient that can be written by hand."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((4,))
    for name, width in (("first", 3), ("second", 3), ("head", 2)):
        x = keras.layers.Dense(width, name=name, bias_initializer="random_normal")(x)
    return keras.Model(inputs, x)


def phase(optimizer: str, **tuning: Any) -> Phase:
    told = Tuning(
        stages=("first", "second"), rates=(0.1, 0.5), optimizer=optimizer, momentum=MOMENTUM,
        weight_decay=DECAY, **tuning,
    )  # fmt: skip
    return Phase(
        name="finetune", kind="finetune", features=(), freeze_depth=0, learning_rate=RATE, tuning=told
    )


def stage_of(model: Any) -> dict[str, str]:
    return {weight.path: weight.path.split("/")[0] for weight in model.weights}


def fitted(model: Any, told: Phase) -> list[np.ndarray]:
    model.compile(make_optimizer(told, model, stage_of(model)), keras.losses.MeanSquaredError())
    inputs, targets = (np.concatenate(part).astype("float32") for part in zip(*BATCHES, strict=True))
    model.fit(inputs, targets, batch_size=6, shuffle=False, verbose=0)
    return model.get_weights()


def gradients(weights: list[np.ndarray], batch: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    """Of the mean squared error, by the chain rule."""
    kernels, biases = weights[0::2], weights[1::2]
    values = [batch[0]]
    for kernel, bias in zip(kernels, biases, strict=True):
        values.append(values[-1] @ kernel + bias)
    flow = 2 * (values.pop() - batch[1]) / batch[1].size
    found: list[np.ndarray] = []
    for kernel in reversed(kernels):
        found = [values.pop().T @ flow, flow.sum(0), *found]
        flow = flow @ kernel.T
    return found


def updates(kind: str) -> Iterator[Any]:
    """A fresh update rule for one weight: (gradient, step from 1) to what is subtracted at share 1.

    Sources, with Keras' constants (beta 0.9 and 0.999, rho 0.9, epsilon 1e-7, first accumulator 0.1):
    Kingma and Ba 2015; Hinton's lecture 6e; Duchi 2011.
    """
    while True:
        state = {"m": 0.0, "v": 0.0, "sum": 0.1, "past": 0.0}

        def update(gradient: np.ndarray, step: int, state: dict[str, Any] = state) -> np.ndarray:
            if kind in ("adam", "adamw"):
                state["m"] = 0.9 * state["m"] + 0.1 * gradient
                state["v"] = 0.999 * state["v"] + 0.001 * gradient**2
                scale = np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
                return RATE * scale * state["m"] / (np.sqrt(state["v"]) + 1e-7)
            if kind == "adagrad":
                state["sum"] = state["sum"] + gradient**2
                return RATE * gradient / np.sqrt(state["sum"] + 1e-7)
            if kind == "rmsprop":
                state["v"] = 0.9 * state["v"] + 0.1 * gradient**2
                gradient = gradient / np.sqrt(state["v"] + 1e-7)
            state["past"] = MOMENTUM * state["past"] + RATE * gradient
            return state["past"]

        yield update


def reference(kind: str, weights: list[np.ndarray]) -> list[np.ndarray]:
    """Three steps by hand: kernels decay by rate, share and decay first, then every weight moves."""
    weights = [weight.astype(np.float64) for weight in weights]
    shares = np.repeat(list(SHARES.values()), 2)
    rules = [rule for rule, _ in zip(updates(kind), weights, strict=False)]
    for step, batch in enumerate(BATCHES, start=1):
        pull = gradients(weights, batch)
        for i, share in enumerate(shares):
            decay = RATE * share * DECAY if weights[i].ndim > 1 else 0.0
            weights[i] = weights[i] * (1 - decay) - share * rules[i](pull[i], step)
    return weights


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_steps_as_the_reference_does_with_shares_and_decay(kind: str):
    model = tiny()
    expected = reference(kind, model.get_weights())
    for found, wanted in zip(fitted(model, phase(kind)), expected, strict=True):
        assert np.allclose(found, wanted, atol=2e-6)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_a_weight_that_joins_late_begins_like_a_new_one(kind: str):
    model = tiny()
    expected = reference(kind, model.get_weights())
    optimizer = make_optimizer(phase(kind), model, stage_of(model))
    optimizer.build(model.trainable_variables)
    optimizer.iterations.assign(7)
    optimizer.joined = {weight.path: 7 for weight in model.weights}
    model.compile(optimizer, keras.losses.MeanSquaredError())
    for found, wanted in zip(fitted_on(model), expected, strict=True):
        assert np.allclose(found, wanted, atol=2e-6)


def test_the_average_is_kept_beside_and_training_goes_on_from_the_raw_weights():
    plain = tiny()
    plain.compile(make_optimizer(phase("sgd"), plain, stage_of(plain)), keras.losses.MeanSquaredError())
    steps = []
    for batch in BATCHES:
        plain.train_on_batch(*(part.astype("float32") for part in batch))
        steps.append(plain.get_weights())
    # The first step's weights, then a fifth of each step's.
    average = [0.8 * (0.8 * a + 0.2 * b) + 0.2 * c for a, b, c in zip(*steps, strict=True)]
    model = tiny()
    fitted(model, phase("sgd", ema=0.8))
    with averaged(model):
        assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(model.get_weights(), average, strict=True))
    pairs = zip(fitted_on(model), fitted_on(plain), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def fitted_on(model: Any) -> list[np.ndarray]:
    """Weights after another epoch with the optimizer as it is."""
    for inputs, targets in BATCHES:
        model.train_on_batch(inputs.astype("float32"), targets.astype("float32"))
    return model.get_weights()


def test_nothing_is_averaged_before_the_first_step():
    model = tiny()
    before = model.get_weights()
    model.compile(make_optimizer(phase("adamw", ema=0.9), model, stage_of(model)), "mse")
    model.optimizer.build(model.trainable_variables)
    with averaged(model):
        assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))


def test_a_weight_that_would_train_without_a_rate_is_an_error():
    model = tiny()
    told = Phase(
        name="finetune", kind="finetune", features=(), freeze_depth=0, tuning=Tuning(stages=("second",))
    )
    with pytest.raises(TrainingError, match=r"finetune: first/kernel of first would train without a rate"):
        make_optimizer(told, model, stage_of(model))


def test_a_phase_without_tuning_trains_all_at_one_rate():
    told = Phase(name="finetune", kind="finetune", features=(), freeze_depth=0, learning_rate=RATE)
    model = tiny()
    start = model.get_weights()
    # Adam's first step moves every weight by the rate, whatever its gradient.
    model.compile(make_optimizer(told, model, stage_of(model)), "mse")
    model.train_on_batch(*(part.astype("float32") for part in BATCHES[0]))
    biases = zip(model.get_weights()[1::2], start[1::2], strict=True)
    assert all(np.allclose(abs(a - b), RATE, atol=1e-4) for a, b in biases)


def test_every_weight_has_its_stage_and_what_is_not_the_backbones_is_head():
    network = toy_network()
    stages = find_stages(network)
    zero = LinearClassifier(np.zeros((16, 2), np.float32), np.zeros(2, np.float32), 1.0, ())
    found = variables_by_stage(network, stages, classifier(network, stages[-1:], zero, 2))
    assert found["conv1/kernel"] == found["bn1/moving_mean"] == "stage1"
    assert found["side3/bias"] == "stage3"
    assert {path for path, stage in found.items() if stage == "head"} == {"logits/kernel", "logits/bias"}


def test_two_weights_of_one_path_are_an_error():
    network, inputs = toy_network(), keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2, name="conv1")(inputs))
    with pytest.raises(TrainingError, match="two weights have the path 'conv1/kernel'"):
        variables_by_stage(network, find_stages(network), model)


def test_steps_are_the_same_on_jax(jax_environment: dict[str, str]):
    """Of everything that takes steps what may differ between backends, again in a process of its own."""
    here = Path(__file__).parent
    chosen = "reference_does or joins_late or l2_sp_pulls or over_that_of_the_weight or what_follows_is"
    files = [here / f"test_{name}.py" for name in ("optimizers", "penalties", "gradients", "finder")]
    command = [sys.executable, "-m", "pytest", "-n", "0", "-k", chosen, "-v", *files]
    done = subprocess.run(command, cwd=here.parents[1], env=jax_environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "10 passed" in done.stdout
