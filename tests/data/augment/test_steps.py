"""Each step against its definition, on pixels or on the statistics of many draws."""

import keras
import numpy as np
import pytest

from tests.data.augment.steps import COUNT, PICTURES, RANDOM, SIZE, changed, pictures, unclipped
from transferkit.data.augment.catalogue import STEPS
from transferkit.data.augment.checking import ROUNDING
from transferkit.data.augment.keys import keys_of
from transferkit.data.augment.own import colour_axes, saturated
from transferkit.data.augment.pipeline import pipeline
from transferkit.data.augment.policy import load_policy, policy_from, policy_names

SINGLE = [name for name, spec in STEPS.items() if not spec.mixes]
LARGER = pictures(56)


@pytest.mark.parametrize("name", SINGLE)
def test_shape_and_range_are_kept_and_something_changes(name: str):
    axes = colour_axes(PICTURES)
    for images in (PICTURES[:16], np.zeros_like(PICTURES[:4]), np.full_like(PICTURES[:4], 255)):
        found = unclipped(name, images, axes=axes)
        assert found.shape == images.shape and found.dtype == np.float32
        assert np.isfinite(found).all() and found.min() >= -ROUNDING and found.max() <= 255 + ROUNDING
    assert np.abs(changed(name, axes=axes) - PICTURES).max() > 1


@pytest.mark.parametrize("name", SINGLE)
def test_an_image_gets_the_same_whatever_stands_beside_it(name: str):
    whole, some = changed(name, seed=3), PICTURES.copy()
    some[6:] = 0
    assert np.array_equal(changed(name, some, seed=3)[5], whole[5])
    assert np.array_equal(changed(name, PICTURES[:6], seed=3)[5], whole[5])


# What draws nothing gives every image the same treatment.
STILL = {"horizontal_flip", "vertical_flip", "grayscale", "invert", "posterize", "solarize", "equalize",
         "autocontrast"}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in SINGLE if name not in STILL])
def test_every_image_draws_for_itself_and_anew_for_another_seed(name: str):
    one = np.repeat(PICTURES[:1], COUNT, axis=0)
    axes = colour_axes(PICTURES)
    found = changed(name, one, axes=axes)
    distinct = {image.tobytes() for image in found}
    assert len(distinct) > (2 if name == "quarter_turns" else COUNT // 4)
    assert not np.array_equal(found, changed(name, one, seed=1, axes=axes))


@pytest.mark.parametrize("chance", [0.0, 0.3, 1.0])
def test_a_step_comes_with_its_probability(chance: float):
    many = np.repeat(PICTURES, 8, axis=0)
    share = np.mean(np.any(changed([{"invert": {"probability": chance}}], many) != many, axis=(1, 2, 3)))
    # Five standard errors of 512 draws.
    assert abs(share - chance) <= 5 * np.sqrt(chance * (1 - chance) / len(many))


def test_flips_are_flips():
    assert np.array_equal(changed("horizontal_flip"), PICTURES[:, :, ::-1])
    assert np.array_equal(changed("vertical_flip"), PICTURES[:, ::-1])


def test_quarter_turns_are_quarter_turns():
    found = changed("quarter_turns")
    turns = [
        next(k for k in range(4) if np.array_equal(np.rot90(image, k), turned))
        for image, turned in zip(PICTURES, found, strict=True)
    ]
    assert set(turns) == {0, 1, 2, 3}


def test_invert_posterize_and_solarize_follow_their_formulas():
    whole = PICTURES.round()
    assert np.allclose(changed("invert", whole), 255 - whole)
    assert np.array_equal(changed([{"posterize": {"bits": 3, "probability": 1}}], whole), whole // 32 * 32)
    solarized = changed([{"solarize": {"threshold": 100, "probability": 1}}], whole)
    assert np.array_equal(solarized, np.where(whole < 100, whole, 255 - whole))


def test_grayscale_is_grey_of_the_same_lightness():
    found = changed("grayscale")
    assert np.ptp(found, axis=-1).max() < 1e-3
    assert np.allclose(found[..., 0], PICTURES @ [0.2989, 0.587, 0.114], atol=0.2)


def test_brightness_adds_up_to_a_share_of_255():
    flat = np.full_like(PICTURES, 127)
    moved = (changed([{"brightness": {"strength": 0.2}}], flat) - flat)[:, 0, 0, 0]
    assert np.abs(moved).max() <= 51.01
    assert moved.min() < -30 and moved.max() > 30


def test_contrast_scales_about_the_mean_both_ways():
    dull = 127 + (PICTURES - 127) / 3
    found = changed([{"contrast": {"strength": 0.5}}], dull)
    assert np.allclose(found.mean(axis=(1, 2)), dull.mean(axis=(1, 2)), atol=0.01)  # each channel's own
    ratio = found.std(axis=(1, 2, 3)) / (PICTURES / 3).std(axis=(1, 2, 3))
    assert ratio.min() < 0.8 and ratio.max() > 1.2 and 0.49 < ratio.min() and ratio.max() < 1.51


def chroma(images: np.ndarray) -> np.ndarray:
    return np.ptp(images, axis=-1).mean(axis=(1, 2))


def test_saturation_makes_colours_paler_and_stronger_and_keeps_their_value():
    dull = 127 + (PICTURES - 127) / 3
    found = changed([{"saturation": {"strength": 0.4}}], dull)
    ratio = chroma(found) / chroma(dull)
    assert 0.599 <= ratio.min() < 0.7 and 1.25 < ratio.max() <= 1.401
    assert np.allclose(found.max(axis=-1), dull.max(axis=-1), atol=0.01)


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.0, 1.4, 5.0])
def test_saturation_is_that_of_keras_own_layer(factor: float):
    corners = np.array([[0, 0, 0], [255, 255, 255], [9, 9, 9], [255, 0, 0], [0, 7, 255]], np.float32)
    some = np.concatenate([PICTURES.reshape(-1, 3), corners])[None]
    layer = keras.layers.RandomSaturation(0.5, value_range=(0, 1))
    theirs = layer.transform_images(some[None], {"factor": np.float32([factor])})[0]
    assert np.allclose(saturated(some, factor), theirs, atol=0.01)


