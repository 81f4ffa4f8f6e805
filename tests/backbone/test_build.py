import keras
import numpy as np
import pytest

from transferkit.backbone.build import build, preprocess
from transferkit.backbone.catalogue import every, lookup

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype("float32")
MODULES = {"caffe": "vgg16", "tf": "mobilenet_v2", "torch": "densenet", "in-model": "efficientnet"}


@pytest.mark.parametrize("convention", MODULES)
def test_preprocessing_equals_that_of_keras(convention: str):
    inputs = keras.Input((8, 8, 3))
    ours = keras.Model(inputs, keras.layers.Identity()(preprocess(inputs, convention))).predict_on_batch(
        IMAGES
    )
    theirs = getattr(keras.applications, MODULES[convention]).preprocess_input(IMAGES.copy())
    assert np.abs(ours - theirs).max() <= 1e-5


def test_the_table_names_the_convention_that_keras_uses_for_each_builder():
    conventions = {spec.builder: spec.preprocessing for spec in every()}
    modules = {
        "VGG19": "vgg19", "ResNet101": "resnet", "ResNet101V2": "resnet_v2", "InceptionV3": "inception_v3",
        "InceptionResNetV2": "inception_resnet_v2", "MobileNet": "mobilenet", "Xception": "xception",
        "MobileNetV3Small": "mobilenet_v3", "DenseNet201": "densenet", "NASNetLarge": "nasnet",
        "EfficientNetV2S": "efficientnet_v2", "ConvNeXtBase": "convnext",
    }  # fmt: skip
    for builder, module in modules.items():
        theirs = getattr(keras.applications, module).preprocess_input(IMAGES.copy())
        inputs = keras.Input((8, 8, 3))
        layer = keras.layers.Identity()(preprocess(inputs, conventions[builder]))
        ours = keras.Model(inputs, layer).predict_on_batch(IMAGES)
        assert np.abs(ours - theirs).max() <= 1e-5, builder


def test_preprocessing_is_the_first_part_of_the_network():
    network = build(lookup("mobilenet_0.25"), 32)
    bare = keras.applications.MobileNet(alpha=0.25, include_top=False, weights=None, input_shape=(32, 32, 3))
    bare.set_weights(network.get_weights())
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    prepared = keras.applications.mobilenet.preprocess_input(images.copy())
    assert np.allclose(network.predict_on_batch(images), bare.predict_on_batch(prepared), atol=1e-5)


def test_a_network_with_a_channel_flip_survives_saving(tmp_path):
    network = build(lookup("vgg16"), 32)
    network.save(tmp_path / "whole.keras")
    again = keras.models.load_model(tmp_path / "whole.keras")
    images = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype("float32")
    assert np.array_equal(network.predict_on_batch(images), again.predict_on_batch(images))
