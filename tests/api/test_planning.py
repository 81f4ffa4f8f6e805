import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from transferkit import api
from transferkit.api import costing
from transferkit.errors import TrainingError
from transferkit.recipe import Recipe
from transferkit.strategies.rates import Pilot


def planned(photos: Path, **asked: Any) -> Any:
    return api.plan(photos, Recipe.from_mapping({"backbone": "toy", "weights": "none", **asked}))


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which a step of a batch of 32 takes 10 s and all else nothing."""

    def step(known: Pilot, *_: Any, **__: Any) -> Pilot:
        return Pilot(decode=0, forward=0, step=10 / 32, step_cut=2, step_depth=2)

    monkeypatch.setattr(costing, "pilot_step", step)


def test_a_plan_comes_with_its_cost_and_the_bank_is_kept(toy: object, photos: Path, own_cache: Path) -> None:
    found = planned(photos, strategy="finetune-top")
    parts = ["startup", "index", "bank", "evidence", "linear", "activations", "finetune", "report"]
    assert list(found.estimate.seconds) == parts
    assert found.estimate.seconds["bank"].at_most == 0
    assert all(found.estimate.seconds[part].at_most > 0 for part in parts if part != "bank")
    assert list(own_cache.glob("bank/*/*.shard"))
    document = found.as_dict()
    # What a notebook shows is the panel.
    assert repr(found).startswith("60 images of 3 classes") and "Amount:" in repr(found)
    assert document["estimate"]["peak"] == found.estimate.peak > 1e8
    assert document["evidence"]["amount"]["per_class"] == found.plan.evidence["train_images_per_class_median"]


def test_a_plan_with_time_enough_is_as_without_a_limit(toy: object, photos: Path, slow: None) -> None:
    limited, free = (
        planned(photos, strategy="full", time_limit=1000).plan,
        planned(photos, strategy="full").plan,
    )
    assert limited.reasons[-1].startswith("The plan fits into the time limit: up to")
    assert replace(limited, reasons=free.reasons) == free


def test_a_time_limit_takes_epochs(toy: object, photos: Path, slow: None) -> None:
    # 42 training images of 10/32 s are 13 s an epoch, and the nine of val a third of that each: 14 s
    found = planned(photos, strategy="finetune-top", time_limit=2)
    tuned = found.plan.finetune
    assert 3 <= tuned.epochs <= 8 and found.plan.resolved["epochs"] == tuned.epochs
    assert found.plan.reasons[-2].startswith("Time limit: the plan may take")
    assert found.estimate.total.at_most <= 120


def test_a_short_time_limit_leaves_the_linear_classifiers(toy: object, photos: Path, slow: None) -> None:
    found = planned(photos, strategy="finetune-top", time_limit=0.6).plan
    assert found.finetune is None and found.linear.name == "linear"
    assert found.strategy == found.resolved["strategy"] == found.phases[-1].name
    assert "epochs" not in found.resolved


def test_a_bank_over_the_time_limit_is_refused_before_it_is_computed(
    toy: object, photos: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crawling(extractor: Any, paths: Any) -> Any:
        return Pilot(decode=60, forward=60), None

    monkeypatch.setattr(costing, "pilot_features", crawling)
    with pytest.raises(
        TrainingError, match=r"the linear classifier alone takes about 2 h on this machine \(bank"
    ):
        planned(photos, time_limit=5)
    assert not list(own_cache.glob("bank/*/*.shard"))


def test_missing_weights_are_told_before_any_image_is_read(
    toy: object, photos: Path, own_cache: Path
) -> None:
    with pytest.raises(OSError, match="ImageNet weights for toy cannot be had"):
        planned(photos, weights="imagenet")
    assert not list(own_cache.glob("scan*"))


def test_images_of_several_labels_are_planned_too(toy: object, photos: Path, tmp_path: Path) -> None:
    rows = [f"{path},{path.parent.name}|dot" for path in sorted(photos.rglob("*.png"))]
    rows[::2] = [row.removesuffix("|dot") for row in rows[::2]]
    (tmp_path / "several.csv").write_text("path,label\n" + "\n".join(rows))
    found = planned(tmp_path / "several.csv")
    assert found.plan.multilabel and math.isfinite(found.estimate.total.at_most)
