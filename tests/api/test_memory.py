from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.api.test_finetune import recipe
from transferkit import progress
from transferkit.api import finetune
from transferkit.runs import Run
from transferkit.training import feeding
from transferkit.training.maps import MapBank


@pytest.fixture
def banks(monkeypatch: pytest.MonkeyPatch) -> list[MapBank]:
    """The banks of activations that runs of this test are given."""
    given: list[MapBank] = []
    original = feeding.map_bank

    def map_bank(*arguments: Any) -> MapBank | None:
        found = original(*arguments)
        assert found is not None
        given.append(found)
        return found

    monkeypatch.setattr(feeding, "map_bank", map_bank)
    return given


def run_with(limit: object, photos: Path, folder: Path) -> Run:
    asked = recipe(strategy="finetune-top", limit_memory=limit, learning_rate=3e-3)
    return finetune(photos, asked, out=folder / f"run-{limit}")


@pytest.mark.usefixtures("toy")
def test_without_memory_activations_are_read_from_disk_with_the_same_result(
    photos: Path, tmp_path: Path, banks: list[MapBank], capsys: pytest.CaptureFixture[str]
):
    progress.show(True)
    told, runs = [], []
    for limit in (0, "auto"):
        runs.append(run_with(limit, photos, tmp_path))
        told.append("are read from disk, not kept in memory" in capsys.readouterr().err)
    assert told == [True, False]
    assert [isinstance(bank.maps, np.memmap) for bank in banks] == [True, False]
    for file in ("predictions.csv", "metrics.json"):
        assert (runs[0].folder / file).read_bytes() == (runs[1].folder / file).read_bytes(), file
