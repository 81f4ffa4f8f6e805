from pathlib import Path

import pytest

from tests.api.test_finetune import recipe
from transferkit.api import finetune
from transferkit.reports import record

pytestmark = [pytest.mark.told, pytest.mark.usefixtures("toy")]


def test_what_was_asked_for_is_judged_and_what_it_costs_is_told(photos: Path, tmp_path: Path):
    import keras

    asked = recipe(strategy="linear", target_precision=0.8, target_coverage=0.7)
    run = finetune(photos, asked, out=tmp_path / "run")
    told = record.read(run.folder)
    assert told.rejection is not None and told.conformal is not None and told.cost is not None
    assert (told.rejection.target, told.conformal.target) == (0.8, 0.7)
    page, lines = ((run.folder / name).read_text() for name in ("report.html", "report.md"))
    assert (
        "hold the right one in 70.0 % of images" in page and "hold the right one in 70.0 % of images" in lines
    )
    cost, file = told.cost, run.folder / "model.keras"
    assert cost.parameters == keras.models.load_model(file).count_params()
    assert (cost.file_bytes, cost.image_size) == (file.stat().st_size, 32)
    # The first convolution alone: 16 x 16 places, 3 x 3 x 3 values, 8 channels; its output in float32.
    assert cost.macs > 16 * 16 * 27 * 8 and cost.activation_bytes > 16 * 16 * 8 * 4
    for text in (page, lines):
        assert f"{cost.parameters:,}" in text and f"{cost.file_bytes / 1e6:.1f} MB" in text
