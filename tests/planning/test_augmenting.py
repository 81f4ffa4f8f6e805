from typing import Any

import numpy as np
import pytest

from transferkit.data.decode import DecodePolicy
from transferkit.errors import UsageError
from transferkit.planning.augmenting import Augment, check_labels, decide_augment
from transferkit.recipe import Recipe
from transferkit.strategies import Phase
from transferkit.strategies.augmenting import Recognised
from transferkit.strategies.evidence import Evidence

LINEAR = Phase(name="linear", kind="linear", features=(), freeze_depth=1)
TUNED = Phase(name="finetune", kind="finetune", features=(), freeze_depth=1)
MIXING = Augment(name="own", steps=({"horizontal_flip": {}}, {"mixup": {}}))


def decided(evidence: Evidence | None = None, images: int = 100, side: int = 0, **values: Any) -> Augment:
    return decide_augment(
        Recipe.from_mapping(values),
        cell=("different", "little"),
        sides=np.full((images, 2), side),
        plain=DecodePolicy(size_px=112),
        evidence=evidence,
    )


def test_nothing_is_done_where_nothing_is_asked():
    assert decided() == Augment()
    assert not decided().policy


def test_a_stated_policy_is_told_step_by_step_with_its_views():
    found = decided(augment="light")
    assert found.name == "light" and found.views == 4
    assert found.reason == (
        "Augmentation stated: light: random_crop: scale 1.14 to 1.14; horizontal_flip: with probability "
        "0.5. Linear classifiers are tried with 4 views of each training image."
    )


def test_the_side_that_crops_are_cut_from_is_told_where_it_is_no_usual_one():
    assert decided().side_px == 0
    assert decided(augment="light", side=500).side_px == 128
    found = decided(augment="standard", side=500)
    assert (
        found.side_px == 240
        and "Crops are cut out of images of 240 px for the network's 112." in found.reason
    )
    assert "Crops" not in decided(augment="standard", side=100).reason


def test_views_that_so_many_images_get_none_of_are_told():
    assert (
        "Linear classifiers see the 1,251 training images as they are"
        in decided(augment="light", images=1251).reason
    )
    assert "as they are" not in decided(augment="light", images=1250).reason
    assert "as they are" not in decided(augment="light", images=1251, views=0).reason


@pytest.mark.parametrize(("asked", "views"), [(0, 0), (7, 7)])
def test_views_that_are_asked_for_are_made(asked: int, views: int):
    assert decided(augment="light", views=asked).views == views


def test_steps_of_a_recipe_are_a_policy():
    found = decided(augment=[{"rotation": {"degrees": 5}}])
    assert found.policy.steps[0].name == "rotation"


def test_what_only_mixes_has_no_views():
    assert decided(augment=["mixup"]).views == 0


@pytest.mark.parametrize("augment", ["none", ["mixup"]])
def test_views_of_nothing_are_refused(augment: Any):
    with pytest.raises(UsageError, match="views 8 says nothing to policy (none|own), which changes no"):
        decided(augment=augment, views=8)
    assert decided(augment=augment, views=0).views == 0


def test_auto_is_decided_by_what_was_measured():
    assert decided(augment="auto").name == "auto"
    safety = {"mirror": Recognised(0.9, 0.5, 0.01), "colour": Recognised(0.9, 0.5, 0.01)}
    evidence = Evidence(stages={}, together=0, gap=0, gap_error=0, probe_images=0, safety=safety)
    found = decided(evidence, augment="auto")
    assert [name for step in found.steps for name in step] == ["random_crop"]
    assert "mirroring: NOT safe" in found.reason


def test_a_linear_strategy_that_is_stated_refuses_blended_labels():
    with pytest.raises(UsageError, match="strategy linear fits linear classifiers, .* mixup mixes batches"):
        check_labels(MIXING, "linear", (LINEAR,), stated=True)
    assert check_labels(MIXING, "full", (LINEAR, TUNED), stated=True) == ""


def test_one_that_was_decided_leaves_mixing_out_and_says_so():
    assert check_labels(MIXING, "linear", (LINEAR,), stated=False).startswith("Left out of the policy: mixup")
    assert check_labels(Augment(), "linear", (LINEAR,), stated=True) == ""
