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


def test_an_epoch_without_numbers_is_not_kept():
    made = model(float("nan"), kernel=1.0)
    before = made.get_weights()
    best, why = tk.KeepBest(IMAGES, LABELS), tk.Diagnose(IMAGES, LABELS)
    made.fit(IMAGES, LABELS, epochs=2, verbose=0, callbacks=[best, why])
    assert best.kept == 0 and all((a == b).all() for a, b in zip(before, made.get_weights(), strict=True))
    assert why.findings[0].finding == "rate too high" and "from epoch 1 on" in why.findings[0].evidence


def test_a_dataset_is_judged_as_its_arrays_are():
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensor_slices((IMAGES, np.eye(2)[LABELS])).batch(16)
    kept = []
    for given in ((IMAGES, LABELS), (batches,)):
        made = model(0.5)
        best = tk.KeepBest(*given)
        made.fit(IMAGES, LABELS, epochs=2, shuffle=False, verbose=0, callbacks=[best])
        kept.append((best.kept, best.top1, made.get_weights()[0].tolist()))
    assert kept[0] == kept[1] and kept[0][0] == 2


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(tk.DataError, match="40 val images and 3 labels"):
        tk.KeepBest(IMAGES, LABELS[:3])
    with pytest.raises(tk.DataError, match=r"labels such as \['cat'\]"):
        tk.KeepBest(IMAGES[:1], ["cat"])
    with pytest.raises(tk.DataError, match="labels 1 to 2, and the model has 2 classes"):
        model(0.1).fit(IMAGES, LABELS, verbose=0, callbacks=[tk.KeepBest(IMAGES, LABELS + 1)])
    plain = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    plain.compile("sgd", "mse")
    with pytest.raises(tk.UsageError, match="end it with a softmax"):
        plain.fit(IMAGES, LABELS, verbose=0, callbacks=[tk.KeepBest(IMAGES, LABELS)])


@pytest.mark.parametrize(
    ("rate", "kernel", "epochs", "finding"),
    [
        (1e-9, 0.0, 4, "rate too low"),
        (300.0, 3.0, 4, "rate too high"),
        (0.5, 0.0, 4, "not finished"),
        (0.5, 0.0, 2, "sound"),  # of two epochs nothing is said
    ],
)
def test_curves_are_read(rate: float, kernel: float, epochs: int, finding: str):
    made, why = model(rate, kernel), tk.Diagnose(IMAGES, LABELS)
    told = LABELS if finding != "rate too high" else 1 - LABELS
    made.fit(IMAGES, told, epochs=epochs, verbose=0, callbacks=[why])
    assert finding in {one.finding for one in why.findings}, why.findings
    assert not any("--" in one.advice for one in why.findings)


def test_a_missing_metric_is_named():
    # Keras keeps the metrics of an earlier compile.
    dense = keras.layers.Dense(2, activation="softmax")
    made = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), dense])
    made.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(tk.UsageError, match="no accuracy in loss"):
        made.fit(IMAGES, LABELS, verbose=0, callbacks=[tk.Diagnose(IMAGES, LABELS)])


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
        made.fit(images, LABELS[:8], verbose=0, callbacks=[tk.KeepBest(images, LABELS[:8]), tk.FreezeProof()])
    made.compile("sgd", "sparse_categorical_crossentropy")
    proof = tk.FreezeProof()
    made.fit(images, LABELS[:8], verbose=0, callbacks=[proof])
    assert len(proof.moved) == 2 and len(proof.stayed) == len(network.weights)
