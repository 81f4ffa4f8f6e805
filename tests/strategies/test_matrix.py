from typing import Any

import pytest

from transferkit.strategies import STRATEGIES
from transferkit.strategies.evidence import Evidence
from transferkit.strategies.matrix import MATRIX, Cell, place

SIMILAR, DIFFERENT = 0.10, 0.45  # distances from the batch statistics


def measured(distance: float, wrong: float = 0.2, gap: float = 0.0) -> Evidence:
    return Evidence(
        stages={"stage1": 0.5, "stage2": 0.7},
        together=0.7 + gap,
        gap=gap,
        gap_error=0.02,
        probe_images=100,
        batchnorm=distance,
        curve=((5, 0.6 - wrong), (10, 1 - wrong)),
    )


def cell(**given: Any) -> Cell:
    return place(**{"similarity": None, "amount": None, "per_class": 10, "images": 100, **given})


@pytest.mark.parametrize(
    ("similarity", "amount", "strategy"),
    [
        ("similar", "little", "linear"),
        ("different", "little", "multistage"),
        ("similar", "lots", "finetune-top"),
        ("different", "lots", "finetune-deep"),
    ],
)
def test_each_cell_has_its_strategy(similarity: str, amount: str, strategy: str):
    stated = cell(similarity=similarity, amount=amount, evidence=measured(SIMILAR, 0.5))
    assert stated.quadrant == f"{similarity}-{amount}"
    assert (stated.plain, stated.strategy) == (strategy, strategy)


def test_every_cell_names_a_strategy_that_there_is():
    assert set(MATRIX.values()) <= set(STRATEGIES)


@pytest.mark.parametrize(("distance", "similarity"), [(SIMILAR, "similar"), (DIFFERENT, "different")])
def test_what_was_measured_decides_unless_it_is_stated(distance: float, similarity: str):
    assert cell(evidence=measured(distance)).similarity == similarity
    assert cell(evidence=measured(distance), similarity="similar").similarity == "similar"


def test_unmeasured_is_taken_as_similar_and_said_to_be():
    found = cell()
    assert found.similarity == "similar"
    assert found.reasons[0].startswith("Similarity not stated and not measured yet: taken as similar")
    assert cell(similarity="different").reasons[0] == "Similarity stated: different."


@pytest.mark.parametrize(
    ("distance", "wrong", "images", "strategy"),
    [
        (DIFFERENT, 0.20, 100, "finetune-deep"),
        (DIFFERENT, 0.05, 80, "finetune-deep"),
        (DIFFERENT, 0.04, 100, "multistage"),  # little left to learn
        (DIFFERENT, 0.20, 79, "multistage"),  # too few images to tell
        (SIMILAR, 0.20, 100, "finetune-top"),
        (SIMILAR, 0.04, 100, "multistage"),
        (SIMILAR, 0.50, 79, "multistage"),
    ],
)
def test_data_that_leave_much_to_learn_are_fine_tuned_too(
    distance: float, wrong: float, images: int, strategy: str
):
    assert cell(evidence=measured(distance, wrong), images=images).strategy == strategy


def test_near_the_border_both_are_tried_and_the_reason_says_so():
    border = cell(evidence=measured(SIMILAR)).amount.border
    near = cell(evidence=measured(SIMILAR), per_class=0.7 * border, images=5000)
    assert (near.plain, near.strategy) == ("linear", "finetune-top")
    assert near.why == (
        f"The matrix: similar to ImageNet, little data: linear; but {0.7 * border:g} images per class, "
        "5,000 in all, are near the border, so finetune-top is tried too and val decides."
    )
    far = cell(evidence=measured(SIMILAR, 0.04), per_class=0.6 * border, images=5000)
    assert (far.plain, far.strategy) == ("linear", "multistage")


def test_much_left_to_learn_is_told_with_its_number():
    assert cell(evidence=measured(DIFFERENT)).why.endswith(
        "but the linear classifier leaves much to learn (20.0% wrong), so finetune-deep is tried too and "
        "val decides."
    )


def test_several_stages_are_tried_on_photographs_too():
    found = cell(evidence=measured(SIMILAR, 0.04))
    assert (found.plain, found.strategy) == ("linear", "multistage")
    assert found.why == (
        "The matrix: similar to ImageNet, little data: linear; several stages cost nothing more, so "
        "multistage is tried too and val decides."
    )
    named = cell(similarity="similar", amount="little", evidence=measured(SIMILAR))
    assert (named.strategy, named.why) == ("linear", "The matrix: similar to ImageNet, little data: linear.")
    assert cell().strategy == "linear"  # before anything is measured


@pytest.mark.parametrize(("distance", "gap"), [(0.22, 0.0), (0.28, 0.2)])
def test_lots_of_data_in_the_grey_zone_are_fine_tuned_deep(distance: float, gap: float):
    grey = cell(per_class=300, images=3000, evidence=measured(distance, gap=gap))
    assert grey.strategy == "finetune-deep" and grey.amount.verdict == "lots"
    assert ("near its border" in grey.why) is (grey.plain == "finetune-top")
    stated = cell(per_class=300, images=3000, similarity="similar", evidence=measured(distance, gap=gap))
    assert stated.strategy == "finetune-top"
