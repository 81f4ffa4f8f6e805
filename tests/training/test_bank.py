import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.conftest import draw, draw_classes, indexed
from transferkit import progress
from transferkit.data.decode import decode
from transferkit.data.index import Index
from transferkit.errors import DataError
from transferkit.strategies import FeatureSet
from transferkit.timing import Stopwatch
from transferkit.training import bank, shards
from transferkit.training.bank import Extractor, pooled_bank, predict

STAGES = ("stage1", "stage2", "stage3")
ALL = FeatureSet(stages=STAGES, kinds=("means", "deviations", "grids"))


@pytest.fixture
def index(tmp_path: Path, own_cache: Path) -> Index:
    return indexed(draw_classes(tmp_path / "photos", 5), own_cache)


def test_each_stage_gives_means_deviations_and_the_means_of_quarters(extractor: Extractor, index: Index):
    found = pooled_bank(extractor, index, Stopwatch())
    images = np.stack([decode(index.root / path, extractor.policy) for path in index.files["path"]])
    for stage in extractor.stages:
        part = keras.Model(extractor.network.input, extractor.network.get_layer(stage.cut).output)
        maps = np.asarray(part.predict_on_batch(images.astype("float32")))
        middle = stage.size_px // 2  # 16, 8 and 4: quarters of even maps do not overlap
        halves = slice(None, middle), slice(middle, None)
        quarters = [maps[:, rows, columns].mean((1, 2)) for rows in halves for columns in halves]
        expected = maps.mean((1, 2)), maps.std((1, 2)), np.concatenate(quarters, axis=1)
        for kind, values in zip(("means", "deviations", "grids"), expected, strict=True):
            one = found.at(FeatureSet(stages=(stage.name,), kinds=(kind,)))
            assert np.allclose(one, values, atol=1e-5), kind


def test_normalised_features_have_unit_length_by_stage_and_kind(extractor: Extractor, index: Index):
    found = pooled_bank(extractor, index, Stopwatch())
    both = FeatureSet(stages=("stage1", "stage3"), kinds=("means", "deviations"), normalised=True)
    assert found.block_widths(both) == (8, 8, 16, 16)
    parts = np.split(found.at(both), [8, 16, 32], axis=1)
    assert np.allclose([np.linalg.norm(part, axis=1) for part in parts], 1, atol=1e-5)


def test_kinds_that_are_not_asked_for_are_not_read(
    extractor: Extractor, index: Index, monkeypatch: pytest.MonkeyPatch
):
    found = pooled_bank(extractor, index, Stopwatch())
    read: list[str] = []
    load = np.load
    monkeypatch.setattr(shards.np, "load", lambda path, **how: read.append(path.name) or load(path, **how))
    found.at(["stage2"], np.array([1, 2]))
    assert read == ["means.npy"]


def test_a_bank_that_is_gone_is_told(extractor: Extractor, index: Index):
    found = pooled_bank(extractor, index, Stopwatch())
    shutil.rmtree(extractor.cache / "bank")
    with pytest.raises(DataError, match="bank has changed while it was used.*Run the command again"):
        found.at(["stage1"])


def test_stages_come_in_the_order_asked(extractor: Extractor, index: Index):
    found = pooled_bank(extractor, index, Stopwatch())
    rows = np.array([3, 1])
    both = found.at(["stage3", "stage1"], rows)
    assert both.shape == (2, 16 + 8)
    assert np.array_equal(both[:, :16], found.at(["stage3"])[rows])


def test_a_second_bank_computes_nothing(extractor: Extractor, index: Index, monkeypatch: pytest.MonkeyPatch):
    first = pooled_bank(extractor, index, Stopwatch())
    monkeypatch.setattr(bank, "decode_chunks", None)
    monkeypatch.setattr(bank, "predict", None)
    second = pooled_bank(extractor, index, Stopwatch())
    assert (first.computed, second.computed) == (15, 0)
    assert np.array_equal(first.at(ALL), second.at(ALL))


def test_renamed_files_are_known_and_only_new_ones_computed(extractor: Extractor, index: Index):
    first = pooled_bank(extractor, index, Stopwatch())
    (index.root / "red" / "000.png").rename(index.root / "red" / "renamed.png")
    draw(index.root / "red" / "new.png", (9, 9, 9), seed=77)
    later = indexed(index.root, extractor.cache)
    second = pooled_bank(extractor, later, Stopwatch())
    assert second.computed == 1
    row = list(later.files["path"]).index("red/renamed.png")
    old = list(index.files["path"]).index("red/000.png")
    assert np.array_equal(second.at(ALL)[row], first.at(ALL)[old])


def test_other_weights_have_another_bank(
    extractor: Extractor, index: Index, reseeded: Callable[[int], Extractor]
):
    pooled_bank(extractor, index, Stopwatch())
    assert pooled_bank(reseeded(1), index, Stopwatch()).computed == 15


