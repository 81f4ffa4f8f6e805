"""Steps that change colours, and those made of others, against their definitions."""

import colorsys
from typing import Any

import numpy as np
import pytest

from tests.data.augment.steps import COUNT, PICTURES, RANDOM, SIZE, changed, every_step
from transferkit.data.augment import composed


def test_hue_turns_by_half_a_turn_times_its_strength_at_most():
    flat = np.broadcast_to(np.float32([200, 80, 40]), PICTURES.shape)
    found = changed([{"hue": {"strength": 0.2}}], flat)[:, 0, 0] / 255
    own = colorsys.rgb_to_hsv(200 / 255, 80 / 255, 40 / 255)[0]
    turned = np.array([colorsys.rgb_to_hsv(*map(float, one))[0] - own for one in found])
    turned = (turned + 0.5) % 1 - 0.5
    assert 0.08 < turned.max() <= 0.1001 and -0.1001 <= turned.min() < -0.08


def test_sharpness_is_a_blend_of_the_image_and_its_mean_of_nine():
    rough = np.clip(PICTURES + RANDOM.normal(0, 10, PICTURES.shape), 60, 195).astype(np.float32)
    padded = np.pad(rough, ((0, 0), (1, 1), (1, 1), (0, 0)))
    smooth = sum(  # weights 1, and 5 in the middle, of 13: Pillow's SMOOTH
        padded[:, row : row + SIZE, column : column + SIZE] * (5 if row == column == 1 else 1)
        for row in range(3)
        for column in range(3)
    ) / 13  # fmt: skip
    inner = (slice(None), slice(1, -1), slice(1, -1))
    detail = (rough - smooth)[inner]
    given = (changed([{"sharpness": {"strength": 0.5, "probability": 1}}], rough) - smooth)[inner]
    factors = (given * detail).sum(axis=(1, 2, 3)) / np.square(detail).sum(axis=(1, 2, 3))
    assert np.allclose(given, factors[:, None, None, None] * detail, atol=0.1)
    assert 0.49 < factors.min() < 0.65 and 1.35 < factors.max() < 1.51


@pytest.mark.parametrize("one", ["brightness", "contrast", "saturation", "hue"])
def test_colour_jitter_is_its_parts(one: str):
    none = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.0)
    jitter: Any = [{"color_jitter": none | {one: 0.3, "probability": 1.0}}]
    alone: Any = [{one: {"strength": 0.3, "probability": 1.0}}]
    assert np.array_equal(changed(jitter), changed(alone))


def test_colour_jitter_does_its_parts_one_after_another():
    flat = np.full_like(PICTURES, 127)
    grey = changed(
        [{"color_jitter": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.0}}], flat
    )
    # Contrast is about the mean and saturation is of colours: on flat grey brightness alone is to be seen.
    assert np.abs(grey - 127).max() <= 51.01 and np.ptp(grey, axis=(1, 2, 3)).max() < 0.01


def test_augmix_blends_the_image_with_chains_by_shares_that_sum_to_1(monkeypatch: pytest.MonkeyPatch):
    """Where all operations add 10 a chain of one to three adds 10 to 30, and what is kept takes of it."""

    class Adding:
        def apply(self, number: Any, image: Any, strength: Any) -> Any:
            import tensorflow as tf

            return image + 10.0 * tf.cast(number != 0, tf.float32)

    monkeypatch.setattr(composed, "Operations", Adding)
    made = {}
    for chains in (1, 3):
        step = {"augmix": {"chains": chains, "depth": 3, "severity": 3, "probability": 1.0}}
        many = np.repeat(np.full_like(PICTURES, 100), 8, axis=0)
        made[chains] = changed([step], many)[:, 0, 0, 0] - 100
        assert made[chains].min() >= 0 and made[chains].max() <= 30.001
        # Half of it is kept (Beta(1, 1)), and a chain has two operations on average: 10. Of 512 images the
        # mean is off by .3.
        assert made[chains].mean() == pytest.approx(10, abs=1.2)
    # Chains that are blended lie nearer to their mean of 20 than a single one: the highest are rarer.
    assert (made[3] > 22).mean() < (made[1] > 22).mean()


@pytest.mark.parametrize("steps", [every_step(), ["random_crop"]], ids=["all", "random_crop"])
def test_all_steps_are_the_same_whatever_the_threads(steps: list[Any]):
    import tensorflow as tf

    from transferkit.data.augment.pipeline import pipeline
    from transferkit.data.augment.policy import policy_from

    made = pipeline(policy_from(steps), SIZE, np.eye(3) * 20)
    keys = RANDOM.integers(0, 2**31 - 1, (COUNT, 2)).astype(np.int32)
    found = []
    for threads in (1, 8):
        options = tf.data.Options()
        options.threading.private_threadpool_size = threads
        data = tf.data.Dataset.from_tensor_slices((PICTURES, keys))
        data = data.map(made.image, num_parallel_calls=threads).batch(COUNT).with_options(options)
        found.append(next(iter(data)).numpy())
    assert np.array_equal(*found)
    assert found[0].min() >= 0 and found[0].max() <= 255 and found[0].std() > 1
