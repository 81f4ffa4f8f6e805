import numpy as np
import pytest

from tests.conftest import toy_network
from transferkit.backbone.build import build
from transferkit.backbone.catalogue import lookup
from transferkit.backbone.graph import find_stages, output_of
from transferkit.strategies import FeatureSet
from transferkit.training import model as models
from transferkit.training.explain import gradcam
from transferkit.training.linear import LinearClassifier

IMAGES = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3)).astype(np.uint8)
ASKED = np.array([0, 1, 2, 0, 1])


@pytest.fixture
def loaded(tmp_path):
    """A classifier on means and deviations of two stages, saved and loaded afresh; the stages' cuts."""
    import keras

    network = toy_network()
    stages = find_stages(network)
    seen = FeatureSet(stages=("stage2", "stage3"), kinds=("means", "deviations"), normalised=True)
    width = 2 * (stages[1].channels + stages[2].channels)
    kernel = np.random.default_rng(0).normal(size=(width, 3)).astype(np.float32)
    fitted = LinearClassifier(kernel, np.zeros(3, np.float32), None, (), features=seen)
    models.classifier(network, stages, fitted, 3).save(tmp_path / "model.keras")
    return keras.models.load_model(tmp_path / "model.keras"), [stage.cut for stage in stages]


@pytest.mark.parametrize("stage", [1, 2])
def test_the_heat_is_that_of_slopes_taken_by_a_tape(loaded, stage: int):
    import keras
    import tensorflow as tf

    model, cuts = loaded
    found = gradcam(model, cuts[stage], IMAGES, ASKED)
    both = keras.Model(model.input, [output_of(model, cuts[stage]), model.get_layer("logits").output])
    for image, asked, heat in zip(IMAGES, ASKED, found, strict=True):
        with tf.GradientTape() as tape:
            maps, logits = both(image[None].astype(np.float32), training=False)
            logit = logits[0, asked]
        slopes = tape.gradient(logit, maps).numpy().mean(axis=(1, 2), keepdims=True)
        expected = np.maximum((maps.numpy() * slopes).sum(axis=-1), 0)[0]
        assert np.allclose(heat, expected / max(expected.max(), 1e-12), atol=1e-5)


def test_the_model_is_as_it_was(loaded):
    model, cuts = loaded
    for layer in model.layers:
        layer.trainable = layer.name != "bn1"
    before, trains = model.get_weights(), [layer.trainable for layer in model.layers]
    answers = model.predict_on_batch(IMAGES.astype(np.float32))
    gradcam(model, cuts[2], IMAGES, ASKED)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))
    assert [layer.trainable for layer in model.layers] == trains
    assert np.array_equal(model.predict_on_batch(IMAGES.astype(np.float32)), answers)


def test_heat_lies_in_0_to_1_and_no_image_is_no_heat(loaded):
    model, cuts = loaded
    found = gradcam(model, cuts[2], IMAGES, ASKED)
    assert found.shape == (5, 4, 4) and found.min() >= 0 and found.max() == 1
    assert len(gradcam(model, cuts[2], IMAGES[:0], ASKED[:0])) == 0


@pytest.mark.parametrize("name", ["mobilenet_0.25", "vgg16"])
def test_the_heat_of_a_real_network_is_that_of_its_heads_weights(name: str, tmp_path):
    """Behind means alone the slope along a channel is its weight; `benchmarks/report/families.py` has all."""
    import keras

    network = build(lookup(name), 64)
    last = find_stages(network)[-1]
    kernel = np.random.default_rng(1).normal(size=(last.channels, 3)).astype(np.float32)
    head = LinearClassifier(kernel, np.zeros(3, np.float32), None, ())
    models.classifier(network, [last], head, 3).save(tmp_path / "model.keras")
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    maps = np.asarray(keras.Model(network.input, output_of(network, last.cut))(images, training=False))
    heat = np.maximum(np.einsum("nhwc,ck->nkhw", maps, kernel), 0)
    asked = heat.max(axis=(2, 3)).argmax(axis=1)
    expected = heat[np.arange(2), asked]
    found = gradcam(keras.models.load_model(tmp_path / "model.keras"), last.cut, images, asked)
    assert found.max() == 1
    assert np.allclose(found, expected / expected.max(axis=(1, 2), keepdims=True), atol=1e-3)
