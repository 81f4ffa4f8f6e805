from pathlib import Path

import keras
import numpy as np
import pytest

from transferkit import progress
from transferkit.backbone.build import build
from transferkit.backbone.catalogue import lookup
from transferkit.data.decode import DecodePolicy, decode_batch
from transferkit.training import statistics
from transferkit.training.bank import Extractor
from transferkit.training.statistics import batchnorm_distances, source_confidence


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (21, 32, 32, 3)).astype(np.uint8)


def inputs_of(network: keras.Model, name: str, images: np.ndarray) -> np.ndarray:
    part = keras.Model(network.input, network.get_layer(name).input)
    return np.asarray(part.predict_on_batch(images.astype("float32")), dtype=np.float64)


def test_distance_is_the_median_over_channels_of_the_shift_in_deviations(
    extractor: Extractor, images: np.ndarray
):
    found = batchnorm_distances(extractor.network, images)
    assert list(found) == ["bn1", "bn2", "bn3"]
    for name, distance in found.items():
        values = inputs_of(extractor.network, name, images)
        layer = extractor.network.get_layer(name)
        m0, s0 = np.asarray(layer.moving_mean), np.sqrt(np.asarray(layer.moving_variance))
        m, s = values.mean(axis=(0, 1, 2)), values.std(axis=(0, 1, 2))
        assert distance == pytest.approx(np.median(np.sqrt((m - m0) ** 2 + (s - s0) ** 2) / s0), rel=1e-4)


def test_images_whose_statistics_are_stored_lie_at_zero(extractor: Extractor, images: np.ndarray):
    for name in ("bn1", "bn2", "bn3"):
        # One after the other: each changes what the next one sees.
        values = inputs_of(extractor.network, name, images)
        layer = extractor.network.get_layer(name)
        layer.set_weights([*layer.get_weights()[:2], values.mean(axis=(0, 1, 2)), values.var(axis=(0, 1, 2))])
    assert max(batchnorm_distances(extractor.network, images).values()) < 1e-4


def test_channels_that_never_varied_are_left_out(extractor: Extractor, images: np.ndarray):
    layer = extractor.network.get_layer("bn1")
    before = batchnorm_distances(extractor.network, images)["bn1"]
    gamma, beta, mean, variance = layer.get_weights()
    variance[:3] = 1e-20
    layer.set_weights([gamma, beta, mean, variance])
    found = batchnorm_distances(extractor.network, images)["bn1"]
    assert found != before and found < 100
    layer.set_weights([gamma, beta, mean, np.zeros_like(variance)])
    assert "bn1" not in batchnorm_distances(extractor.network, images)


def test_networks_without_batch_norm_and_no_images_tell_nothing(extractor: Extractor, images: np.ndarray):
    plain = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(2, 3)])
    assert batchnorm_distances(plain, images) == {}
    assert batchnorm_distances(extractor.network, images[:0]) == {}


def test_deep_networks_are_measured_at_a_few_layers_from_first_to_last(
    images: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(statistics, "LAYERS", 4)
    inputs = x = keras.Input((32, 32, 3))
    for number in range(10):
        x = keras.layers.BatchNormalization(name=f"bn{number}")(x)
    assert list(batchnorm_distances(keras.Model(inputs, x), images)) == ["bn0", "bn3", "bn6", "bn9"]


def test_no_more_images_are_taken_than_are_needed(extractor: Extractor, images: np.ndarray):
    many = np.concatenate([images] * 6 + [images[:2], 0 * images])
    few = batchnorm_distances(extractor.network, many[:128])
    assert batchnorm_distances(extractor.network, many) == few


def test_a_real_graph_is_measured():
    # Also tried, too slow to be kept: NASNetMobile, DenseNet121, ResNet50, MobileNetV3; VGG16 and ConvNeXt
    # have no BatchNorm and give {}.
    network = build(lookup("efficientnet_b0"), 32)
    found = batchnorm_distances(network, np.full((2, 32, 32, 3), 90, np.uint8))
    assert len(found) == 16
    assert all(np.isfinite(list(found.values())))


def test_the_source_classifier_is_asked_only_where_its_file_is(
    tmp_path: Path, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(statistics, "build", None)
    spec = lookup("mobilenet_0.25")
    assert source_confidence(spec, None, images) is None
    assert source_confidence(spec, tmp_path / spec.weights.name, images) is None


def test_a_broken_file_of_the_source_classifier_ends_nothing(
    tmp_path: Path, images: np.ndarray, capsys: pytest.CaptureFixture[str]
):
    spec = lookup("mobilenet_0.25")
    (tmp_path / spec.weights_top.name).write_bytes(b"no weights")
    progress.show()
    large = np.zeros((1, 128, 128, 3), np.uint8)
    assert source_confidence(spec, tmp_path / spec.weights.name, large) is None
    assert "no confidence of the ImageNet classifier" in capsys.readouterr().err


@pytest.mark.real
def test_photographs_of_things_are_near_imagenet_and_satellite_pictures_far(
    shared_data: Path, shared_weights: Path
):
    from transferkit.backbone.weights import load, resolve

    spec = lookup("mobilenet_0.25")
    file = resolve(spec, "imagenet", shared_weights)
    assert file is not None
    network = build(spec, 224)
    load(network, spec, file)
    found = {}
    for name, folder in (("bees", "hymenoptera/train/bees"), ("satellite", "satellite")):
        paths = sorted((shared_data / folder).rglob("*.jpg"))
        pictures = decode_batch(paths[:: len(paths) // 32][:32], DecodePolicy(size_px=224))
        top = source_confidence(spec, file, pictures)
        assert top is not None
        distances = batchnorm_distances(network, pictures)
        found[name] = (np.mean(list(distances.values())), *top)
    (near, sure, spread), (far, unsure, wide) = found["bees"], found["satellite"]
    assert near < 0.2 and far > 0.35
    assert sure > unsure + 0.1 and spread < wide - 0.1
