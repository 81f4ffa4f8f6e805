import subprocess
import sys
from dataclasses import replace

import pytest

from transferkit.errors import UsageError
from transferkit.recipe import STRATEGIES as RECIPE_STRATEGIES
from transferkit.strategies import STRATEGIES, FeatureSet, Phase, Setting
from transferkit.strategies.base import finetune_phase

TUNING = ("finetune-top", "finetune-deep", "full")


def setting(stages: int, train_images: int = 1600, **asked: float | str) -> Setting:
    names = tuple(f"stage{n}" for n in range(1, stages + 1))
    return Setting(stages=names, train_images=train_images, classes=5, **asked)  # type: ignore[arg-type]


def tuned(strategy: str, given: Setting) -> Phase:
    return STRATEGIES[strategy](given)[-1]


MEANS, DEVIATIONS = ("means",), ("means", "deviations")
GRIDS = (*DEVIATIONS, "grids")


def linear_on(stages: tuple[str, ...], name: str, *choices: FeatureSet, freeze_depth: int) -> Phase:
    return Phase(
        name=name,
        kind="linear",
        features=stages,
        freeze_depth=freeze_depth,
        choices=choices,
        classifiers=("logistic", "discriminant"),
    )


def seeing(stages: tuple[str, ...], kinds: tuple[str, ...]) -> FeatureSet:
    return FeatureSet(stages=stages, kinds=kinds, normalised=True)


def last_stage(stages: int, *kinds: tuple[str, ...]) -> Phase:
    last = (f"stage{stages}",)
    return linear_on(last, "linear", *(seeing(last, kind) for kind in kinds), freeze_depth=stages)


def test_the_recipe_offers_every_strategy() -> None:
    assert ("auto", *STRATEGIES) == RECIPE_STRATEGIES


@pytest.mark.parametrize("stages", [5, 4, 2, 1])
def test_linear_is_one_classifier_on_the_last_stage(stages: int) -> None:
    assert STRATEGIES["linear"](setting(stages)) == (last_stage(stages, MEANS, DEVIATIONS, GRIDS),)


@pytest.mark.parametrize("stages", [5, 4, 2])
def test_multistage_adds_a_classifier_on_several_stages(stages: int) -> None:
    given = setting(stages)
    all_stages = given.stages
    several = (
        seeing(all_stages[-1:], DEVIATIONS),
        seeing(all_stages, DEVIATIONS),
        seeing(all_stages[-3:], GRIDS),
    )
    assert STRATEGIES["multistage"](given) == (
        last_stage(stages, MEANS, DEVIATIONS, GRIDS),
        linear_on(all_stages, "multistage", *several, freeze_depth=stages),
    )


@pytest.mark.parametrize("strategy", ["linear", "multistage"])
def test_logistic_regression_on_means_is_the_plain_one(strategy: str) -> None:
    phase = tuned(strategy, setting(5, classifier="logistic", features="means"))
    assert phase.choices == (FeatureSet(stages=phase.features),)
    assert phase.classifiers == ("logistic",)


@pytest.mark.parametrize(
    ("strategy", "features", "expected"),
    [
        ("linear", "means", [seeing(("stage3",), MEANS)]),
        ("linear", "grids", [seeing(("stage3",), GRIDS)]),
        ("finetune-top", "grids", [seeing(("stage1", "stage2", "stage3"), GRIDS)]),
        ("multistage", "means", [seeing(("stage1", "stage2", "stage3"), MEANS)]),
        (
            "multistage",
            "deviations",
            [seeing(("stage3",), DEVIATIONS), seeing(("stage1", "stage2", "stage3"), DEVIATIONS)],
        ),
    ],
)
def test_the_recipe_restricts_the_features(strategy: str, features: str, expected: list[FeatureSet]) -> None:
    phases = STRATEGIES[strategy](setting(3, features=features))
    linear = [phase for phase in phases if phase.kind == "linear"][-1]
    assert linear.choices == tuple(expected)


