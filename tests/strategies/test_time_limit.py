"""With the costs of `test_cost`: at most 23.06 s for the linear classifier, up to .7 s more for the report
where the network may have moved, .69 s an epoch behind stage 1.
"""

from dataclasses import replace

import pytest

from tests.strategies.test_cost import LINEAR, LOAD, PILOT, STAGES, tuned
from transferkit.errors import TrainingError
from transferkit.strategies import FeatureSet, Phase
from transferkit.strategies.cost import estimate
from transferkit.strategies.time_limit import Fitted, fit_into

MULTI = replace(LINEAR, name="multistage", features=("stage1", "stage2", "stage3"))


def fitted(limit: float, *phases: Phase) -> Fitted:
    return fit_into(phases, limit, pilot=PILOT, stages=STAGES, load=LOAD)


def cost(*phases: Phase) -> float:
    return estimate(phases, PILOT, stages=STAGES, load=LOAD).total.at_most


def test_what_fits_is_left_as_it_is() -> None:
    phases = (LINEAR, tuned(1))
    found = fitted(42.0, *phases)
    assert found == Fitted(phases, ("The plan fits into the time limit: up to 40 s of 42 s.",))
    assert fitted(cost(*phases), *phases).phases == phases


def test_epochs_go_first() -> None:
    # 23.76 + 1.4 for the activations + 6.15 once is 31.31; 4 epochs of .69 s make 34.07
    found = fitted(34.7, LINEAR, tuned(1))
    assert found.phases == (LINEAR, tuned(1, epochs=4))
    assert found.reasons == (
        "Time limit: the plan may take 40 s on this machine, and 35 s are there.",
        "So freeze depth is 1 (stage2, stage3 train) and epochs are at most 4 instead of 12.",
    )


def test_views_go_before_epochs() -> None:
    viewed = replace(LOAD, views=4)
    phases = (LINEAR, tuned(1))
    found = fit_into(phases, 40.2, pilot=PILOT, stages=STAGES, load=viewed)
    assert found.phases == phases and found.views == 0
    assert found.reasons[-1] == "So the linear classifiers see no views."
    assert fit_into(phases, 52.7, pilot=PILOT, stages=STAGES, load=viewed).views == 4
    # 40.07 s without; eight views at the cut take 1.75 more, four .91, two .49.
    cut = fit_into(phases, 40.7, pilot=PILOT, stages=STAGES, load=replace(LOAD, maps=8))
    assert (cut.phases, cut.maps) == (phases, 2)
    assert cut.reasons[-1] == "So fine-tuning draws among 2 kept views of each image."
    less = fit_into(phases, 34.7, pilot=PILOT, stages=STAGES, load=viewed)
    assert less.phases == (LINEAR, tuned(1, epochs=4))


def test_what_the_start_may_see_shrinks_with_the_stages() -> None:
    seen = tuple(FeatureSet(stages=stages) for stages in (("stage3",), ("stage1", "stage3"), ("stage2",)))
    found = fitted(32.7, LINEAR, replace(tuned(1), choices=seen)).phases[-1]
    assert found.freeze_depth == 2 and found.features == ("stage2", "stage3")
    assert found.choices == (seen[0], seen[2])


def test_then_the_stages_nearest_the_input() -> None:
    # 3 epochs behind stage 1 need 33.86; behind stage 2: 23.76 + 1.6 + 6.21 once, 5 of .23
    found = fitted(32.8, LINEAR, tuned(1))
    assert found.phases == (LINEAR, tuned(2, epochs=5))
    assert found.reasons[1:] == (
        "With freeze depth 1 not even 3 epochs fit: with them the run takes 34 s.",
        "So freeze depth is 2 (stage3 train) and epochs are at most 5 instead of 12.",
    )


def test_then_fine_tuning_and_the_second_linear_classifier() -> None:
    assert fitted(24.0, LINEAR, tuned(1)).phases == (LINEAR,)
    # the second takes 70 images at 10 ms: 23.06 + .7
    assert fitted(23.8, LINEAR, MULTI).phases == (LINEAR, MULTI)
    assert fitted(23.7, LINEAR, MULTI) == Fitted(
        (LINEAR,),
        (
            "Time limit: the plan may take 24 s on this machine, and 24 s are there.",
            "So only the linear classifier on the last stage is fitted.",
        ),
    )


def test_fewer_epochs_than_the_floor_are_kept_where_they_were_asked_for() -> None:
    phases = (LINEAR, tuned(1, epochs=2))
    assert fitted(cost(*phases), *phases).phases == phases


@pytest.mark.parametrize("limit", [34.2, 32.2, 29.7, 23.1])
def test_what_is_given_back_fits(limit: float) -> None:
    assert cost(*fitted(limit, LINEAR, tuned(0)).phases) <= limit


def test_a_time_that_not_even_the_linear_classifier_fits_into_is_refused() -> None:
    with pytest.raises(TrainingError) as caught:
        fitted(21.0, LINEAR, tuned(1))
    assert str(caught.value) == (
        "the time limit leaves 21 s, and the linear classifier alone takes about 23 s on this machine "
        "(report: 14 s). Give a longer --time-limit, a smaller --backbone ('transferkit backbones' lists "
        "them with their cost), a smaller --image-size or fewer images."
    )
    assert caught.value.exit_code == 1
