from dataclasses import replace
from typing import Any

import pytest

from transferkit.strategies import Phase, Tuning
from transferkit.strategies.schedules import plateau_cut, rate, thawed

STAGES = ("stage2", "stage3", "stage4")


def phase(epochs: int = 5, **tuning: Any) -> Phase:
    return Phase(
        name="finetune", kind="finetune", features=("stage4",), freeze_depth=1, epochs=epochs,
        learning_rate=8e-3, tuning=Tuning(stages=STAGES, **tuning),
    )  # fmt: skip


def rates(phase: Phase, steps_per_epoch: int = 4, cuts: int = 0) -> list[float]:
    total = phase.epochs * steps_per_epoch
    return [rate(phase, step=s, steps_per_epoch=steps_per_epoch, cuts=cuts) for s in range(total)]


def test_the_rate_warms_up_in_a_line_and_falls_as_a_half_cosine():
    # 2 epochs of 2 steps, half an epoch of warm-up: 1 step, then (1 + cos(pi n / 3)) / 2 for n = 0, 1, 2.
    found = rates(phase(2, warmup_epochs=0.5), 2)
    assert found == pytest.approx([8e-3, 8e-3, 6e-3, 2e-3])
    # 5 epochs of 4 steps, 1 epoch of warm-up: quarters of the peak, then 16 steps of cosine.
    found = rates(phase())
    assert found[:5] == pytest.approx([2e-3, 4e-3, 6e-3, 8e-3, 8e-3])
    assert found[12] == pytest.approx(4e-3)  # half way, cos(pi / 2) = 0


def test_the_cosine_ends_at_zero_and_stays_there():
    assert rate(phase(), step=20, steps_per_epoch=4) == 0.0
    assert rate(phase(), step=25, steps_per_epoch=4) == 0.0


def test_warm_up_takes_half_of_the_steps_at_most():
    # One epoch of 4 steps with an epoch of warm-up asked: 2 steps of it.
    assert rates(phase(1))[:3] == pytest.approx([4e-3, 8e-3, 8e-3])


def test_without_warm_up_the_first_step_has_the_whole_rate():
    assert rates(phase(warmup_epochs=0.0))[0] == 8e-3


def test_a_constant_rate_stays_behind_its_warm_up():
    assert rates(phase(schedule="constant"), cuts=2)[3:] == [8e-3] * 17


def test_each_cut_of_a_plateau_leaves_a_tenth():
    for cuts, expected in ((0, 8e-3), (1, 8e-4), (2, 8e-5)):
        assert rates(phase(schedule="plateau"), cuts=cuts)[4:] == pytest.approx([expected] * 16)


def test_a_phase_without_tuning_takes_the_defaults():
    assert rates(replace(phase(), tuning=None)) == rates(phase())


def test_all_stages_train_at_once_unless_they_are_thawed_gradually():
    assert thawed(phase(), 0) == STAGES


@pytest.mark.parametrize(
    ("epoch", "stages"),
    [(0, ()), (1, ()), (2, ("stage4",)), (4, ("stage3", "stage4")), (7, STAGES), (30, STAGES)],
)
def test_stages_thaw_from_the_output_one_after_another(epoch: int, stages: tuple[str, ...]):
    assert thawed(phase(thaw_epochs=2), epoch) == stages


def test_a_plateau_is_cut_after_two_epochs_without_a_better_loss():
    # No smoothing. Best 0.8 in the first epoch; 0.9, 0.9: cut; 0.85, 0.8 is not below 0.8: cut again.
    assert plateau_cut([1.0, 0.8, 0.9], smoothing=0.0) == 0
    assert plateau_cut([1.0, 0.8, 0.9, 0.9], smoothing=0.0) == 1
    assert plateau_cut([1.0, 0.8, 0.9, 0.9, 0.85], smoothing=0.0) == 1
    assert plateau_cut([1.0, 0.8, 0.9, 0.9, 0.85, 0.8], smoothing=0.0) == 2


def test_there_are_two_cuts_at_most():
    assert plateau_cut([1.0, *[2.0] * 20], smoothing=0.0) == 2


def test_a_better_loss_starts_the_wait_anew():
    assert plateau_cut([1.0, 1.1, 0.9, 1.1, 0.8, 1.1], smoothing=0.0) == 0


def test_the_loss_that_is_judged_is_smoothed():
    # 0.7, 0.7 are two waits behind 0.6; smoothed with 0.5 they are 0.8, 0.75, 0.725, which falls.
    assert plateau_cut([1.0, 0.6, 0.7, 0.7], smoothing=0.0) == 1
    assert plateau_cut([1.0, 0.6, 0.7, 0.7], smoothing=0.5) == 0