def test_equal_files_are_computed_once(extractor: Extractor, index: Index):
    copy = index.root / "red" / "copy.png"
    copy.write_bytes((index.root / "red" / "000.png").read_bytes())
    found = pooled_bank(extractor, indexed(index.root, extractor.cache), Stopwatch())
    assert found.computed == 15
    assert np.array_equal(found.at(ALL)[10], found.at(ALL)[-1])


def test_files_that_cannot_be_read_are_named_and_the_rest_goes_on(extractor: Extractor, index: Index):
    (index.root / "red" / "003.png").write_bytes(b"no image any more")
    found = pooled_bank(extractor, index, Stopwatch())
    assert list(found.failed) == ["red/003.png"]
    assert np.isfinite(found.at(ALL)).all()
    again = pooled_bank(extractor, index, Stopwatch())
    assert again.failed == found.failed


def test_nothing_readable_is_an_error(extractor: Extractor, index: Index):
    for path in index.files["path"]:
        (index.root / path).write_bytes(b"no image any more")
    with pytest.raises(DataError, match="not one of 15 files could be read"):
        pooled_bank(extractor, index, Stopwatch())


def test_memory_is_bounded_by_shards(extractor: Extractor, index: Index, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bank, "SHARD_IMAGES", 8)
    whole = pooled_bank(extractor, index, Stopwatch())
    written = list((extractor.cache / "bank" / extractor.key).iterdir())
    assert len(written) == 2
    assert np.array_equal(pooled_bank(extractor, index, Stopwatch()).at(ALL), whole.at(ALL))


def test_a_run_that_dies_leaves_no_shard_that_looks_whole(
    extractor: Extractor, index: Index, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shards.np, "save", _dies_at_the_second_call())
    with pytest.raises(OSError):
        pooled_bank(extractor, index, Stopwatch())
    monkeypatch.undo()
    assert not list((extractor.cache / "bank" / extractor.key).glob("*.shard"))


def _dies_at_the_second_call() -> Callable[..., None]:
    calls: list[int] = []
    save = np.save

    def dying(*arguments: object) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise OSError("disk full")
        save(*arguments)  # type: ignore[arg-type]

    return dying


def test_predicting_pads_the_last_batch_and_drops_the_padding(extractor: Extractor):
    images = np.random.default_rng(0).uniform(0, 255, (11, 32, 32, 3)).astype("float32")
    whole = np.asarray(extractor.network.predict_on_batch(images))
    assert np.allclose(predict(extractor.network, images, 4), whole, atol=1e-4)


@pytest.mark.parametrize("kind", ["means", "grids"])
def test_a_broken_shard_is_computed_anew(extractor: Extractor, index: Index, kind: str):
    whole = pooled_bank(extractor, index, Stopwatch()).at(ALL)
    (shard,) = (extractor.cache / "bank" / extractor.key).iterdir()
    with (shard / f"{kind}.npy").open("r+b") as file:
        file.truncate(200)
    again = pooled_bank(extractor, index, Stopwatch())
    assert again.computed == 15
    assert np.array_equal(again.at(ALL), whole)


def test_two_processes_may_write_the_same_shard(extractor: Extractor, index: Index):
    folder = extractor.cache / "bank" / extractor.key
    for _ in range(2):
        shards.write_shard(folder, ["a" * 64], {kind: np.zeros((1, 36)) for kind in shards.KINDS})
    assert len(list(folder.iterdir())) == 1


def test_out_of_memory_halves_the_batch_and_the_rest_goes_on(extractor: Extractor, capsys):
    class ResourceExhaustedError(Exception):
        """Named as TensorFlow's."""

    class Small:
        def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
            if len(images) > 3:
                raise ResourceExhaustedError
            return images * 2

    progress.show()
    inputs = np.arange(11.0)[:, None]
    assert np.array_equal(predict(Small(), inputs, 8), inputs * 2)
    assert "out of memory; going on with batches of 2" in capsys.readouterr().err


def test_a_long_bank_is_kept_piece_by_piece(
    photos: Path, extractor: Extractor, own_cache: Path, monkeypatch: pytest.MonkeyPatch
):
    index = indexed(photos, own_cache)
    whole = pooled_bank(replace(extractor, cache=own_cache / "other"), index, Stopwatch())
    chunks = []

    def dying(*arguments: Any) -> Any:
        for chunk in original(*arguments):
            chunks.append(chunk)
            if len(chunks) == 4:
                raise KeyboardInterrupt
            yield chunk

    original = bank.decoded
    monkeypatch.setattr(bank, "SHARD_SECONDS", 0.0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(bank, "decoded", dying)
        pooled_bank(extractor, index, Stopwatch())
    rest = pooled_bank(extractor, index, Stopwatch())
    assert rest.computed == len(index.files) - 3 * extractor.batch_size
    stages = tuple(whole.widths)
    assert np.array_equal(rest.at(stages), whole.at(stages))
