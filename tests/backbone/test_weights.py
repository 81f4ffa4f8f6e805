import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import keras
import numpy as np
import pytest

from transferkit.backbone import weights as weights_module
from transferkit.backbone.build import build
from transferkit.backbone.catalogue import WeightsFile, lookup
from transferkit.backbone.weights import fingerprint, load, locate, places, resolve, verify
from transferkit.errors import WeightsError

SPEC = lookup("mobilenet_0.25")
IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same random MobileNet in every format: bare, with its classifier, and for EfficientNet."""
    folder = tmp_path_factory.mktemp("weights")
    top = keras.applications.MobileNet(alpha=0.25, weights=None)
    bare = keras.applications.MobileNet(alpha=0.25, weights=None, include_top=False, input_shape=(32, 32, 3))
    bare.set_weights(top.get_weights()[: len(bare.get_weights())])
    for layer in bare.layers:
        if "bn" in layer.name:
            layer.moving_mean.assign(np.full(layer.moving_mean.shape, 0.1))
    top.set_weights(bare.get_weights() + top.get_weights()[len(bare.get_weights()) :])
    for name, model in (("bare", bare), ("top", top)):
        keras_legacy(model, folder / f"{name}.h5")
        model.save_weights(folder / f"{name}.weights.h5")
        model.save(folder / f"{name}.keras")
    return folder


def keras_legacy(model: keras.Model, path: Path) -> None:
    """The HDF5 layout that keras.applications publishes."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{weight.name}:0".encode() for weight in layer.weights]
            group.attrs["weight_names"] = names
            for name, values in zip(names, layer.get_weights(), strict=True):
                group.create_dataset(name.decode(), data=values)


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras"])
@pytest.mark.parametrize("kind", ["bare", "top"])
def test_every_format_gives_the_same_network(files: Path, kind: str, suffix: str):
    network = build(SPEC, 32)
    load(network, SPEC, files / f"{kind}{suffix}")
    expected = keras.models.load_model(files / "bare.keras").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(network.get_weights(), expected, strict=True))


def test_weights_of_another_network_are_refused_and_their_owner_named(files: Path):
    spec = lookup("mobilenet_0.5")
    with pytest.raises(WeightsError) as error:
        load(build(spec, 32), spec, files / "bare.h5")
    assert "do not fit backbone mobilenet_0.5" in str(error.value)
    assert "holds 218,544 values, mobilenet_0.5 needs 829,536" in str(error.value)
    assert "They fit mobilenet_0.25." in str(error.value)


def test_a_file_that_is_no_weights_file_is_refused(tmp_path: Path):
    (tmp_path / "page.h5").write_text("<html>proxy login</html>")
    with pytest.raises(WeightsError, match="page.h5: not a readable weights file"):
        load(build(SPEC, 32), SPEC, tmp_path / "page.h5")


