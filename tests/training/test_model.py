import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.backbone.test_graph import FAMILIES
from tests.conftest import indexed, toy_network
from transferkit.backbone.build import build
from transferkit.backbone.catalogue import lookup
from transferkit.backbone.graph import find_stages, output_of
from transferkit.data.decode import decode
from transferkit.strategies import FeatureSet
from transferkit.timing import Stopwatch
from transferkit.training.bank import Extractor, pooled_bank
from transferkit.training.linear import LinearClassifier, softmax
from transferkit.training.model import classifier, freeze_batch_norm, set_freeze_depth, tail
from transferkit.training.pooling import pool

IMAGES = np.random.default_rng(0).uniform(0, 255, (5, 32, 32, 3)).astype("float32")


def fitted(channels: int) -> LinearClassifier:
    random = np.random.default_rng(1)
    kernel, bias = random.normal(0, 0.3, (channels, 3)), random.normal(0, 1, 3)
    return LinearClassifier(kernel.astype(np.float32), bias.astype(np.float32), 1.0, ())


def test_the_model_gives_the_probabilities_of_the_classifier_on_several_stages():
    network = toy_network()
    stages = find_stages(network)
    head = fitted(8 + 16)
    model = classifier(network, [stages[0], stages[2]], head, 3)
    parts = [
        keras.Model(network.input, network.get_layer(s.cut).output).predict_on_batch(IMAGES).mean((1, 2))
        for s in (stages[0], stages[2])
    ]
    expected = softmax(np.concatenate(parts, 1) @ head.kernel + head.bias)
    assert np.allclose(model.predict_on_batch(IMAGES), expected, atol=1e-5)


def test_each_class_has_its_own_probability_where_an_image_may_have_several(tmp_path: Path):
    network = toy_network()
    head = replace(fitted(16), activation="sigmoid")
    model = classifier(network, find_stages(network)[-1:], head, 3)
    model.save(tmp_path / "model.keras")
    features = keras.Model(network.input, network.output).predict_on_batch(IMAGES).mean((1, 2))
    expected = 1 / (1 + np.exp(-(features @ head.kernel + head.bias)))
    found = keras.models.load_model(tmp_path / "model.keras").predict_on_batch(IMAGES)
    assert np.allclose(found, expected, atol=1e-5)
    assert np.allclose(head.probabilities(features), expected, atol=1e-6)


WIDE = FeatureSet(stages=("stage1", "stage3"), kinds=("means", "deviations", "grids"), normalised=True)


@pytest.mark.parametrize("normalised", [False, True])
def test_the_model_sees_what_the_bank_holds(extractor: Extractor, photos: Path, normalised: bool):
    index = indexed(photos, extractor.cache)
    features = replace(WIDE, normalised=normalised)
    taken = pooled_bank(extractor, index, Stopwatch()).at(features)
    head = replace(fitted((8 + 16) * 6), features=features)
    model = classifier(extractor.network, extractor.stages, head, 3)
    images = np.stack([decode(index.root / path, extractor.policy) for path in index.files["path"]])
    assert np.abs(head.probabilities(taken) - model.predict_on_batch(images)).max() < 1e-5


@pytest.mark.parametrize("side", [1, 3, 4, 7])
def test_quarters_overlap_by_one_where_the_side_is_odd(side: int):
    maps = np.random.default_rng(0).normal(size=(2, side, side, 5)).astype("float32")
    window, step = (side + 1) // 2, side // 2
    starts = [(0, 0), (0, step), (step, 0), (step, step)]
    expected = [maps[:, i : i + window, j : j + window].mean((1, 2)) for i, j in starts]
    inputs = keras.Input((side, side, 5))
    found = keras.Model(inputs, pool(inputs, "grids")).predict_on_batch(maps)
    assert np.allclose(found, np.concatenate(expected, axis=1), atol=1e-6)


def test_a_dead_channel_has_a_slope_that_is_finite():
    inputs = keras.Input((4, 4, 2))
    scaled = keras.layers.Dense(2, use_bias=False, kernel_initializer="identity")(inputs)
    outputs = keras.layers.UnitNormalization()(pool(scaled, "deviations"))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    model.fit(np.zeros((3, 4, 4, 2)), np.ones((3, 2)), verbose=0)
    assert np.isfinite(model.get_weights()[0]).all()


@pytest.mark.parametrize("features", [None, WIDE])
def test_the_saved_model_needs_nothing_of_ours(tmp_path: Path, features: FeatureSet | None):
    network = toy_network()
    stages = find_stages(network)
    head = replace(fitted((8 + 16) * 6), features=features) if features else fitted(16)
    model = classifier(network, stages if features else stages[-1:], head, 3)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", IMAGES)
    code = (
        "import sys, keras, numpy as np\n"
        "model = keras.models.load_model('model.keras', safe_mode=True)\n"
        "np.save('found.npy', model.predict_on_batch(np.load('images.npy')))\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'transferkit']\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    assert np.allclose(np.load(tmp_path / "found.npy"), model.predict_on_batch(IMAGES), atol=1e-6)


def test_freeze_depth_counts_stages_from_the_input():
    network = toy_network()
    set_freeze_depth(network, find_stages(network), 2)
    trains = {layer.name for layer in network.layers if layer.trainable_weights}
    assert trains == {"conv3", "bn3", "side3"}


def test_a_saved_model_that_is_trained_on_keeps_its_batch_norm():
    network = toy_network()
    model = classifier(network, find_stages(network)[-1:], fitted(16), 3)
    freeze_batch_norm(model)
    before = network.get_layer("bn2").get_weights()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(IMAGES, np.zeros(5), verbose=0)
    after = network.get_layer("bn2").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_can_be_pooled_cut_and_classified(name: str):
    spec = lookup(name)
    network = build(spec, 76 if name in ("inception_v3", "xception") else 64)
    stages = find_stages(network)
    if name in ("vgg16", "mobilenet_v2_0.35", "convnext_tiny"):
        features = replace(WIDE, stages=tuple(stage.name for stage in stages))
        head = replace(fitted(6 * sum(stage.channels for stage in stages)), features=features)
        assert classifier(network, stages, head, 3).output.shape == (None, 3)
    model = classifier(network, stages, fitted(sum(stage.channels for stage in stages)), 3)
    size = network.input.shape[1]
    images = np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype("float32")
    # Called, not `predict_on_batch`: to trace these networks takes longer than to run them.
    assert model(images, training=False).shape == (2, 3)
    depth = len(stages) - 1
    last = classifier(network, stages[-1:], fitted(stages[-1].channels), 3)
    stem = keras.Model(network.input, output_of(network, stages[depth - 1].cut))
    logits = tail(last, stages, depth)(stem(images, training=False), training=False)
    assert np.allclose(softmax(np.asarray(logits)), last(images, training=False), atol=1e-4)
