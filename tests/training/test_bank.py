from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.conftest import draw, draw_classes, indexed
from transferkit import progress
from transferkit.data.decode import decode
from transferkit.data.index import Index
from transferkit.errors import DataError
from transferkit.timing import Stopwatch
from transferkit.training import bank
from transferkit.training.bank import Extractor, pooled_bank, predict


@pytest.fixture
def index(tmp_path: Path, own_cache: Path) -> Index:
    return indexed(draw_classes(tmp_path / "photos", 5), own_cache)


def test_pooled_features_are_the_means_of_each_stage(extractor: Extractor, index: Index):
    found = pooled_bank(extractor, index, Stopwatch())
    images = np.stack([decode(index.root / path, extractor.policy) for path in index.files["path"]])
    for stage in extractor.stages:
        part = keras.Model(extractor.network.input, extractor.network.get_layer(stage.cut).output)
        maps = np.asarray(part.predict_on_batch(images.astype("float32")))
        assert np.allclose(found.at([stage.name]), maps.mean((1, 2)), atol=1e-5)


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
    assert np.array_equal(first.features, second.features)


def test_renamed_files_are_known_and_only_new_ones_computed(extractor: Extractor, index: Index):
    first = pooled_bank(extractor, index, Stopwatch())
    (index.root / "red" / "000.png").rename(index.root / "red" / "renamed.png")
    draw(index.root / "red" / "new.png", (9, 9, 9), seed=77)
    later = indexed(index.root, extractor.cache)
    second = pooled_bank(extractor, later, Stopwatch())
    assert second.computed == 1
    row = list(later.files["path"]).index("red/renamed.png")
    old = list(index.files["path"]).index("red/000.png")
    assert np.array_equal(second.features[row], first.features[old])


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
    assert np.array_equal(found.features[10], found.features[-1])


def test_files_that_cannot_be_read_are_named_and_the_rest_goes_on(extractor: Extractor, index: Index):
    (index.root / "red" / "003.png").write_bytes(b"no image any more")
    found = pooled_bank(extractor, index, Stopwatch())
    assert list(found.failed) == ["red/003.png"]
    assert np.isfinite(found.features).all()
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
    shards = list((extractor.cache / "bank" / extractor.key).iterdir())
    assert len(shards) == 2
    assert np.array_equal(pooled_bank(extractor, index, Stopwatch()).features, whole.features)


def test_a_run_that_dies_leaves_no_shard_that_looks_whole(
    extractor: Extractor, index: Index, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bank.np, "save", _dies_at_the_second_call())
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


def test_a_broken_shard_is_computed_anew(extractor: Extractor, index: Index):
    whole = pooled_bank(extractor, index, Stopwatch())
    (shard,) = (extractor.cache / "bank" / extractor.key).iterdir()
    with (shard / "features.npy").open("r+b") as file:
        file.truncate(200)
    again = pooled_bank(extractor, index, Stopwatch())
    assert again.computed == 15
    assert np.array_equal(again.features, whole.features)


def test_two_processes_may_write_the_same_shard(extractor: Extractor, index: Index):
    folder = extractor.cache / "bank" / extractor.key
    for _ in range(2):
        bank._write_shard(folder, ["a" * 64], np.zeros((1, 36), np.float32))
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
