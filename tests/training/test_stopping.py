import math

import pytest

from transferkit.training.stopping import Standing, best_epoch, explosion, smoothed, surely_lower, waited

START = Standing(0.7, 0.9)


def kept(*epochs: tuple[float, float], images: int = 10, ranked: bool = False) -> int:
    return best_epoch(START, [Standing(*one) for one in epochs], images, ranked=ranked)


def test_a_smoothed_loss_begins_at_the_first():
    # 0.5 * 2 + 0.5 * 1 = 1.5, then 0.5 * 1.5 + 0.5 * 1 = 1.25.
    assert smoothed([2.0, 1.0, 1.0], 0.5) == [2.0, 1.5, 1.25]
    assert smoothed([2.0, 1.0], 0.0) == [2.0, 1.0]


def test_of_the_epochs_that_beat_the_start_the_lowest_loss_is_kept():
    assert kept((0.72, 0.8), (0.76, 0.85), (0.72, 0.7), (0.8, 0.75)) == 3


def test_an_epoch_that_would_lose_to_the_start_is_not_kept_for_its_loss():
    assert kept((0.69, 0.1), (0.72, 0.8)) == 2


def test_a_higher_top1_with_a_higher_loss_is_kept_only_where_it_is_no_chance():
    # Fine-tuned networks are surer of themselves, right or wrong. .1 is two standard errors of the
    # difference, 2 sqrt((.3 + .2) / n), at n = 200.
    assert kept((0.78, 1.4), (0.8, 1.3), images=199) == 0
    assert kept((0.78, 1.4), (0.8, 1.3), images=201) == 2
    assert kept((0.8, 0.8), images=10) == 1


def test_equal_top1_is_decided_by_the_loss():
    assert kept((0.7, 0.95)) == 0
    assert kept((0.7, 0.85)) == 1


def test_map_decides_before_the_loss():
    assert kept((0.78, 1.4), (0.8, 1.5), (0.8, 1.45), (0.79, 0.5), ranked=True) == 3


@pytest.mark.parametrize("bad", [(math.nan, 0.1), (0.7, math.nan)])
def test_what_is_no_number_is_never_kept(bad: tuple[float, float]):
    assert kept(bad) == 0


@pytest.mark.parametrize(
    ("losses", "since", "expected"),
    [
        ([], 0, 0),
        ([3.0, 2.0, 1.0], 0, 0),
        ([3.0, 1.0, 2.0, 2.0], 0, 2),
        ([1.0, 2.0, 2.0], 2, 1),
        ([1.0, 1.0], 0, 1),
    ],
)
def test_epochs_are_waited_since_the_lowest_loss_or_the_last_thaw(
    losses: list[float], since: int, expected: int
):
    assert waited(losses, since) == expected


@pytest.mark.parametrize(
    ("loss", "val_loss", "first", "chance", "words"),
    [
        (math.nan, 1.0, 1.0, 0.7, "loss is not finite in epoch 3"),
        (1.0, math.inf, 1.0, 0.7, "val_loss is not finite"),
        (3.1, 1.0, 1.0, 0.7, "loss 3.1 in epoch 3 is over 3 times the start's 1 and worse than guessing"),
        (3.0, 3.0, 1.0, 0.7, ""),
        (0.6, 0.69, 0.01, 0.693, ""),
    ],
)
def test_an_explosion_is_over_three_times_the_start_and_worse_than_guessing(
    loss: float, val_loss: float, first: float, chance: float, words: str
):
    found = explosion({"epoch": 3, "loss": loss, "val_loss": val_loss}, first, chance)
    assert words in found and bool(words) == bool(found)


@pytest.mark.parametrize(
    ("loss", "val_loss", "exploded"), [(9.0, 1.0, False), (9.0, 3.1, True), (math.inf, 1.0, True)]
)
def test_a_train_loss_with_penalties_only_has_to_be_finite(loss: float, val_loss: float, exploded: bool):
    row = {"epoch": 1, "loss": loss, "val_loss": val_loss}
    assert bool(explosion(row, 1.0, 0.7, plain=False)) is exploded


@pytest.mark.parametrize(("gain", "surely"), [(0.11, True), (0.09, False), (-0.11, False)])
def test_losses_are_surely_lower_by_more_than_a_standard_error(gain: float, surely: bool):
    # Deviations of .4 about the mean gain, over 16 images: .413 / 4 = .103.
    old = [1.0] * 16
    assert surely_lower([1 - gain + 0.4 * (-1) ** n for n in range(16)], old) is surely
    assert surely_lower(old, old) is False
    assert surely_lower([0.9], [1.0]) is True
