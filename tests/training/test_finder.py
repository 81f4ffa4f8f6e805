import random
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

from transferkit.training.finder import find_rate, suggest
from transferkit.training.interrupting import Interrupt


def ready(images: int = 32) -> tuple[Any, list[tuple[np.ndarray, np.ndarray]]]:
    """A compiled network with dropout and a head of zeros, and batches of two classes."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((4,))
    x = keras.layers.Dense(16, "relu")(x)
    x = keras.layers.Dropout(0.2, seed=1)(x)
    model = keras.Model(inputs, keras.layers.Dense(2, kernel_initializer="zeros")(x))
    labels = np.arange(images) % 2
    points = np.random.default_rng(0).normal(0, 1, (images, 4)) + labels[:, None]
    batches = [(points[i : i + 8].astype("float32"), labels[i : i + 8]) for i in range(0, images, 8)]
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, batches


def state(model: Any) -> list[np.ndarray]:
    variables = [*model.variables, *model.optimizer.variables]
    return [np.array(variable.numpy()) for variable in variables]


class Drawing(list[Any]):
    """Batches that draw random numbers as they come."""

    def __iter__(self) -> Iterator[Any]:
        for batch in super().__iter__():
            random.random(), np.random.random()
            yield batch


def test_it_leaves_no_trace():
    model, batches = ready()
    model.train_on_batch(*batches[0])
    keras.utils.set_random_seed(7)
    before = state(model)
    drawn = random.random(), np.random.random(), keras.random.uniform((3,))
    keras.utils.set_random_seed(7)
    find_rate(model, Drawing(batches))
    assert all(np.array_equal(a, b) for a, b in zip(state(model), before, strict=True))
    assert drawn[:2] == (random.random(), np.random.random())
    assert np.array_equal(drawn[2], keras.random.uniform((3,)))
    assert any("seed" in variable.path for variable in model.variables)


def test_ctrl_c_ends_it_after_the_step():
    model, batches = ready()
    assert len(find_rate(model, batches, Interrupt(asked=True)).rates) == 0


def test_what_follows_is_as_without_it():
    results = []
    for finds in (False, True):
        model, batches = ready()
        if finds:
            find_rate(model, batches)
        losses = [model.train_on_batch(*batch) for batch in batches]
        results.append([*state(model), np.array(losses)])
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def test_rates_grow_by_a_factor_until_the_loss_is_four_times_its_best():
    model, batches = ready()
    found = find_rate(model, batches)
    # 4 batches: 40 steps, from 1e-6 to 1.
    steps = np.diff(np.log10(found.rates))
    assert found.rates[0] == pytest.approx(1e-6)
    assert np.allclose(steps, 6 / 39)
    assert len(found.losses) == len(found.rates) <= 40
    assert max(found.losses) <= 4 * min(found.losses)
    assert found.losses[0] == pytest.approx(np.log(2), rel=1e-5)  # a zero head guesses
    assert found.suggestion is not None and 1e-5 < found.suggestion <= 1e-1


def pretend(monkeypatch: pytest.MonkeyPatch, model: Any, starts: list[float], losses: list[float]) -> None:
    """Losses of the batches at the start and of the steps."""
    each, steps = iter(starts), iter(losses)
    monkeypatch.setattr(model, "test_on_batch", lambda *batch, return_dict: {"loss": next(each)})
    monkeypatch.setattr(model, "train_on_batch", lambda *batch, return_dict: {"loss": next(steps)})


def test_the_loss_is_smoothed_and_ends_where_it_is_not_finite(monkeypatch: pytest.MonkeyPatch):
    model, batches = ready()
    pretend(monkeypatch, model, [1.0] * 4, [1.0, 0.8, 0.6, float("nan")])
    found = find_rate(model, batches)
    # Weights 1, 0.9, 0.81 of the past: 1 / 1, (0.9 + 0.8) / 1.9, (0.81 + 0.72 + 0.6) / 2.71.
    assert found.losses == pytest.approx((1.0, 1.7 / 1.9, 2.13 / 2.71))
    assert len(found.rates) == 3


def test_a_loss_of_four_times_the_best_ends_it(monkeypatch: pytest.MonkeyPatch):
    model, batches = ready()
    # Smoothed: 1, 1, then (0.81 + 0.9 + 8) / 2.71 = 3.6, then (0.9 * 9.71 + 8) / 3.439 = 4.9.
    pretend(monkeypatch, model, [1.0] * 4, [1.0, 1.0, 8.0, 8.0, 8.0])
    assert find_rate(model, batches).losses == pytest.approx((1.0, 1.0, 9.71 / 2.71))


def test_a_hard_batch_does_not_look_like_a_bad_rate(monkeypatch: pytest.MonkeyPatch):
    model, batches = ready()
    pretend(monkeypatch, model, [1.0, 3.0, 1.0, 3.0], [1.0, 3.0, 0.5, 1.5, float("nan")])
    losses = find_rate(model, batches).losses
    # A mean batch costs 2: at first all of it, then of (0.81 + 2.7 + 1) weighed parts the last is halved.
    assert losses[:2] == pytest.approx((2.0, 2.0))
    assert losses[2] == pytest.approx(2 * (0.81 + 2.7 + 0.5) / (0.81 + 2.7 + 1.0))
    assert losses[3] < losses[2]


def test_it_takes_a_hundred_steps_at_most(monkeypatch: pytest.MonkeyPatch):
    model, batches = ready(8)
    pretend(monkeypatch, model, [1.0] * 160, [1.0] * 160)
    assert len(find_rate(model, batches * 300).rates) == 100
    assert len(find_rate(model, batches * 60).rates) == 60


def test_a_tenth_of_the_rate_of_the_lowest_loss_is_suggested():
    assert suggest((1e-4, 1e-3, 1e-2, 1e-1), (1.0, 0.9, 0.5, 0.8)) == pytest.approx(1e-3)


def test_nothing_is_suggested_where_the_loss_never_fell():
    assert suggest((1e-4, 1e-3), (1.0, 1.1)) is None
    assert suggest((), ()) is None
