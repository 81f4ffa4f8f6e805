import importlib
from unittest import mock

import keras
import pytest

from transferkit.backbone.build import build
from transferkit.backbone.catalogue import BackboneSpec, every, lookup, names
from transferkit.backbone.cost import layer_costs
from transferkit.errors import UnknownName


def test_all_networks_of_keras_applications_are_there():
    builders = {name for name in vars(keras.applications) if name[0].isupper()}
    assert {spec.builder for spec in every()} == builders


def test_names_are_unique():
    assert len(set(names())) == len(names())


def test_an_unknown_name_is_told_with_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown backbone 'resnet-50'\. Did you mean 'resnet50'"):
        lookup("resnet-50")


class _Asked(Exception):
    pass


def _asked(spec: BackboneSpec, classifier: bool) -> tuple[str, str, str | None]:
    """What Keras would download: name, address, checksum."""

    def get_file(fname, origin=None, **rest):
        raise _Asked(fname, origin, rest.get("file_hash") or rest.get("md5_hash"))

    file_utils = importlib.import_module("keras.src.utils.file_utils")
    size = spec.image_size if "NASNetLarge" in spec.builder or "Xception" in spec.builder else 224
    with mock.patch.object(file_utils, "get_file", get_file), pytest.raises(_Asked) as asked:
        builder = getattr(keras.applications, spec.builder)
        builder(
            include_top=classifier,
            input_shape=None if classifier else (size, size, 3),
            **dict(spec.arguments),
        )
    return asked.value.args


@pytest.mark.parametrize("name", ["vgg16", "resnet50_v2", "mobilenet_0.25", "densenet121", "efficientnet_b0"])
def test_weight_files_are_those_that_keras_asks_for(name: str):
    spec = lookup(name)
    for file, classifier in ((spec.weights, False), (spec.weights_top, True)):
        assert (file.name, file.url, file.md5) == _asked(spec, classifier)


def test_resnet_v2_and_inception_take_299_px():
    # Their weights were trained at 299; at 224 ResNet50V2 loses some 6 points of ImageNet top-1.
    for name in ("resnet50_v2", "resnet101_v2", "resnet152_v2", "inception_v3", "inception_resnet_v2"):
        assert lookup(name).image_size == 299


def test_vgg16_costs_what_the_lecture_slide_says():
    costs = layer_costs(build(lookup("vgg16"), classifier=True))
    assert sum(cost.parameters for cost in costs) == 138_357_544
    assert lookup("vgg16").parameters == 14_714_688
    assert sum(cost.macs for cost in costs if cost.kind == "Conv2D") == 15_346_630_656
    first = next(cost for cost in costs if cost.name == "block1_conv1")
    assert (first.shape, first.activations, first.macs) == ((224, 224, 64), 3_211_264, 86_704_128)


def test_separable_grouped_and_dense_layers_are_counted_by_hand():
    inputs = keras.Input((8, 8, 4))
    layers = keras.layers
    x = layers.SeparableConv2D(6, 3, padding="same", use_bias=False)(inputs)  # 64 * (9*4 + 4*6)
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)(x)  # 16 * 9*6
    x = layers.Conv2D(4, 1, groups=2)(x)  # 16 * 3*4
    x = layers.Dense(5)(layers.Flatten()(x))  # 64*5
    macs = [cost.macs for cost in layer_costs(keras.Model(inputs, x)) if cost.macs]
    assert macs == [64 * 60, 16 * 54, 16 * 12, 320]
