import json
import zipfile
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
from transferkit.training.model import classifier, set_freeze_depth, tail
from transferkit.training.penalties import add_l2_sp, kernels_of, loss_for, remove_l2_sp

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(0, 255, (6, 32, 32, 3)).astype("float32")
LABELS = np.arange(6) % 2


def phase(**tuning: Any) -> Phase:
    return Phase(
        name="finetune", kind="finetune", features=("stage3",), freeze_depth=1,
        tuning=Tuning(stages=("stage2", "stage3"), **tuning),
    )  # fmt: skip


def model_and_tail(dropout: float = 0.0, seed: int = 3) -> tuple[Any, Any]:
    """A toy classifier whose last two stages train, and its tail from the images on."""
    network = toy_network()
    stages = find_stages(network)
    kernel = np.random.default_rng(1).normal(0, 0.3, (16, 2)).astype("float32")
    model = classifier(network, stages[-1:], LinearClassifier(kernel, np.zeros(2, np.float32), 1.0, ()), 2)
    set_freeze_depth(network, stages, 1)
    return model, tail(model, stages, 0, dropout=dropout, seed=seed)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def test_smooth_labels_share_a_part_of_the_target_with_all_classes():
    logits = np.array([[2.0, 0.0, -1.0], [0.5, 1.0, 0.0]])
    targets = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])  # 0.7 of 1, and a third of 0.3 for each
    loss = loss_for(phase(label_smoothing=0.3), multilabel=False, classes=3)
    expected = -(targets * log_softmax(logits)).sum(1).mean()
    assert float(loss(np.array([0, 1]), logits)) == pytest.approx(expected, rel=1e-6)


def test_smooth_labels_of_several_classes_share_with_the_other_answer():
    logits, labels = np.array([[2.0, -1.0]]), np.array([[1.0, 0.0]])
    targets = np.array([[0.9, 0.1]])  # 0.8 and half of 0.2
    expected = np.mean(np.logaddexp(0, logits) - targets * logits)
    loss = loss_for(phase(label_smoothing=0.2), multilabel=True, classes=2)
    assert float(loss(labels, logits)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("multilabel", [False, True])
def test_weights_of_images_are_summed_and_divided_by_the_images(smoothing: float, multilabel: bool):
    logits, numbers, weights = RANDOM.normal(size=(2, 3)), np.array([2, 0]), np.array([0.5, 3.0])
    labels = np.eye(3)[numbers] if multilabel else numbers
    loss = loss_for(phase(label_smoothing=smoothing), multilabel=multilabel, classes=3)
    each = [float(loss(labels[i : i + 1], logits[i : i + 1])) for i in range(2)]
    expected = (0.5 * each[0] + 3.0 * each[1]) / 2
    assert float(loss(labels, logits, sample_weight=weights)) == pytest.approx(expected, rel=1e-5)


def test_a_phase_that_smooths_nothing_has_the_plain_loss():
    logits = RANDOM.normal(size=(2, 3))
    loss = loss_for(phase(), multilabel=False, classes=3)
    expected = -log_softmax(logits)[[0, 1], [2, 0]].mean()
    assert float(loss(np.array([2, 0]), logits)) == pytest.approx(expected, rel=1e-5)


def one_step(weight: float) -> tuple[dict[str, np.ndarray], float]:
    """Weights after a step of plain gradient descent away from the anchors, and its loss."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    features = keras.layers.Dense(5, name="second")(keras.layers.Dense(4, name="first")(inputs))
    backbone = keras.Model(inputs, features)
    trained = keras.Model(inputs, keras.layers.Dense(2, name="logits")(features))
    backbone.get_layer("first").trainable = False
    anchors = {path: values - 0.1 for path, values in kernels_of(backbone).items()}
    add_l2_sp(trained, weight, anchors)
    trained.compile(keras.optimizers.SGD(0.01), loss_for(phase(), multilabel=False, classes=2))
    points = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    logs = trained.train_on_batch(points, LABELS, return_dict=True)
    return {w.path: w.numpy() for w in trained.weights}, float(logs["loss"])


def test_l2_sp_pulls_the_kernels_of_the_backbone_that_train_and_nothing_else():
    free, free_loss = one_step(0.0)
    pulled, loss = one_step(0.5)
    # The kernel of 20 weights stands 0.1 from its anchor: the gradient is 0.5 * 0.1, the step 0.01 of that.
    for path in free:
        expected = -0.01 * 0.5 * 0.1 if path == "second/kernel" else 0.0
        assert np.allclose(pulled[path] - free[path], expected, atol=1e-6), path
    assert loss - free_loss == pytest.approx(0.5 / 2 * 0.1**2 * 20, rel=1e-4)


def test_what_is_pulled_at_nothing_is_an_error():
    _, trained = model_and_tail()
    with pytest.raises(TrainingError, match=r"l2_sp 0.1 pulls at nothing"):
        add_l2_sp(trained, 0.1, {})


def test_nothing_of_a_penalty_or_dropout_is_saved(tmp_path: Path):
    model, trained = model_and_tail(dropout=0.5)
    add_l2_sp(trained, 0.5, kernels_of(toy_network()))
    trained.compile("sgd", loss_for(phase(label_smoothing=0.1), multilabel=False, classes=2))
    trained.train_on_batch(IMAGES, LABELS)
    assert trained.losses
    model.save(tmp_path / "model.keras")
    config = json.loads(zipfile.ZipFile(tmp_path / "model.keras").read("config.json"))
    layers = config["config"]["layers"]
    assert "Dropout" not in {layer["class_name"] for layer in layers}
    assert all(not layer["config"].get("kernel_regularizer") for layer in layers)
    assert not keras.models.load_model(tmp_path / "model.keras", compile=False).losses


def test_a_penalty_can_be_taken_back():
    _, trained = model_and_tail()
    add_l2_sp(trained, 0.5, kernels_of(toy_network()))
    assert len(trained.losses) == 4
    remove_l2_sp(trained)
    assert trained.losses == []


def logits(trained: Any, training: bool) -> np.ndarray:
    return keras.ops.convert_to_numpy(trained(IMAGES, training=training))


def test_dropout_is_of_training_only_and_keeps_the_mean():
    _, plain = model_and_tail()
    _, dropped = model_and_tail(dropout=0.5)
    expected = logits(plain, False)
    assert np.array_equal(logits(dropped, False), expected)
    draws = np.stack([logits(dropped, True) for _ in range(64)])
    assert draws.std(axis=0).min() > 0
    assert np.allclose(draws.mean(axis=0), expected, atol=5 * draws.std() / 8)


def test_dropout_is_drawn_from_its_seed():
    first, second, other = (model_and_tail(dropout=0.5, seed=seed)[1] for seed in (3, 3, 4))
    drawn = logits(first, True)
    assert np.array_equal(drawn, logits(second, True))
    assert not np.array_equal(drawn, logits(other, True))
    assert not np.array_equal(logits(first, True), logits(first, True))
