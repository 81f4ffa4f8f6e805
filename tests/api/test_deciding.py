"""What is measured decides, and is told in the run folder."""

from pathlib import Path

import pytest

from tests.api.test_finetune import recipe
from transferkit.api import finetune, finetuning, planning
from transferkit.errors import TransferkitError


@pytest.mark.usefixtures("toy")
def test_the_evidence_of_the_bank_stands_in_the_plan(photos: Path, tmp_path: Path) -> None:
    plan = finetune(photos, recipe(), out=tmp_path / "run").plan
    measured = plan["evidence"]["measured"]
    assert list(measured["stages"]) == ["stage1", "stage2", "stage3"]
    assert measured["curve"] and measured["logme"]
    # Random weights remember no ImageNet, so the stages alone decide.
    assert measured["batchnorm"] is None
    assert plan["evidence"]["similarity"]["measure"] == "stages"
    assert plan["similarity"] == plan["evidence"]["similarity"]["verdict"]


@pytest.mark.usefixtures("toy")
def test_a_stated_cell_is_not_measured(photos: Path, tmp_path: Path) -> None:
    asked = recipe(similarity="different", amount="little")
    plan = finetune(photos, asked, out=tmp_path / "run").plan
    assert "measured" not in plan["evidence"]
    assert (plan["quadrant"], plan["strategy"]) == ("different-little", "multistage")


@pytest.mark.usefixtures("toy")
def test_surgical_thaws_the_stage_that_is_pulled_at_hardest(photos: Path, tmp_path: Path) -> None:
    run = finetune(photos, recipe(strategy="surgical", epochs=1), out=tmp_path / "run")
    pulls = run.plan["evidence"]["measured"]["gradients"]
    assert list(pulls) == ["stage1", "stage2", "stage3"]
    hardest = max(pulls, key=pulls.__getitem__)
    assert run.plan["phases"][-1]["tuning"]["stages"] == [hardest]
    trains = {row["stage"]: row["trains"] for row in run.plan["freeze"]}
    assert trains == {**dict.fromkeys(pulls, "nothing"), hardest: "all", "head": "all"}


@pytest.mark.usefixtures("toy")
def test_a_time_limit_that_nothing_fits_into_ends_before_training(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(TransferkitError, match="minutes|seconds| s "):
        finetune(photos, recipe(time_limit=0.01), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("toy")
def test_a_layer_that_there_is_not_is_refused_before_an_image_is_read(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> None:
        raise AssertionError("images were read")

    for module in (finetuning, planning):
        monkeypatch.setattr(module, "open_training_data", read)
    wrong = recipe(augment=[{"keras.RandomZoom": {"height": 0.3}}])
    with pytest.raises(
        TransferkitError, match="parameter of keras.RandomZoom 'height'. Did you mean 'height_factor"
    ):
        finetune(photos, wrong, out=tmp_path / "run")
    with pytest.raises(TransferkitError, match="'height_factor"):
        planning.plan(photos, wrong)
