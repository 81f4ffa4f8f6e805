import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transferkit import progress
from transferkit.errors import DataError
from transferkit.training import state
from transferkit.training.state import (
    Progress,
    Snapshot,
    StateFile,
    StateFolder,
    restore,
    snapshot,
    write_whole,
)

KEPT = Snapshot([np.arange(3, dtype=np.float32), np.array([[7]], np.int64)], [np.array(5, np.int64)])
HALF = Progress(
    learning_rate=1e-3 / 3, batch_size=8, start=(0.1 + 0.2, 1.5), attempt=2,
    rows=[{"epoch": 1, "loss": 1e-17}],
    earlier=[{"epoch": 1, "loss": float("nan"), "top1": None}], notes=["été"], best_epoch=1,
    best=[np.ones(2)], joined={"conv1/kernel": 4},
)  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> StateFile:
    return StateFolder(tmp_path, "digest").of(2)


def same(first: Any, second: Any) -> bool:
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_state_comes_back_to_the_bit(file: StateFile):
    file.write(HALF, KEPT)
    found = file.read()
    assert found is not None
    told, arrays = found
    assert str(told) == str(HALF)  # NaN is not equal to itself
    assert told.best is not None and HALF.best is not None and same(told.best, HALF.best)
    assert same(arrays.model, KEPT.model) and same(arrays.optimizer, KEPT.optimizer)
    assert [path.name for path in file.path.parent.iterdir()] == ["state-2.npz"]


def test_a_start_that_is_best_has_no_weights(file: StateFile):
    file.write(replace(HALF, best=None, done=True), Snapshot([], []))
    found = file.read()
    assert found is not None and found[0].best is None and found[0].done


def test_there_may_be_none(file: StateFile):
    assert file.read() is None


def test_the_state_of_another_plan_is_refused(file: StateFile):
    file.write(HALF, KEPT)
    with pytest.raises(DataError, match="the state of another recipe or plan"):
        replace(file, digest="other").read()


@pytest.mark.parametrize("keep", [0, 100, -200])
def test_a_broken_state_is_told_and_not_taken_up(file: StateFile, keep: int, capsys: Any):
    file.write(HALF, KEPT)
    file.path.write_bytes(file.path.read_bytes()[:keep])
    progress.show()
    assert file.read() is None
    assert "is broken" in capsys.readouterr().err


def test_a_process_that_dies_while_it_writes_leaves_the_older_state(
    file: StateFile, monkeypatch: pytest.MonkeyPatch
):
    file.write(HALF, KEPT)

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        file.write(replace(HALF, attempt=3), KEPT)
    found = file.read()
    assert found is not None and found[0].attempt == 2


def test_a_full_disk_is_told_and_training_goes_on(
    file: StateFile, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(state, "write_whole", full)
    progress.show()
    file.write(HALF, KEPT)
    assert "no space left on device" in capsys.readouterr().err


def test_a_file_is_whole_or_not_there(tmp_path: Path):
    def half(stream: Any) -> None:
        stream.write(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_whole(tmp_path / "a", half)
    assert not list(tmp_path.iterdir())


def network() -> Any:
    import keras

    inputs = keras.Input((4,))
    outputs = keras.layers.Dense(2)(keras.layers.Dropout(0.5, seed=3)(inputs))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "mse")
    return model


def test_weights_seeds_and_optimizer_are_restored():
    model = network()
    inputs, targets = np.ones((8, 4), np.float32), np.zeros((8, 2), np.float32)
    model.train_on_batch(inputs, targets)
    kept = snapshot(model)
    first = [model.train_on_batch(inputs, targets) for _ in range(2)]
    restore(model, kept)
    assert [model.train_on_batch(inputs, targets) for _ in range(2)] == first
    other = network()
    restore(other, kept)
    assert [other.train_on_batch(inputs, targets) for _ in range(2)] == first


def test_the_state_of_another_network_is_refused():
    model = network()
    with pytest.raises(DataError, match="another network or optimizer"):
        restore(model, Snapshot([np.zeros(3)], []))
