"""Pairs of a large set are kept, and only of the same set."""

from pathlib import Path

import numpy as np
import pytest

from transferkit import progress
from transferkit.data import pair_cache
from transferkit.data.duplicates import describe
from transferkit.data.pair_cache import pairs_of


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Ten pictures, the last a copy of the first but for a little noise."""
    monkeypatch.setattr(pair_cache, "WORTH_BYTES", 0)
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (9, 8, 8, 3)).repeat(4, axis=1).repeat(4, axis=2)
    copy = np.clip(coarse[:1] + random.integers(-2, 3, coarse[:1].shape), 0, 255)
    return describe(np.concatenate([coarse, copy]).astype(np.uint8))


def refuse(marks: np.ndarray) -> None:
    raise AssertionError("compared again")


def test_the_same_marks_are_compared_once(marks: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = pairs_of(marks, tmp_path)
    assert [(pair.first, pair.second) for pair in first] == [(0, 9)]
    monkeypatch.setattr(pair_cache, "find_pairs", refuse)
    assert pairs_of(marks, tmp_path) == first


def test_other_marks_are_compared(marks: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pairs_of(marks, tmp_path)
    assert pairs_of(marks[:9], tmp_path) == []
    monkeypatch.setattr(pair_cache, "PAIRS_VERSION", 0)
    monkeypatch.setattr(pair_cache, "find_pairs", refuse)
    with pytest.raises(AssertionError, match="compared again"):
        pairs_of(marks, tmp_path)


def test_a_broken_file_is_told_and_made_anew(
    marks: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    whole = pairs_of(marks, tmp_path)
    (file,) = (tmp_path / "pairs").glob("*.npy")
    file.write_bytes(file.read_bytes()[:100])
    progress.show()
    assert pairs_of(marks, tmp_path) == whole
    assert "is broken" in capsys.readouterr().err
    assert len(np.load(file)) == 1


def test_the_oldest_sets_make_room(marks: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pair_cache, "KEPT", 2)
    for rows in (10, 9, 8):
        pairs_of(marks[:rows], tmp_path)
    assert len(list((tmp_path / "pairs").iterdir())) == 2


def test_a_cache_that_cannot_be_written_costs_only_time(
    marks: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "pairs").touch()
    progress.show()
    assert len(pairs_of(marks, tmp_path)) == 1
    assert "cannot be written" in capsys.readouterr().err
