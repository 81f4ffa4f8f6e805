from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transferkit.api.inputs import start
from transferkit.backbone.catalogue import lookup
from transferkit.backbone.weights import resolve
from transferkit.recipe import Recipe
from transferkit.strategies.augmenting import CHANGES
from transferkit.training.bank import Extractor
from transferkit.training.probes import stratified_folds
from transferkit.training.safety import measure_safety


def pictures(left: bool) -> np.ndarray:
    """Two classes, uint8 `(40, 32, 32, 3)`: bright left or right, or left and redder."""
    random = np.random.default_rng(0)
    images = random.integers(60, 90, (40, 32, 32, 3)).astype(np.uint8)
    images[::2, :, :12] += 120
    if left:
        images[1::2, :, 20:] += 120
    else:
        images[1::2, :, :12, 0] += 40
    return images


@pytest.fixture
def sided(extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> Extractor:
    """An extractor whose features tell left from right, as the toy's means do not."""
    import keras

    from transferkit.training import safety

    def halves(maps: Any, kind: str) -> Any:
        side = maps.shape[2] // 2
        both = [keras.ops.mean(half, axis=(1, 2)) for half in (maps[:, :, :side], maps[:, :, side:])]
        return keras.ops.concatenate(both, axis=-1)

    monkeypatch.setattr(safety, "pool", halves)
    return extractor


def test_mirroring_is_unsafe_where_sides_tell_the_classes(sided: Extractor):
    labels, folds = np.arange(40) % 2, np.arange(40) // 2 % 5
    found = measure_safety(sided, pictures(left=True), labels, folds)
    assert set(found) == set(CHANGES)
    assert found["mirror"].plain > 0.95 and found["mirror"].changed < 0.2
    assert not found["mirror"].safe
    assert found["upside-down"].safe and found["rotation"].safe and found["colour"].safe


def test_mirroring_is_safe_where_something_else_tells_them(extractor: Extractor):
    # Means over all places do not know the sides.
    labels, folds = np.arange(40) % 2, np.arange(40) // 2 % 5
    found = measure_safety(extractor, pictures(left=False), labels, folds)
    assert found["mirror"].plain > 0.95 and found["mirror"].safe


def digits(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """20 of each of scikit-learn's digits, enlarged to 96 px."""
    from sklearn.datasets import load_digits

    found = load_digits()
    rows = np.concatenate([random.permutation(np.flatnonzero(found.target == n))[:20] for n in range(10)])
    grey = (255 - found.images[rows] * 255 / 16).astype(np.uint8)
    return np.repeat(grey.repeat(12, 1).repeat(12, 2)[..., None], 3, 3), found.target[rows]


def letters(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """20 of each of eight letters, four of which are others mirrored, printed at many places and sizes."""
    from PIL import Image, ImageDraw, ImageFont

    images = []
    labels = np.arange(160) % 8
    for label in labels:
        sheet = Image.new("RGB", (96, 96), "white")
        size, left, top = random.integers((50, 5, 0), (70, 40, 20))
        ImageDraw.Draw(sheet).text((left, top), "bdpqesfz"[label], "black", ImageFont.load_default(int(size)))
        images.append(np.asarray(sheet))
    return np.stack(images), labels


@pytest.mark.parametrize("drawn", [digits, letters])
def test_what_is_written_must_not_be_mirrored(drawn: Any, shared_weights: Path):
    """Real weights: what `auto` measures on digits and on text."""
    spec = lookup("mobilenet_0.25")
    asked = Recipe.from_mapping({"backbone": spec.name, "image_size": 96})
    _, extractor = start(spec, resolve(spec, "imagenet", shared_weights), asked, "crop")
    images, labels = drawn(np.random.default_rng(0))
    found = measure_safety(extractor, images, labels, stratified_folds(labels, 5, 0))
    assert found["mirror"].plain > 0.7
    assert found["mirror"].unsafe and found["upside-down"].unsafe
