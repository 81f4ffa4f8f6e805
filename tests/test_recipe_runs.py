"""Recipes that ship, run for real: real weights on some real photographs (`quickstart` runs in `.ci/run`)."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import transferkit as tk


@pytest.mark.parametrize(
    ("name", "settings", "kept"),
    [
        ("fast", {}, ("linear", "multistage")),
        ("air-gapped", {"image_size": 96, "strategy": "linear"}, ("linear",)),
    ],
)
def test_a_recipe_runs_on_photographs(
    name: str,
    settings: dict[str, Any],
    kept: tuple[str, ...],
    shared_data: Path,
    shared_weights: Path,
    tmp_path: Path,
):
    folders = [shared_data / "hymenoptera" / "train" / kind for kind in ("ants", "bees")]
    files = [file for folder in folders for file in sorted(folder.iterdir())[:40]]
    images = pd.DataFrame({"path": map(str, files), "label": [file.parent.name for file in files]})
    run = tk.finetune(images, name, weights_dir=str(shared_weights), out=tmp_path / "run", **settings)
    assert run.metrics["kept"] in kept
    assert run.recipe.offline is (name == "air-gapped")
    # Half of them are ants; of 23 images that were not trained on real weights know two thirds at least.
    right = run.predictions.query("pred == label")
    assert len(run.predictions) == 23 and len(right) >= 16
    again = tk.Recipe.load(run.folder)
    assert again.replace(weights_dir=None) == tk.Recipe.load(name).replace(weights_dir=None, **settings)
