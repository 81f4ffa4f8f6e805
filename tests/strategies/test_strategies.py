import subprocess
import sys
from dataclasses import replace

import pytest

from transferkit.errors import UsageError
from transferkit.recipe import STRATEGIES as RECIPE_STRATEGIES
from transferkit.strategies import STRATEGIES, Phase, Setting
from transferkit.strategies.base import finetune_phase

TUNING = ("finetune-top", "finetune-deep", "full")


def setting(stages: int, train_images: int = 1600, **asked: float) -> Setting:
    names = tuple(f"stage{n}" for n in range(1, stages + 1))
    return Setting(stages=names, train_images=train_images, classes=5, **asked)  # type: ignore[arg-type]


def tuned(strategy: str, given: Setting) -> Phase:
    return STRATEGIES[strategy](given)[-1]


def linear_on(stages: tuple[str, ...], freeze_depth: int, name: str = "linear") -> Phase:
    return Phase(name=name, kind="linear", features=stages, freeze_depth=freeze_depth)


def test_the_recipe_offers_every_strategy() -> None:
    assert ("auto", *STRATEGIES) == RECIPE_STRATEGIES


@pytest.mark.parametrize("stages", [5, 4, 2, 1])
def test_linear_is_one_classifier_on_the_last_stage(stages: int) -> None:
    assert STRATEGIES["linear"](setting(stages)) == (linear_on((f"stage{stages}",), stages),)


@pytest.mark.parametrize("stages", [5, 4, 2])
def test_multistage_adds_a_classifier_on_every_stage(stages: int) -> None:
    given = setting(stages)
    assert STRATEGIES["multistage"](given) == (
        linear_on((f"stage{stages}",), stages),
        linear_on(given.stages, stages, "multistage"),
    )


def test_multistage_refuses_a_single_stage() -> None:
    with pytest.raises(UsageError, match="this one has a single stage. Use --strategy linear"):
        STRATEGIES["multistage"](setting(1))


@pytest.mark.parametrize("strategy", TUNING)
def test_fine_tuning_starts_from_the_linear_classifier(strategy: str) -> None:
    first, second = STRATEGIES[strategy](setting(5))
    assert first == linear_on(("stage5",), 5)
    # 1,600 images in 32s are 50 steps an epoch; 1,000 steps are 20 epochs
    assert second == Phase(
        name="finetune",
        kind="finetune",
        features=("stage5",),
        freeze_depth=second.freeze_depth,
        epochs=20,
        patience=5,
        learning_rate=3e-4,
    )


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
    assert finetune_phase(given, freeze_depth=0, learning_rate=1e-3).epochs == 40


def test_a_strategy_gives_the_same_phases_each_time() -> None:
    for strategy in STRATEGIES.values():
        assert strategy(setting(5)) == strategy(setting(5))


@pytest.mark.parametrize(
    "module", ["transferkit.strategies", "transferkit.strategies.matrix", "transferkit.plan"]
)
def test_deciding_imports_no_network_library(module: str) -> None:
    code = f"import {module}, sys; print([m for m in ('keras', 'tensorflow', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
