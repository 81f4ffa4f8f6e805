from typing import Any

import keras
import numpy as np
import pytest

from tests.conftest import toy_network
from transferkit.backbone.graph import find_stages
from transferkit.errors import TrainingError
from transferkit.training.gradients import relative_gradient_norms
from transferkit.training.linear import LinearClassifier
from transferkit.training.model import classifier, set_freeze_depth, tail
from transferkit.training.optimizers import variables_by_stage

RANDOM = np.random.default_rng(0)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
IMAGES = RANDOM.uniform(0, 255, (300, 32, 32, 3)).astype("float32")
LABELS = np.arange(300) % 2


def linear_model() -> Any:
    """Two dense layers without a curve and a zero bias."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    outputs = keras.layers.Dense(2, name="head")(keras.layers.Dense(3, name="stage1")(inputs))
    return keras.Model(inputs, outputs)


def test_the_norm_is_that_of_the_gradient_over_that_of_the_weight():
    model = linear_model()
    inputs, targets = RANDOM.normal(size=(2, 5, 4)), RANDOM.normal(size=(2, 5, 2))
    first, bias, second, last = (w.astype(np.float64) for w in model.get_weights())
    expected = []
    for x, y in zip(inputs, targets, strict=True):
        error = 2 * ((x @ first + bias) @ second + last - y) / y.size
        expected.append(np.linalg.norm(x.T @ error @ second.T) / np.linalg.norm(first))
    stage_of = {weight.path: weight.path.split("/")[0] for weight in model.weights}
    batches = zip(inputs, targets, strict=True)
    found = relative_gradient_norms(model, batches, stage_of=stage_of, loss=keras.losses.MeanSquaredError())
    assert found == pytest.approx({"stage1": np.mean(expected)}, rel=1e-5)


def toy_tail(depth: int) -> tuple[Any, dict[str, str]]:
    network = toy_network()
    stages = find_stages(network)
    kernel = RANDOM.normal(0, 0.3, (16, 2)).astype("float32")
    model = classifier(network, stages[-1:], LinearClassifier(kernel, np.zeros(2, np.float32), 1.0, ()), 2)
    set_freeze_depth(network, stages, depth)
    return tail(model, stages, 0), variables_by_stage(network, stages, model)


def test_nothing_moves_and_the_model_stays_compiled_as_it_was():
    model, stage_of = toy_tail(0)
    model.compile(optimizer := keras.optimizers.SGD(0.1), LOSS)
    before = model.get_weights()
    found = relative_gradient_norms(model, [(IMAGES[:8], LABELS[:8])], stage_of=stage_of, loss=LOSS)
    assert list(found) == ["stage1", "stage2", "stage3"]
    assert min(found.values()) > 0
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))
    assert model.optimizer is optimizer


def test_stages_that_do_not_train_have_no_norm():
    model, stage_of = toy_tail(2)
    found = relative_gradient_norms(model, [(IMAGES[:8], LABELS[:8])], stage_of=stage_of, loss=LOSS)
    assert list(found) == ["stage3"]
    model, stage_of = toy_tail(3)
    with pytest.raises(TrainingError, match="no kernel of the backbone trains"):
        relative_gradient_norms(model, [(IMAGES[:8], LABELS[:8])], stage_of=stage_of, loss=LOSS)


def test_256_images_are_taken_at_most():
    model, stage_of = toy_tail(2)
    taken = []

    def batches() -> Any:
        for start in range(0, 300, 100):
            taken.append(start)
            yield IMAGES[start : start + 100], LABELS[start : start + 100]
        raise AssertionError("a fourth batch was asked for")

    found = relative_gradient_norms(model, batches(), stage_of=stage_of, loss=LOSS)
    cut = [(IMAGES[a:b], LABELS[a:b]) for a, b in ((0, 100), (100, 200), (200, 256))]
    assert taken == [0, 100, 200]
    assert found == relative_gradient_norms(model, cut, stage_of=stage_of, loss=LOSS)