def test_a_selection_is_from_all_kinds_of_the_phases_stages() -> None:
    (one,) = tuned("multistage", setting(3, features="selected")).choices
    assert (one.stages, one.kinds) == (("stage1", "stage2", "stage3"), GRIDS)
    assert one.selected == (0.1, 0.25, 0.5, 1.0)
    assert one.name == "means, deviations, grids of stage1, stage2, stage3, the best selected"


def test_multistage_refuses_a_single_stage() -> None:
    with pytest.raises(UsageError, match="this one has a single stage. Use --strategy linear"):
        STRATEGIES["multistage"](setting(1))


@pytest.mark.parametrize(("strategy", "seen"), [("finetune-top", 3), ("finetune-deep", 5), ("full", 5)])
def test_fine_tuning_follows_the_linear_classifiers_that_it_can_start_from(strategy: str, seen: int) -> None:
    first, second, third = STRATEGIES[strategy](setting(5))
    assert first == last_stage(5, MEANS, DEVIATIONS, GRIDS)
    assert (first, second) == STRATEGIES["multistage"](setting(5))
    reached = setting(5).stages[-seen:]  # with the activations at the cut
    several = seeing(reached, DEVIATIONS), seeing(reached[-3:], GRIDS)
    # 1,600 images in 32s are 50 steps an epoch; 1,000 steps are 20 epochs
    assert third == Phase(
        name="finetune",
        kind="finetune",
        features=reached,
        freeze_depth=third.freeze_depth,
        epochs=20,
        patience=10,
        learning_rate=5e-4,
        choices=(*first.choices, *several),
        classifiers=("logistic", "discriminant"),
        tuning=third.tuning,
    )


@pytest.mark.parametrize("strategy", ["finetune-top", "full", "surgical", "batchnorm"])
def test_a_backbone_of_one_stage_is_fine_tuned_from_its_linear_classifier(strategy: str) -> None:
    first, second = STRATEGIES[strategy](setting(1))
    assert first == last_stage(1, MEANS, DEVIATIONS, GRIDS)
    assert (second.kind, second.features) == ("finetune", ("stage1",))
    assert second.choices == first.choices


def test_a_stated_freeze_depth_bounds_what_the_start_may_see() -> None:
    *_, phase = STRATEGIES["full"](setting(5, freeze_depth=4))
    assert phase.features == ("stage4", "stage5")
    assert {stage for one in phase.choices for stage in one.stages} == {"stage4", "stage5"}


@pytest.mark.parametrize(
    ("strategy", "stages", "depth"),
    [
        ("finetune-top", 5, 3),  # two fifths of 5 are 2
        ("finetune-top", 4, 2),  # 1.6, rounded 2
        ("finetune-top", 2, 1),  # 0.8, rounded 1
        ("finetune-top", 1, 0),  # 0.4, but at least 1
        ("finetune-deep", 5, 1),  # all but the first
        ("finetune-deep", 4, 1),
        ("finetune-deep", 2, 1),
        ("finetune-deep", 1, 0),  # nothing else to thaw
        ("full", 5, 0),
        ("full", 4, 0),
        ("full", 2, 0),
        ("full", 1, 0),
    ],
)
def test_the_freeze_depth_is_that_of_the_strategy(strategy: str, stages: int, depth: int) -> None:
    assert tuned(strategy, setting(stages)).freeze_depth == depth


@pytest.mark.parametrize(
    ("images", "epochs"),
    [
        (20, 40),  # one step an epoch: 1,000 epochs, 40 at most
        (800, 40),  # 25 steps: 40
        (1280, 25),  # 40 steps: 25
        (3200, 10),  # 100 steps: 10
        (1_000_000, 10),  # 31,250 steps: 0.03, 10 at least
    ],
)
def test_epochs_come_to_some_thousand_steps_between_10_and_40(images: int, epochs: int) -> None:
    assert tuned("full", setting(5, images)).epochs == epochs


