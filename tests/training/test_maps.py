from pathlib import Path

import keras
import numpy as np
import pytest

from tests.conftest import draw_classes
from transferkit.data.decode import decode
from transferkit.data.index import Index, index_folder
from transferkit.timing import Stopwatch
from transferkit.training.bank import Extractor
from transferkit.training.maps import map_bank


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return index_folder(draw_classes(tmp_path / "photos", 5))


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_maps_are_the_activations_at_the_cut(extractor: Extractor, index: Index, depth: int):
    found = map_bank(extractor, index, depth, 1.0, Stopwatch())
    assert found is not None
    images = np.stack([decode(index.root / path, extractor.policy) for path in index.files["path"]])
    expected = images.astype(np.float32)
    if depth:
        cut = extractor.network.get_layer(extractor.stages[depth - 1].cut).output
        stem = keras.Model(extractor.network.input, cut)
        expected = np.asarray(stem.predict_on_batch(expected))
    assert np.allclose(found.take(np.arange(15)), expected, atol=1e-4)


def test_broken_maps_are_computed_anew(extractor: Extractor, index: Index):
    whole = np.array(map_bank(extractor, index, 1, 1.0, Stopwatch()).maps)
    (file,) = (extractor.cache / "maps").iterdir()
    with file.open("r+b") as stream:
        stream.truncate(200)
    again = map_bank(extractor, index, 1, 1.0, Stopwatch())
    assert np.array_equal(again.maps, whole)


def test_maps_over_the_limit_are_not_kept(extractor: Extractor, index: Index):
    assert map_bank(extractor, index, 1, 0.0, Stopwatch()) is None


def test_old_maps_make_room_for_new_ones(extractor: Extractor, index: Index):
    size_gb = 15 * 16 * 16 * 8 * 4 / 1e9
    map_bank(extractor, index, 1, size_gb * 1.01, Stopwatch())
    (first,) = (extractor.cache / "maps").glob("*.npy")
    subset = Index(index.root, index.files.iloc[:14].reset_index(drop=True), index.excluded)
    map_bank(extractor, subset, 1, size_gb * 1.01, Stopwatch())
    subset = Index(index.root, index.files.iloc[1:].reset_index(drop=True), index.excluded)
    map_bank(extractor, subset, 1, size_gb * 1.01, Stopwatch())
    kept = list((extractor.cache / "maps").glob("*.npy"))
    assert len(kept) == 2
    assert first not in kept
