"""Stochastic depth from the recipe to the saved model."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.api.test_finetune import recipe
from tests.conftest import toy_network
from transferkit.api import finetune, predict
from transferkit.backbone import build
from transferkit.errors import UsageError
from transferkit.runs import Run


@pytest.fixture
def branches(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    original = build.build

    def built(spec: Any, image_size: int | None = None, *, classifier: bool = False) -> Any:
        if spec.name == "toy":
            return toy_network(image_size or 32, branches=True)
        return original(spec, image_size, classifier=classifier)

    monkeypatch.setattr(build, "build", built)


def weights(run: Run) -> list[np.ndarray]:
    import keras

    return list(keras.models.load_model(run.folder / "model.keras").get_weights())


@pytest.mark.usefixtures("branches")
def test_branches_are_left_out_while_a_run_trains_and_not_in_what_it_saves(photos: Path, tmp_path: Path):
    runs = {}
    for name, share in (("none", 0.0), ("half", 0.5), ("again", 0.5)):
        asked = recipe(strategy="full", stochastic_depth=share, learning_rate=3e-2, epochs=4)
        runs[name] = finetune(photos, asked, out=tmp_path / name)
        assert runs[name].metrics["kept"] == "fine-tuned"
    none, half, again = map(weights, runs.values())
    assert not all(np.array_equal(a, b) for a, b in zip(none, half, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(half, again, strict=True))
    rows = runs["half"].predictions
    frame, failed = predict(runs["half"], [photos / path for path in rows["path"]])
    assert not failed and list(frame["pred"]) == list(rows["pred"])
    assert np.allclose(frame["p"].astype(float), rows["p"], atol=1e-4)


@pytest.mark.usefixtures("toy")
def test_a_backbone_without_branches_is_refused_before_any_work(photos: Path, tmp_path: Path):
    told = re.escape("stochastic_depth 0.5: backbone toy has no branches that may be left out")
    with pytest.raises(UsageError, match=told):
        finetune(photos, recipe(strategy="full", stochastic_depth=0.5), out=tmp_path / "run")
    assert not any(tmp_path.glob("run*"))
