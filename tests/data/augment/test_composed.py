"""Operations against Pillow, which AutoAugment used; policies against their tables."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from tests.data.augment.steps import PICTURES, SIZE
from transferkit.data.augment import composed
from transferkit.data.augment.drawing import Draws
from transferkit.data.augment.operations import NAMES, Operations

PICTURE = PICTURES[3].round()
PILLOW = Image.fromarray(PICTURE.astype(np.uint8))


def done(name: str, strength: float, image: np.ndarray = PICTURE) -> np.ndarray:
    found = Operations().apply(tf.constant(NAMES.index(name)), tf.constant(image), tf.constant(strength))
    return np.asarray(found)


@pytest.mark.parametrize("strength", [-0.9, -0.3, 0.0, 0.5])
@pytest.mark.parametrize(
    ("name", "enhance"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("color", ImageEnhance.Color),
        ("contrast", ImageEnhance.Contrast),
        ("sharpness", ImageEnhance.Sharpness),
    ],
)
def test_enhancements_are_pillows(name: str, enhance: Callable[..., Any], strength: float):
    expected = np.asarray(enhance(PILLOW).enhance(1 + strength), dtype=float)
    assert np.abs(done(name, strength) - expected).max() <= 2  # Pillow rounds between its steps


@pytest.mark.parametrize(
    ("name", "strength", "expected"),
    [
        ("posterize", 3.0, ImageOps.posterize(PILLOW, 3)),
        ("solarize", 100.0, ImageOps.solarize(PILLOW, 100)),
        ("autocontrast", 0.0, ImageOps.autocontrast(PILLOW)),
        ("equalize", 0.0, ImageOps.equalize(PILLOW)),
        ("invert", 0.0, ImageOps.invert(PILLOW)),
    ],
)
def test_operations_on_values_are_pillows(name: str, strength: float, expected: Any):
    assert np.abs(done(name, strength) - np.asarray(expected, dtype=float)).max() <= 1


@pytest.mark.parametrize(
    ("name", "strength", "matrix"),
    [
        ("shear_x", 0.3, (1, 0.3, -0.3 * 23.5, 0, 1, 0)),
        ("shear_y", -0.2, (1, 0, 0, -0.2, 1, 0.2 * 23.5)),
        ("translate_x", 0.125, (1, 0, 6, 0, 1, 0)),
        ("translate_y", -0.125, (1, 0, 0, 0, 1, -6)),
    ],
)
def test_operations_on_places_are_pillows(name: str, strength: float, matrix: tuple[float, ...]):
    found = done(name, strength)
    # Pillow's transform goes by the corners of pixels, which are half a step from their middles.
    a, b, c, d, e, f = matrix
    about = (a, b, c + 0.5 * (1 - a - b), d, e, f + 0.5 * (1 - d - e))
    expected = PILLOW.transform(
        (SIZE, SIZE), Image.Transform.AFFINE, about, Image.Resampling.BILINEAR, fillcolor=(127, 127, 127)
    )
    inner = (slice(10, -10), slice(10, -10))
    assert np.abs(found[inner] - np.asarray(expected, dtype=float)[inner]).max() <= 2


def test_a_rotation_turns_about_the_middle():
    turned = done("rotate", 90.0)[1:-1, 1:-1]
    assert np.allclose(turned, np.rot90(PICTURE)[1:-1, 1:-1], atol=0.5)
    assert not np.allclose(turned, np.rot90(PICTURE, -1)[1:-1, 1:-1], atol=0.5)


def test_outside_is_grey():
    assert np.allclose(done("translate_x", 0.5)[:, -10:], 127.5)


def test_auto_augment_has_the_25_pairs_of_its_paper():
    assert len(composed.PAIRS) == 25
    assert composed.PAIRS[0] == (("posterize", 0.4, 8), ("rotate", 0.6, 9))
    assert composed.PAIRS[18] == (("shear_x", 0.6, 5), ("equalize", 1.0, 9))
    assert {name for pair in composed.PAIRS for name, _, _ in pair} <= set(NAMES)


class Recorded:
    """Stands in for `Operations`: keeps what is applied, and while it is traced the tensors of it."""

    applied: list[tuple[int, float]] = []
    traced: list[tuple[Any, Any]] = []

    def apply(self, number: Any, image: Any, strength: Any) -> Any:
        self.traced.append((number, strength))
        return image


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float]]:
    Recorded.applied = []
    monkeypatch.setattr(composed, "Operations", Recorded)
    return Recorded.applied


def many(name: str, times: int = 600, **values: Any) -> None:
    change = composed.COMPOSED[name](values)

    @tf.function
    def drawn(key: Any) -> tuple[Any, Any]:
        Recorded.traced = []
        change(tf.zeros((4, 4, 3)), Draws(key))
        numbers, strengths = zip(*Recorded.traced, strict=True)
        return tf.stack(numbers), tf.stack(strengths)

    for number in range(times):
        numbers, strengths = drawn(tf.constant([number, 7], tf.int32))
        Recorded.applied += zip(numbers.numpy().tolist(), strengths.numpy().tolist(), strict=True)


def test_trivial_augment_takes_each_of_14_as_often_at_any_strength(applied: list[tuple[int, float]]):
    many("trivial_augment")
    counts = np.bincount([number for number, _ in applied], minlength=len(NAMES))
    assert counts[NAMES.index("invert")] == 0 and len(applied) == 600
    # Expected 43 of each; five standard errors.
    assert np.abs(counts[:14] - 600 / 14).max() < 5 * np.sqrt(600 / 14)
    turns = np.array([strength for number, strength in applied if NAMES[number] == "rotate"])
    assert np.abs(turns).max() <= 135 and turns.min() < -60 and turns.max() > 60
    thresholds = [strength for number, strength in applied if NAMES[number] == "solarize"]
    assert min(thresholds) >= 0 and max(thresholds) <= 255 and np.ptp(thresholds) > 150


def test_rand_augment_takes_so_many_steps_at_one_level(applied: list[tuple[int, float]]):
    many("rand_augment", 100, steps=3, magnitude=15.0)
    assert len(applied) == 300
    turns = {round(abs(strength), 3) for number, strength in applied if NAMES[number] == "rotate"}
    assert turns == {15.0}
    assert {s for n, s in applied if NAMES[n] == "posterize"} == {6.0}


def test_auto_augment_takes_pairs_with_their_probabilities(applied: list[tuple[int, float]]):
    many("auto_augment", 400)
    assert len(applied) == 800
    first = np.array([number for number, _ in applied[::2]])
    # Mean probability of the first operations of all pairs.
    expected = np.mean([pair[0][1] for pair in composed.PAIRS])
    assert np.mean(first != 0) == pytest.approx(expected, abs=5 * 0.5 / np.sqrt(400))


def test_augmix_has_chains_of_one_to_its_depth(applied: list[tuple[int, float]]):
    many("augmix", 60, chains=2, depth=3, severity=3.0)
    names = [NAMES[number] for number, _ in applied]
    assert len(names) == 60 * 2 * 3
    assert set(names) <= {"identity", *composed.OF_MIX}
    # A chain is 1, 2 or 3 deep: a third of all places stays empty.
    assert names.count("identity") / len(names) == pytest.approx(1 / 3, abs=0.08)
    assert max(abs(s) for n, s in applied if NAMES[n] == "rotate") <= 9
