"""What Keras' own `fit` is given."""

from typing import Any

import keras
import numpy as np
import pytest

import transferkit as tk
from tests.conftest import toy_network

RANDOM = np.random.default_rng(0)
LABELS = np.arange(40) % 2
# The first channel tells the class.
IMAGES = RANDOM.uniform(0, 255, (40, 4, 4, 3)).astype("float32")
IMAGES[..., 0] = np.where(LABELS[:, None, None], 200, 50) + RANDOM.normal(0, 20, (40, 4, 4))


def model(rate: float, kernel: float = 0.0) -> Any:
    """Means of the channels to two probabilities."""
    start = np.array([[-kernel, kernel], [0, 0], [0, 0]])
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs))
    dense = keras.layers.Dense(2, activation="softmax", name="head")
    made = keras.Model(inputs, dense(x))
    dense.set_weights([start, np.zeros(2)])
    made.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


def test_the_best_epoch_is_kept_of_those_that_beat_the_start():
    made, best = model(0.5), tk.KeepBest(IMAGES[:20], LABELS[:20], batch_size=8)
    told = made.fit(
        IMAGES, LABELS, validation_data=(IMAGES[:20], LABELS[:20]), epochs=5, verbose=0, callbacks=[best]
    )
    lowest = int(np.argmin(told.history["val_loss"])) + 1
    assert best.kept == lowest and best.top1 == 1.0
    loss, right = made.evaluate(IMAGES[:20], LABELS[:20], verbose=0)
    assert np.isclose(loss, min(told.history["val_loss"]), atol=1e-5) and right == 1


def test_the_start_comes_back_where_no_epoch_is_better():
    made = model(1e4, kernel=5.0)
    before = made.get_weights()
    best = tk.KeepBest(IMAGES, LABELS)
    swapped = 1 - LABELS
    made.fit(IMAGES, swapped, epochs=2, verbose=0, callbacks=[best])
    assert best.kept == 0 and best.top1 == 1.0
    assert all((old == new).all() for old, new in zip(before, made.get_weights(), strict=True))


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(tk.DataError, match="40 val images and 3 labels"):
        tk.KeepBest(IMAGES, LABELS[:3])
    plain = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    plain.compile("sgd", "mse")
    with pytest.raises(tk.UsageError, match="end it with a softmax"):
        plain.fit(IMAGES, LABELS, verbose=0, callbacks=[tk.KeepBest(IMAGES, LABELS)])


def test_curves_are_read_and_what_is_missing_is_named():
    made, why = model(1e-9), tk.Diagnose(val_images=40)
    made.fit(IMAGES, LABELS, validation_data=(IMAGES, LABELS), epochs=3, verbose=0, callbacks=[why])
    assert why.findings and "underfitting" in {one.finding for one in why.findings}
    with pytest.raises(tk.UsageError, match="no val_loss in accuracy, loss"):
        made.fit(IMAGES, LABELS, verbose=0, callbacks=[tk.Diagnose(val_images=40)])


def test_a_layer_that_was_frozen_too_late_is_found_out():
    network = toy_network()
    outputs = keras.layers.Dense(2, activation="softmax")(
        keras.layers.GlobalAveragePooling2D()(network.output)
    )
    made = keras.Model(network.input, outputs)
    images = RANDOM.uniform(0, 255, (8, 32, 32, 3))
    made.compile("sgd", "sparse_categorical_crossentropy")
    made.fit(images, LABELS[:8], verbose=0)
    network.trainable = False
    with pytest.raises(tk.TrainingError, match="weights of frozen layers moved"):
        made.fit(images, LABELS[:8], verbose=0, callbacks=[tk.FreezeProof()])
    made.compile("sgd", "sparse_categorical_crossentropy")
    proof = tk.FreezeProof()
    made.fit(images, LABELS[:8], verbose=0, callbacks=[proof])
    assert len(proof.moved) == 2 and len(proof.stayed) == len(network.weights)
