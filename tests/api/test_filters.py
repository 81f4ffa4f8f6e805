import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.ndimage import correlate

from tests.api.test_finetune import recipe
from transferkit.api import finetune
from transferkit.api.explaining import explain
from transferkit.api.filters import CHANNELS, EXCITING, colours_to
from transferkit.backbone.build import preprocess
from transferkit.cli import cli
from transferkit.data.decode import DecodePolicy, decode
from transferkit.runs import Run

pytestmark = [pytest.mark.told, pytest.mark.heat, pytest.mark.usefixtures("toy")]


GONE = "the images given: not one of the"


@pytest.fixture
def run(photos: Path, tmp_path: Path) -> Run:
    return finetune(photos, recipe(strategy="linear"), out=tmp_path / "run")


def peaks(run: Run, photos: Path, paths: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(kernel, highest response of each image to each channel) of the first convolution, by SciPy."""
    import keras

    network = keras.models.load_model(run.folder / "model.keras")
    layer = next(one for one in network.layers if type(one).__name__ == "Conv2D")
    before = keras.Model(network.input, layer.input)
    images = np.stack([decode(photos / path, DecodePolicy(size_px=32)) for path in paths])
    seen = np.asarray(before(images.astype("float32"), training=False), np.float64)
    kernel, bias = np.asarray(layer.kernel, np.float64), 0.0
    found = np.zeros((len(paths), kernel.shape[3]))
    stride, side = layer.strides[0], kernel.shape[0]
    assert layer.padding == "same" and side == 3
    if layer.use_bias:
        bias = np.asarray(layer.bias, np.float64)
    for channel in range(kernel.shape[3]):
        for number, image in enumerate(seen):
            maps = sum(correlate(image[..., c], kernel[..., c, channel], mode="constant") for c in range(3))
            # Keras pads nothing before and one after where the stride is 2 and the side even.
            offset = 1 if stride == 2 else 0
            found[number, channel] = maps[offset::stride, offset::stride].max()
    found += bias
    return kernel, found


def test_filters_are_those_of_the_first_convolution_with_the_train_images_that_excite_them_most(
    run: Run, photos: Path
):
    splits = json.loads((run.folder / "report.json").read_text())["data"]["counts"]
    found = explain(run, next(photos.rglob("*.png")), filters=True)
    assert found.ranked == found.kept == sum(splits["train"].values())
    assert f"beside the {found.kept} train images that the run keeps" in repr(found)
    train = [path for one in found.filters for path in one.images]
    frame = pd.read_csv(run.folder / "splits.csv")
    known = sorted(frame.loc[frame["split"] == "train", "path"])
    assert set(train) <= set(known) and sum(splits["train"].values()) == len(known)
    kernel, excited = peaks(run, photos, known)
    strength = np.abs(kernel).sum(axis=(0, 1, 2))
    assert [one.number for one in found.filters] == list(np.argsort(-strength, kind="stable")[:CHANNELS])
    for one in found.filters:
        highest = np.sort(excited[:, one.number])[::-1][:EXCITING]
        named = [excited[known.index(path), one.number] for path in one.images]
        assert named == pytest.approx(highest, rel=1e-4, abs=1e-4)


def test_where_the_train_images_are_gone_those_given_are_ranked_and_that_is_told(
    run: Run, photos: Path, tmp_path: Path
):
    image = next(photos.rglob("*.png"))
    kept = tmp_path / "kept.png"
    kept.write_bytes(image.read_bytes())
    photos.rename(photos.with_name("elsewhere"))
    out = tmp_path / "why.html"
    told = CliRunner().invoke(cli, ["explain", str(run.folder), str(kept), "--filters", "--out", str(out)])
    assert told.exit_code == 0 and GONE in told.stderr
    assert GONE in out.read_text() and "keeps for comparing" not in out.read_text()
    assert GONE in explain(run, kept, filters=True)._repr_html_()
    (photos / "red").mkdir(parents=True)
    for one in photos.with_name("elsewhere").glob("red/*.png"):
        (photos / "red" / one.name).write_bytes(one.read_bytes())
    found = explain(run, kept, filters=True)
    assert 0 < found.ranked < found.kept and f"beside {found.ranked} train images: the others" in repr(found)
    assert all(path.startswith("red/") for one in found.filters for path in one.images)


@pytest.mark.parametrize("convention", ["caffe", "tf", "torch", "in-model"])
def test_a_filter_is_drawn_in_the_colour_that_excites_it(convention: str):
    import keras

    inputs = keras.Input((8, 8, 3))
    padded = keras.layers.ZeroPadding2D(1)(preprocess(inputs, convention))
    convolution = keras.layers.Conv2D(3, 3, use_bias=False)
    network = keras.Model(inputs, convolution(padded))
    kernel = np.zeros((3, 3, 3, 3), np.float32)
    kernel[1, 1] = np.eye(3)  # each filter has one channel of what it gets
    convolution.set_weights([kernel])
    drawn = np.einsum("hwco,ic->hwio", kernel, colours_to(network, convolution))[1, 1]
    for channel in range(3):
        excited = [
            float(network(np.broadcast_to(np.float32(255) * pure, (1, 8, 8, 3)))[0, 4, 4, channel])
            for pure in np.eye(3)
        ]
        assert np.argmax(drawn[:, channel]) == np.argmax(excited)
        assert np.count_nonzero(drawn[:, channel]) == 1
