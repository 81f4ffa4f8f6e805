import os
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tests.conftest import draw_classes, indexed
from transferkit import progress
from transferkit.data.decode import decode
from transferkit.data.index import Index
from transferkit.errors import DataError
from transferkit.timing import Stopwatch
from transferkit.training.bank import Extractor
from transferkit.training.maps import Limits, MapBank, map_bank

IMAGES = 15
SIZE = IMAGES * 16 * 16 * 8 * 4  # bytes of float32 maps behind the toy's first stage
DISK = Limits(1.0, 0)
JUST_DISK, JUST_MEMORY = 1.001 * SIZE / 1e9, SIZE


@pytest.fixture
def index(tmp_path: Path, own_cache: Path) -> Index:
    return indexed(draw_classes(tmp_path / "photos", 5), own_cache)


def banked(extractor: Extractor, index: Index, limits: Limits, depth: int = 1) -> MapBank:
    found = map_bank(extractor, index, depth, limits, Stopwatch())
    assert found is not None
    return found


def on_disk(extractor: Extractor) -> list[Path]:
    return list((extractor.cache / "maps").iterdir())


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_maps_are_the_activations_at_the_cut(extractor: Extractor, index: Index, depth: int):
    found = banked(extractor, index, DISK, depth)
    images = np.stack([decode(index.root / path, extractor.policy) for path in index.files["path"]])
    expected = images.astype(np.float32)
    if depth:
        cut = extractor.network.get_layer(extractor.stages[depth - 1].cut).output
        stem = keras.Model(extractor.network.input, cut)
        expected = np.asarray(stem.predict_on_batch(expected))
    assert np.allclose(found.take(np.arange(15)), expected, atol=1e-4)


def test_broken_maps_are_computed_anew(extractor: Extractor, index: Index):
    whole = np.array(banked(extractor, index, DISK).maps)
    (file,) = (extractor.cache / "maps").iterdir()
    with file.open("r+b") as stream:
        stream.truncate(200)
    assert np.array_equal(banked(extractor, index, DISK).maps, whole)


def test_maps_that_fit_are_kept_in_memory_and_on_disk(extractor: Extractor, index: Index):
    found = banked(extractor, index, Limits(JUST_DISK, JUST_MEMORY))
    assert not isinstance(found.maps, np.memmap)
    (file,) = on_disk(extractor)
    assert np.array_equal(np.load(file), found.maps)


def test_maps_over_the_memory_are_read_from_disk_and_told(extractor: Extractor, index: Index, capsys):
    progress.show()
    found = banked(extractor, index, Limits(JUST_DISK, JUST_MEMORY - 1))
    assert isinstance(found.maps, np.memmap)
    assert "activations are read from disk, not kept in memory" in capsys.readouterr().err


@pytest.mark.parametrize("disk_gb", [0.0, JUST_DISK * 0.99])
def test_without_disk_maps_are_kept_in_memory_alone(extractor: Extractor, index: Index, disk_gb: float):
    found = banked(extractor, index, Limits(disk_gb, JUST_MEMORY))
    assert not isinstance(found.maps, np.memmap)
    assert on_disk(extractor) == []
    assert np.array_equal(found.maps, banked(extractor, index, DISK).maps)


def test_half_of_the_free_disk_is_left_free(
    extractor: Extractor, index: Index, monkeypatch: pytest.MonkeyPatch
):
    free = SimpleNamespace(free=2 * SIZE - 2)
    monkeypatch.setattr("transferkit.training.maps.shutil.disk_usage", lambda folder: free)
    assert map_bank(extractor, index, 1, DISK, Stopwatch()) is None
    free.free = 2 * SIZE
    assert len(banked(extractor, index, DISK).maps) == IMAGES


def test_maps_that_fit_nowhere_are_not_kept(extractor: Extractor, index: Index, capsys):
    progress.show()
    assert map_bank(extractor, index, 1, Limits(0.0, JUST_MEMORY - 1), Stopwatch()) is None
    assert "over the limit; computed anew each epoch" in capsys.readouterr().err
    assert on_disk(extractor) == []


@pytest.mark.parametrize("limits", [DISK, Limits(0.0, JUST_MEMORY)])
def test_equal_files_share_one_map(extractor: Extractor, index: Index, limits: Limits):
    copy = index.root / "red" / "copy.png"
    copy.write_bytes((index.root / "red" / "000.png").read_bytes())
    found = banked(extractor, indexed(index.root, extractor.cache), limits)
    assert len(found.maps) == IMAGES
    assert found.rows[10] == found.rows[15]


@pytest.mark.parametrize("limits", [DISK, Limits(0.0, JUST_MEMORY)])
def test_files_that_break_meanwhile_are_an_error(extractor: Extractor, index: Index, limits: Limits):
    (index.root / "red" / "003.png").write_bytes(b"no image any more")
    with pytest.raises(DataError, match="files changed while they were used"):
        map_bank(extractor, index, 1, limits, Stopwatch())
    assert on_disk(extractor) == []


def test_known_maps_are_not_computed_again(
    extractor: Extractor, index: Index, monkeypatch: pytest.MonkeyPatch
):
    whole = np.array(banked(extractor, index, DISK).maps)
    monkeypatch.setattr("transferkit.training.maps.decoded", None)
    assert np.array_equal(banked(extractor, index, DISK).maps, whole)


def test_old_maps_make_room_for_new_ones(extractor: Extractor, index: Index):
    limits = Limits(JUST_DISK, 0)
    banked(extractor, index, limits)
    (first,) = on_disk(extractor)
    subset = Index(index.root, index.files.iloc[:14].reset_index(drop=True), index.excluded)
    banked(extractor, subset, limits)
    subset = Index(index.root, index.files.iloc[1:].reset_index(drop=True), index.excluded)
    banked(extractor, subset, limits)
    kept = on_disk(extractor)
    assert len(kept) == 2
    assert first not in kept


def test_what_a_killed_process_left_is_removed_in_time(extractor: Extractor, index: Index):
    folder = extractor.cache / "maps"
    folder.mkdir(parents=True)
    old, young = folder / "a.1.writing", folder / "b.2.writing"
    for file in (old, young):
        file.write_bytes(b"half")
    os.utime(old, (0, 0))
    banked(extractor, index, DISK)
    assert not old.exists() and young.exists()


def test_maps_that_are_there_are_taken_though_the_disk_has_filled(extractor: Extractor, index: Index):
    first = banked(extractor, index, DISK)
    assert np.array_equal(banked(extractor, index, Limits(0.0, 0)).maps, first.maps)