@pytest.mark.parametrize("strategy", TUNING)
def test_what_is_stated_goes_first(strategy: str) -> None:
    given = setting(5, epochs=3, patience=2, learning_rate=0.5, freeze_depth=4)
    phase = tuned(strategy, given)
    assert (phase.epochs, phase.patience, phase.learning_rate, phase.freeze_depth) == (3, 2, 0.5, 4)


@pytest.mark.parametrize(
    ("optimizer", "similar", "different"),
    [
        ("adamw", 5e-4, 1e-3),
        ("adam", 5e-4, 1e-3),
        ("rmsprop", 1.5e-4, 3e-4),
        ("sgd", 5e-3, 1e-2),
        ("adagrad", 5e-3, 1e-2),
    ],
)
def test_the_rate_by_similarity_and_optimizer(optimizer: str, similar: float, different: float) -> None:
    """The order: Li 2020 (arXiv:2002.11770); 1e-3: `docs/decision.md`; the others: rules of thumb."""
    for similarity, rate, momentum in (("similar", similar, 0.0), ("different", different, 0.9)):
        phase = tuned("finetune-top", setting(5, similarity=similarity, optimizer=optimizer))
        assert phase.learning_rate == pytest.approx(rate)
        assert phase.tuning is not None and phase.tuning.momentum == momentum


def test_early_stages_that_surgical_chooses_take_their_full_rate() -> None:
    pull = {"stage1": 1.0, "stage2": 1.0}
    found = tuned("surgical", setting(5, gradients=pull))
    assert found.tuning is not None and found.tuning.stages == ("stage1", "stage2")
    assert found.tuning.rates == (0.5, 1.0)


@pytest.mark.parametrize(
    ("pulls", "trains"),
    [
        ((9, 1, 1, 1, 1, 1), ("stage1", "stage2")),
        ((1, 1, 9, 9, 1, 1), ("stage3", "stage4")),
        ((1, 1, 1, 1, 1, 9), ("stage5", "stage6")),
        ((1, 1, 1, 1, 1, 1), ("stage5", "stage6")),  # of equals the last
    ],
)
def test_surgical_thaws_the_third_that_is_pulled_at_hardest(
    pulls: tuple[float, ...], trains: tuple[str, ...]
) -> None:
    gradients = {f"stage{number}": float(pull) for number, pull in enumerate(pulls, start=1)}
    phase = tuned("surgical", replace(setting(6), gradients=gradients))
    assert phase.tuning is not None and phase.tuning.stages == trains


def test_surgical_chooses_what_it_thaws_itself() -> None:
    with pytest.raises(UsageError, match="freeze_depth 3 says nothing to strategy surgical"):
        STRATEGIES["surgical"](setting(5, freeze_depth=3))


def test_a_stated_freeze_depth_of_zero_thaws_all() -> None:
    assert tuned("finetune-top", setting(5, freeze_depth=0)).freeze_depth == 0


@pytest.mark.parametrize("depth", [5, 6])
def test_a_freeze_depth_that_leaves_nothing_is_refused(depth: int) -> None:
    with pytest.raises(UsageError) as caught:
        tuned("full", setting(5, freeze_depth=depth))
    assert str(caught.value) == (
        f"freeze_depth {depth} leaves nothing to train: the backbone has 5 stages. Allowed: 0 to 4."
    )


def test_a_larger_batch_has_fewer_steps_and_so_more_epochs() -> None:
    given = replace(setting(5), batch_size=64)  # 25 steps an epoch
    assert finetune_phase(given, freeze_depth=0).epochs == 40


def test_a_strategy_gives_the_same_phases_each_time() -> None:
    for strategy in STRATEGIES.values():
        assert strategy(setting(5)) == strategy(setting(5))


@pytest.mark.parametrize(
    "module", ["transferkit.strategies", "transferkit.strategies.matrix", "transferkit.planning"]
)
def test_deciding_imports_no_network_library(module: str) -> None:
    heavy = ("keras", "tensorflow", "torch", "jax")
    code = f"import {module}, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