def test_efficientnet_gives_the_numbers_of_keras_own_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spec = lookup("efficientnet_b0")
    donor = keras.applications.EfficientNetB0(weights=None, include_top=False)
    donor.layers[2].set_weights([np.full(3, 0.45), np.full(3, 0.05), np.array(0)])
    keras_legacy(donor, tmp_path / "b0.h5")
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *a, **k: str(tmp_path / "b0.h5"))
    theirs = keras.applications.EfficientNetB0(include_top=False, input_shape=(32, 32, 3))
    ours = build(spec, 32)
    load(ours, spec, tmp_path / "b0.h5")
    expected = theirs.predict_on_batch(IMAGES)
    assert np.allclose(ours.predict_on_batch(IMAGES), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_places_are_searched_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folders = [tmp_path / name for name in ("given", "environment", "home/models")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / SPEC.weights.name).touch()
    monkeypatch.setenv("TRANSFERKIT_WEIGHTS", str(folders[1]))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    assert [place.folder for place in places(folders[0])] == folders
    for folder in folders:
        assert locate(SPEC, folders[0]) == folder / SPEC.weights.name
        (folder / SPEC.weights.name).unlink()
    assert locate(SPEC, folders[0]) is None


def test_offline_the_network_is_never_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def asked(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(weights_module, "download", asked)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TRANSFERKIT_WEIGHTS", raising=False)
    with pytest.raises(WeightsError, match=r"not asked \(--offline\)"):
        resolve(SPEC, "imagenet", tmp_path, offline=True)
    (tmp_path / SPEC.weights.name).touch()
    assert resolve(SPEC, "imagenet", tmp_path, offline=True) == tmp_path / SPEC.weights.name
    with pytest.raises(WeightsError, match=f"no such folder .* put {SPEC.weights.name} into it"):
        resolve(SPEC, "imagenet", tmp_path / "gone", offline=True)


def test_none_means_random_weights():
    assert resolve(SPEC, "none", None) is None


@pytest.mark.parametrize(
    ("weights", "words"), [("imagnet", "neither 'imagenet' nor 'none'"), ("no/such.h5", "no such file")]
)
def test_a_word_or_file_that_is_not_there_is_refused(weights: str, words: str):
    with pytest.raises(WeightsError, match=words):
        resolve(SPEC, weights, None)


def test_weights_that_cannot_be_had_are_told_with_all_that_was_tried_and_the_ways_out(tmp_path: Path):
    spec = replace(SPEC, weights=WeightsFile(name="w.h5", url="http://127.0.0.1:9/w.h5", md5=None))
    with pytest.raises(WeightsError) as error:
        resolve(spec, "imagenet", tmp_path)
    for words in (
        str(tmp_path),
        "Keras' cache",
        "127.0.0.1:9",
        "--weights-dir",
        "--weights FILE",
        "--weights none",
    ):
        assert words in str(error.value)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    (tmp_path / "served").mkdir()
    handler = partial(Quiet, directory=tmp_path / "served")
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_weights_are_downloaded_once_checked_and_kept_where_keras_looks(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "served" / "w.h5").write_bytes(b"weights")
    md5 = hashlib.md5(b"weights").hexdigest()
    spec = replace(SPEC, weights=WeightsFile(name="w.h5", url=f"{server}/w.h5", md5=md5))
    path = resolve(spec, "imagenet", None)
    assert path == places(None)[-1].folder / "w.h5"
    assert path.read_bytes() == b"weights"
    (tmp_path / "served" / "w.h5").unlink()
    assert resolve(spec, "imagenet", None) == path


def test_a_download_of_other_bytes_is_refused_and_not_kept(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "served" / "w.h5").write_bytes(b"<html>")
    spec = replace(SPEC, weights=WeightsFile(name="w.h5", url=f"{server}/w.h5", md5="0" * 32))
    with pytest.raises(WeightsError, match="Expected md5:0000"):
        resolve(spec, "imagenet", None)
    assert not list(places(None)[-1].folder.glob("*"))


def test_verify_tells_whole_broken_and_unknown_files_apart(tmp_path: Path):
    vgg = lookup("vgg16")
    good = replace(vgg, weights=replace(vgg.weights, md5=hashlib.md5(b"x").hexdigest()))
    for file in (vgg.weights, vgg.weights_top, SPEC.weights):
        (tmp_path / file.name).write_bytes(b"x")
    assert [each.verdict for each in verify((good, SPEC), tmp_path)] == ["ok", "differs", "no checksum"]


def test_the_fingerprint_is_of_the_values():
    first, second = build(SPEC, 32), build(SPEC, 64)
    assert fingerprint(first) != fingerprint(second)
    second.set_weights(first.get_weights())
    assert fingerprint(first) == fingerprint(second)


@pytest.mark.real
def test_real_weights_name_real_pictures(shared_weights: Path, shared_data: Path):
    import pandas as pd

    from transferkit.data.decode import DecodePolicy, decode

    network = build(SPEC, classifier=True)
    network.load_weights(shared_weights / SPEC.weights_top.name)
    sample = pd.read_csv(shared_data / "imagenet_sample" / "classes.csv").head(60)
    files = [shared_data / "imagenet_sample" / name for name in sample.iloc[:, 0]]
    images = np.stack([decode(file, DecodePolicy(size_px=224)) for file in files])
    found = network.predict_on_batch(images).argmax(1)
    # MobileNet 0.25 has 49.8% on ImageNet; wrong preprocessing gives under 10%.
    assert np.mean(found == sample.iloc[:, 1]) >= 0.45
