import keras
import numpy as np
import pytest

from tests.conftest import toy_network
from transferkit.backbone.build import build
from transferkit.backbone.catalogue import every, lookup
from transferkit.backbone.graph import find_cuts, find_stages, operations_in_order, split
from transferkit.errors import UsageError

# One of each family with an architecture of its own, small enough to build in a test.
FAMILIES = [
    "vgg16",
    "resnet50",
    "resnet50_v2",
    "inception_v3",
    "mobilenet_0.25",
    "mobilenet_v2_0.35",
    "mobilenet_v3_small",
    "densenet121",
    "xception",
    "nasnet_mobile",
    "efficientnet_b0",
    "efficientnet_v2_b0",
    "convnext_tiny",
]


def test_a_layer_beside_a_shortcut_is_no_cut():
    names = [operation.name for operation in find_cuts(toy_network())]
    assert names == [
        "image", "rescaling", "conv1", "bn1", "relu1", "add1", "conv2", "bn2", "relu2", "add2",
        "conv3", "bn3", "relu3", "add3",
    ]  # fmt: skip


def test_splitting_at_every_cut_gives_the_numbers_of_the_whole():
    network = toy_network()
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    whole = network.predict_on_batch(images)
    for cut in find_cuts(network)[1:-1]:
        first, second = split(network, cut.name)
        assert np.array_equal(second.predict_on_batch(first.predict_on_batch(images)), whole), cut.name


def test_splitting_beside_a_shortcut_is_refused_with_the_cuts_there_are():
    with pytest.raises(UsageError, match=r"'side2' of 'toy' is not a cut: .* add1, conv2"):
        split(toy_network(), "side2")


def test_the_parts_of_a_split_share_their_layers():
    network = toy_network()
    first, _ = split(network, "add1")
    assert first.get_layer("conv1") is network.get_layer("conv1")


def test_a_last_pooling_without_weights_belongs_to_the_stage_before():
    stages = find_stages(build(lookup("vgg16"), 64))
    assert [stage.cut for stage in stages][-2:] == ["block4_conv3", "block5_pool"]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_table_agrees_with_the_network(name: str):
    spec = lookup(name)
    network = build(spec)
    stages = find_stages(network)
    assert [(s.size_px, s.channels) for s in stages] == [stage[1:] for stage in spec.stages]
    assert network.output.shape[-1] == spec.width == stages[-1].channels
    assert network.count_params() == spec.parameters
    held = [layer for stage in stages for layer in stage.layers]
    assert sorted(held) == sorted(operation.name for operation in operations_in_order(network))


def test_every_backbone_has_a_stage_and_the_resolution_falls():
    for spec in every():
        sizes = [size for _, size, _ in spec.stages]
        assert sizes == sorted(sizes, reverse=True), spec.name
        assert len(set(sizes)) == len(sizes) >= 2, spec.name


def test_feature_widths_are_those_of_keras():
    # keras/src/applications/applications_test.py, MODEL_LIST
    widths = {"vgg16": 512, "resnet50": 2048, "inception_v3": 2048, "inception_resnet_v2": 1536}
    widths |= {"mobilenet": 1024, "mobilenet_v2": 1280, "mobilenet_v3_large": 960, "densenet121": 1024}
    widths |= {"densenet169": 1664, "densenet201": 1920, "xception": 2048, "nasnet_mobile": 1056}
    widths |= {"nasnet_large": 4032, "efficientnet_b0": 1280, "efficientnet_v2_b1": 1280}
    widths |= {"convnext_tiny": 768, "convnext_base": 1024}
    assert {name: lookup(name).width for name in widths} == widths


def test_keras_itself_is_not_changed_by_building():
    assert keras.config.dtype_policy().name == "float32"