def test_hue_turns_colours_and_keeps_value_and_saturation():
    found = changed([{"hue": {"strength": 0.5}}])
    assert np.allclose(found.max(axis=-1), PICTURES.max(axis=-1), atol=0.01)
    assert np.allclose(found.min(axis=-1), PICTURES.min(axis=-1), atol=0.01)
    assert np.abs(found - PICTURES).mean() > 5


def test_pca_noise_follows_the_colours_of_train():
    # Colours that vary along (1, -1, 0) only.
    share = RANDOM.uniform(-1, 1, (COUNT, SIZE, SIZE, 1))
    train = 127 + 60 * share * np.array([1.0, -1.0, 0.0])
    axes = colour_axes(train)
    flat = np.full_like(PICTURES, 127)
    moved = (changed([{"pca_noise": {"sigma": 0.5}}], flat, axes=axes) - flat)[:, 0, 0]
    assert np.allclose(moved[:, 0], -moved[:, 1], atol=1e-3) and np.allclose(moved[:, 2], 0, atol=1e-3)
    # Variance of the colours in 0..1 along that axis, times sigma, in 255.
    expected = 255 * 0.5 * 2 * np.var(60 * share / 255) / np.sqrt(2)
    assert moved[:, 0].std() == pytest.approx(expected, rel=0.35)


def test_pca_noise_without_colours_is_refused():
    with pytest.raises(ValueError, match="follows the colour axes of some images"):
        pipeline(policy_from(["pca_noise"]), SIZE)


def test_equalize_and_autocontrast_use_the_whole_range():
    dull = 100 + PICTURES / 10
    assert np.allclose(np.ptp(changed("autocontrast", dull), axis=(1, 2)), 255, atol=0.01)
    spread = changed("equalize", 60 + PICTURES / 2)
    assert np.ptp(spread, axis=(1, 2)).min() > 250
    # As many values of each channel below each quarter of the range as its share of it.
    for quarter in (0.25, 0.5, 0.75):
        below = (spread <= 255 * quarter).mean(axis=(1, 2))
        assert np.abs(below - quarter).max() < 0.06


def test_blur_keeps_the_mean_and_smooths():
    rough = RANDOM.uniform(0, 255, PICTURES.shape).astype(np.float32)
    found = changed([{"blur": {"sigma": [1.0, 1.0], "probability": 1}}], rough)
    assert found[:, 8:-8, 8:-8].mean() == pytest.approx(rough[:, 8:-8, 8:-8].mean(), rel=0.01)
    # A Gaussian of one pixel leaves 1 / (2 sqrt(pi)) of white noise's deviation.
    assert found[:, 8:-8, 8:-8].std() / rough.std() == pytest.approx(0.282, rel=0.05)


