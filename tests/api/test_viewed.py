"""Test-time views of a run's model, against crops cut by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.api.test_finetune import recipe
from transferkit.api import finetune, predict
from transferkit.api.prediction import load_model
from transferkit.cli import cli
from transferkit.data.decode import DecodePolicy, decode
from transferkit.evaluation.views import SCALES, passes


def by_hand(file: Path, side: int, views: str) -> list[list[np.ndarray]]:
    """The crops of a picture, by scale: as it is, or its corners and middle, each with its mirror."""
    if views == "flip":
        whole = [decode(file, DecodePolicy(size_px=side))]
        return [[each for crop in whole for each in (crop, crop[:, ::-1])]]
    found = []
    for factor in SCALES:
        larger = round(side * factor)
        image = decode(file, DecodePolicy(size_px=side).whole_at(larger))
        assert image.shape == (larger, larger, 3)
        rest = larger - side
        places = {(0, 0), (0, rest), (rest, 0), (rest, rest), (rest // 2, rest // 2)}
        crops = [image[row : row + side, column : column + side] for row, column in places]
        found.append([each for crop in crops for each in (crop, crop[:, ::-1])])
    return found


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(("views", "count"), [("flip", 2), ("multiscale", 42)])
def test_views_are_the_mean_of_the_logits_of_their_crops(
    photos: Path, tmp_path: Path, views: str, count: int
):
    run = finetune(photos, recipe(strategy="linear"), out=tmp_path / "run")
    files, side = sorted(photos.rglob("*.png"))[:6], int(run.plan["image_size"])
    model, logits = load_model(run), []
    for file in files:
        scales = by_hand(file, side, views)
        assert sum(map(len, scales)) == count == passes(views, side)
        each = [np.log(model.predict_on_batch(np.stack(crops).astype(np.float32))) for crops in scales]
        logits.append(np.mean([one.mean(axis=0) for one in each], axis=0))  # each scale counts alike
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    frame, failed = predict(run, files, views=views)
    assert not failed and np.allclose(frame["p"], expected.max(axis=1), atol=1e-4)
    told = CliRunner().invoke(cli, ["predict", str(run.folder), str(files[0]), "--views", views, "--json"])
    assert json.loads(told.stdout)["passes"] == count
    assert f"views: {views}, {count} forward passes an image instead of 1" in told.stderr
