import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.strategies.test_cost import tuned
from transferkit.data.augment.pipeline import pipeline
from transferkit.data.augment.policy import policy_from
from transferkit.data.decode import DecodePolicy, decode_chunks
from transferkit.errors import TrainingError
from transferkit.strategies import Phase
from transferkit.strategies.rates import Pilot
from transferkit.training import pilot
from transferkit.training.bank import Extractor
from transferkit.training.pilot import (
    pilot_change,
    pilot_features,
    pilot_linear,
    pilot_step,
    resident_bytes,
    stage_costs,
)

KNOWN = Pilot(decode=0.1, forward=0.2)


def step(extractor: Extractor, phase: Phase, cut: int) -> Pilot:
    images = np.zeros((8, 32, 32, 3), np.uint8)
    return pilot_step(KNOWN, extractor, phase, cut=cut, images=images, jit=False)


def test_features_are_timed_on_a_whole_batch_of_the_images(extractor: Extractor, photos: Path) -> None:
    found, images = pilot_features(extractor, sorted(photos.rglob("*.png"))[:3])
    assert (images.shape, images.dtype) == ((8, 32, 32, 3), np.uint8)
    assert np.array_equal(images[0], images[3]), "three images are repeated"
    assert 0 < found.forward < 1 and 0 < found.decode < 1 and found.first_forward > 0
    assert found.resident > 1e8


def test_files_that_cannot_be_read_do_not_end_a_pilot(extractor: Extractor, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    _, images = pilot_features(extractor, [tmp_path / "bad.png"])
    assert images.shape == (8, 32, 32, 3)


@pytest.mark.parametrize("steps", [["random_crop"], ["mixup"]])
def test_a_change_is_timed_on_images_as_large_as_it_asks_for(
    extractor: Extractor, photos: Path, monkeypatch: pytest.MonkeyPatch, steps: list[str]
) -> None:
    policies: list[DecodePolicy] = []

    def watched(paths: list[Path], policy: DecodePolicy, chunk: int) -> Any:
        policies.append(policy)
        return decode_chunks(paths, policy, chunk)

    monkeypatch.setattr(pilot, "decode_chunks", watched)
    found = pilot_change(
        KNOWN, extractor, pipeline(policy_from(steps), 32, side=60), sorted(photos.rglob("*.png"))
    )
    assert policies == [extractor.policy.crops_from(60)]
    assert found.decode_larger > 0 and found.change > 0 and found.first_change > found.change
    assert (found.decode, found.forward) == (0.1, 0.2), "what was known stays"


@pytest.mark.parametrize("cut", [0, 2])
def test_a_step_is_timed_and_leaves_no_trace(extractor: Extractor, cut: int) -> None:
    import keras

    def state() -> list[object]:
        flags = [layer.trainable for layer in extractor.network.layers]
        return [random.getstate(), repr(np.random.get_state()), flags, extractor.network.get_config()]

    extractor.network.trainable = False
    keras.utils.set_random_seed(3)
    weights, before = extractor.network.get_weights(), state()
    drawn = np.asarray(keras.random.uniform((3,)))
    keras.utils.set_random_seed(3)
    found = step(extractor, tuned(2), cut)
    assert 0 < found.step < 1 and (found.step_cut, found.step_depth, found.batch) == (cut, 2, 8)
    assert (found.decode, found.forward) == (0.1, 0.2), "what was known stays"
    assert state() == before
    assert np.array_equal(np.asarray(keras.random.uniform((3,))), drawn)
    for kept, now in zip(weights, extractor.network.get_weights(), strict=True):
        assert np.array_equal(kept, now)


def test_a_step_really_trains_what_the_phase_thaws(
    extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def watched(model: object, inputs: np.ndarray) -> pilot._Timed:
        seen.append([weight.path for weight in model.trainable_variables])  # type: ignore[attr-defined]
        return pilot._Timed(first=0.0, step=1.0, epoch=0.0, batch=len(inputs))

    monkeypatch.setattr(pilot, "_steps", watched)
    step(extractor, tuned(2), 2)
    assert {path.split("/")[-2] for path in seen[0]} == {"conv3", "bn3", "side3", "logits"}
    step(extractor, tuned(2, only="batchnorm"), 0)
    assert {path.split("/")[-2] for path in seen[1]} == {"bn3", "logits"}


def test_a_batch_that_does_not_fit_is_halved(extractor: Extractor) -> None:
    class Small:
        def __init__(self, room: int) -> None:
            self.room = room

        def fit(self, data: Any, **_: object) -> None:
            if any(len(inputs) > self.room for inputs, _ in data):
                raise MemoryError

    assert pilot._steps(Small(3), np.zeros((8, 2))).batch == 2
    with pytest.raises(TrainingError, match="memory"):
        pilot._steps(Small(0), np.zeros((8, 2)))


def test_what_epochs_of_one_and_three_steps_differ_by_are_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        """Epochs that take .5 s and .2 s a step, the first 4 s more."""

        now, first = 0.0, 4.0

        def fit(self, data: Any, **_: object) -> None:
            self.now += 0.5 + 0.2 * len(list(data)) + self.first
            self.first = 0.0

    clock = Clock()
    monkeypatch.setattr(pilot.time, "perf_counter", lambda: clock.now)
    found = pilot._steps(clock, np.zeros((8, 2)))
    assert (found.first, found.step, found.epoch, found.batch) == pytest.approx((4.0, 0.2, 0.5, 8))


def test_times_are_medians_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    # Calls of 5, .3, .1 and .2 s: .2 is the median, and the first took 4.8 s more.
    ticks = iter(np.cumsum([0, 5, 0, 0.3, 0, 0.1, 0, 0.2]).tolist())
    monkeypatch.setattr(pilot.time, "perf_counter", lambda: next(ticks))
    assert pilot._timed(lambda: None) == pytest.approx((4.8, 0.2))


def test_slow_calls_are_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 9.0, 9.0, 12.0])
    monkeypatch.setattr(pilot.time, "perf_counter", lambda: next(ticks))
    assert pilot._timed(lambda: None) == (6.0, 3.0)


def test_the_linear_part_is_told_by_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    # The second fit alone cannot take longer than choice and fit together.
    ticks = iter([0.0, 2.0, 2.5, 10.0, 11.0, 13.0])
    monkeypatch.setattr(pilot.time, "perf_counter", lambda: next(ticks))
    rows = np.arange(10)
    found = pilot_linear(KNOWN, "linear", lambda _: list, rows)
    found = pilot_linear(found, "multistage", lambda _: list, rows)
    assert found.linear == {"linear": 0.2, "multistage": 0.1}
    assert found.refit == {"linear": 0.05, "multistage": 0.1}


def test_stage_costs_add_up_layers(extractor: Extractor) -> None:
    found = stage_costs(extractor.network, extractor.stages)
    # stage 2 takes 16 x 16 x 8 to 8 x 8 x 12: conv2 8*12*9+12, bn2 4*12, side2 12*12*9+12
    assert found[1].parameters == 876 + 48 + 1308
    # five layers of 8*8*12 values; multiply-adds 64 places of both kernels
    assert (found[1].activations, found[1].largest) == (5 * 768, 768)
    assert found[1].macs == 64 * (864 + 1296)
    assert (found[1].output, found[1].channels, found[1].name) == (768, 12, "stage2")


def test_resident_bytes_grow_with_what_is_held() -> None:
    before = resident_bytes()
    held = np.ones(30_000_000)
    assert resident_bytes() - before > 0.8 * held.nbytes
