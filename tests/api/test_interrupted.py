"""Ctrl-C behind the steps of a phase: while what came of it is judged."""

from pathlib import Path
from typing import Any

import pytest

from tests.api.test_finetune import recipe
from transferkit.api import finetune, tuned_candidates
from transferkit.training.interrupting import AtOnce
from transferkit.training.phases import Trained


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("before", [True, False])
def test_while_a_phase_is_judged_the_second_ctrl_c_ends_everything_and_the_first_keeps_what_stands(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
):
    def pressed(*_: Any) -> None:
        raise KeyboardInterrupt

    trained = Trained([], [], 0, interrupted=before)
    monkeypatch.setattr(tuned_candidates, "_trained", lambda *_, **__: (trained, ()))
    monkeypatch.setattr(tuned_candidates, "measure", pressed)
    asked = recipe(strategy="full", epochs=1)
    if before:
        with pytest.raises(AtOnce):
            finetune(photos, asked, out=tmp_path / "run")
        return
    run = finetune(photos, asked, out=tmp_path / "run")
    assert run.interrupted and run.metrics["kept"] in ("linear", "multistage")
    assert "interrupted before it was judged" in (run.folder / "report.md").read_text(encoding="utf-8")