def test_noise_has_the_deviation_asked_for():
    flat = np.full_like(PICTURES, 127)
    assert (changed([{"noise": {"sigma": 0.05}}], flat) - flat).std() == pytest.approx(0.05 * 255, rel=0.02)


def test_sharpness_goes_both_ways():
    rough = np.clip(PICTURES + RANDOM.normal(0, 10, PICTURES.shape), 20, 235).astype(np.float32)
    inner = (slice(None), slice(2, -2), slice(2, -2))
    detail = np.abs(np.diff(changed("sharpness", rough)[inner], axis=1)).mean(axis=(1, 2, 3))
    own = np.abs(np.diff(rough[inner], axis=1)).mean(axis=(1, 2, 3))
    assert (detail < 0.95 * own).any() and (detail > 1.05 * own).any()


def test_what_is_not_cropped_is_the_middle_of_the_larger_image():
    assert np.array_equal(changed([], LARGER), LARGER[:, 4:52, 4:52])


def test_erasing_fills_a_rectangle_with_noise():
    found = changed([{"random_erasing": {"scale": [0.25, 0.5], "probability": 1}}])
    erased = np.any(found != PICTURES, axis=-1)
    for mask in erased:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        inside = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert inside.mean() > 0.99 and 0.2 < len(rows) / SIZE < 0.55 and 0.2 < len(columns) / SIZE < 0.55


def test_cutout_makes_a_grey_square_of_its_size():
    found = changed([{"cutout": {"size": 0.5}}])
    grey = np.all(found == 127.5, axis=-1)
    assert np.allclose(grey.sum(axis=(1, 2)), 24**2, atol=26)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixed_labels_sum_to_1_and_say_what_is_in_the_image(name: str):
    import tensorflow as tf

    numbers = np.arange(8)
    flat = np.broadcast_to((numbers * 30)[:, None, None, None], (8, SIZE, SIZE, 3)).astype(np.float32)
    made = pipeline(policy_from([{name: {"alpha": 1.0}}]), SIZE)
    images, labels = made.mixed(tf.constant(flat), tf.constant(np.eye(8, dtype=np.float32)), [3, 4])
    labels = labels.numpy()
    assert np.allclose(labels.sum(axis=1), 1, atol=1e-5)
    bare, _ = made.mixed_unclipped(tf.constant(flat), tf.constant(np.eye(8, dtype=np.float32)), [3, 4])
    assert bare.numpy().min() >= -ROUNDING and bare.numpy().max() <= 255 + ROUNDING
    assert (labels > 0.05).sum(axis=1).max() == 2
    # The mean of flat images is the mean of their values by the labels' shares.
    assert np.allclose(images.numpy().mean(axis=(1, 2, 3)), labels @ (numbers * 30), atol=3)


@pytest.mark.parametrize("name", policy_names())
def test_every_policy_that_ships_keeps_shape_and_range(name: str):
    made = pipeline(load_policy(name), SIZE)
    found = made.changed(LARGER, keys_of(np.arange(COUNT), 0, 0))
    assert found.shape == (COUNT, SIZE, SIZE, 3) and found.min() >= 0 and found.max() <= 255


@pytest.mark.parametrize("name", ["color_jitter", "rotation", "cutmix"])
def test_pixels_are_computed_in_float32_beside_a_network_in_half_precision(name: str):
    import keras
    import tensorflow as tf

    step = [{name: {"probability": 1.0}}]
    expected = pipeline(policy_from(step), SIZE)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        found = pipeline(policy_from(step), SIZE)
    finally:
        keras.config.set_dtype_policy(before)
    if found.mixers:
        labels = tf.one_hot(tf.range(COUNT), COUNT)
        both = [
            made.mixed(tf.constant(PICTURES), labels, tf.constant([1, 2]))[0] for made in (found, expected)
        ]
    else:
        keys = keys_of(np.arange(COUNT), 0, 0)
        both = [made.changed(PICTURES, keys) for made in (found, expected)]
    assert np.array_equal(both[0], both[1])
