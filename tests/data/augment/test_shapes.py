"""Steps that move pixels: where they may go."""

from typing import Any

import numpy as np
import pytest

from tests.data.augment.steps import COUNT, PICTURES, SIZE, changed


def white_square() -> np.ndarray:
    """A white square of 8 pixels in the middle of black."""
    image = np.zeros_like(PICTURES)
    image[:, 20:28, 20:28] = 255
    return image


def centre(images: np.ndarray) -> np.ndarray:
    """Place (row, column) of the mean brightness, `(n, 2)`."""
    light = images.sum(axis=-1)
    places = np.arange(SIZE)
    whole = light.sum(axis=(1, 2))
    return np.stack(
        [(light.sum(axis=2) * places).sum(axis=1) / whole, (light.sum(axis=1) * places).sum(axis=1) / whole],
        1,
    )


def test_translation_shifts_by_its_share_at_most():
    moved = (
        centre(changed([{"translation": {"x": 0.25, "y": 0.1, "fill": "nearest"}}], white_square())) - 23.5
    )
    assert np.abs(moved[:, 1]).max() <= 12.1 and np.abs(moved[:, 1]).max() > 9
    assert np.abs(moved[:, 0]).max() <= 4.9 and np.abs(moved[:, 0]).max() > 3.5


@pytest.mark.parametrize("step", [{"rotation": {"degrees": 20}}, {"zoom": {"scale": [0.5, 2.0]}}])
def test_rotation_and_zoom_keep_the_middle(step: dict[str, Any]):
    found = changed([{name: values | {"fill": "nearest"} for name, values in step.items()}], white_square())
    assert np.allclose(centre(found), 23.5, atol=0.3)


def test_rotation_turns_by_its_angle_at_most():
    bar = np.zeros_like(PICTURES)
    bar[:, 22:26] = 255
    found = changed([{"rotation": {"degrees": 20, "fill": "nearest"}}], bar)[..., 0]
    columns = np.arange(SIZE)
    # Slope of the bar's middle line, between columns 12 and 36.
    rows = (found * columns[:, None]).sum(axis=1) / found.sum(axis=1)
    angles = np.degrees(np.arctan((rows[:, 36] - rows[:, 12]) / 24))
    assert np.abs(angles).max() <= 20.5 and angles.min() < -12 and angles.max() > 12


def test_zoom_scales_areas_within_its_range():
    found = changed([{"zoom": {"scale": [0.5, 2.0], "fill": "nearest"}}], white_square())
    sides = np.sqrt((found[..., 0] / 255).sum(axis=(1, 2)))
    assert 3.8 < sides.min() < 6 and 11 < sides.max() < 16.2


def test_shear_moves_rows_against_each_other_and_keeps_them_level():
    bar = np.zeros_like(PICTURES)
    bar[:, :, 22:26] = 255
    found = changed([{"shear": {"x": 0.3, "y": 0.0, "fill": "nearest"}}], bar)[..., 0]
    columns = (found * np.arange(SIZE)).sum(axis=2) / found.sum(axis=2)
    slopes = (columns[:, 34] - columns[:, 14]) / 20
    assert 0.15 < np.abs(slopes).max() <= 0.31 and slopes.min() < 0 < slopes.max()


def test_elastic_and_perspective_change_shapes_and_not_colours():
    flat = np.full_like(PICTURES, 90)
    assert np.allclose(changed([{"elastic": {"strength": 0.5}}], flat), 90, atol=0.01)
    assert np.abs(changed("elastic") - PICTURES).mean() > 1
    found = changed("perspective", flat)
    assert np.isclose(found, 90, atol=1).mean() > 0.6 and found.max() < 128.5


def places(images: np.ndarray) -> np.ndarray:
    """Row and column, in pixels, that each pixel of changed `coordinates` was taken from, `(n, S, S, 2)`."""
    return images[..., :2] / 255 * (SIZE - 1)


def test_perspective_keeps_lines_straight_and_moves_corners_by_half_its_strength_at_most():
    strength, own = 0.4, places(coordinates(SIZE))
    found = places(changed([{"perspective": {"strength": strength, "probability": 1}}], coordinates(SIZE)))
    # Keras moves a corner by up to half of the strength times its own coordinates: of 47 pixels 9.4 at most,
    # and what is taken from a pixel moves by as much, more where the picture shrinks.
    moved = np.abs(found - own)[:, 8:-8, 8:-8].max(axis=(1, 2, 3))
    assert 4 < moved.max() < 0.5 * strength * 47 / (1 - strength)
    line = found[:, 24, 12:36]
    ends = line[:, -1] - line[:, 0]
    apart = line - line[:, :1]
    away = (ends[:, None, 0] * apart[..., 1] - ends[:, None, 1] * apart[..., 0]) / np.linalg.norm(
        ends, axis=1
    )[:, None]
    assert np.abs(away).max() < 0.1, "a row is a straight line still"
    steps = np.linalg.norm(np.diff(line, axis=1), axis=2)
    assert (np.ptp(steps, axis=1) > 0.02).mean() > 0.5, "but not evenly spaced: it is no affine change"


def test_elastic_moves_neighbours_together_and_rows_by_another_field_than_columns():
    strength, own = 0.5, places(coordinates(SIZE))
    moved = (places(changed([{"elastic": {"strength": strength}}], coordinates(SIZE))) - own)[:, 8:-8, 8:-8]
    # White noise smoothed keeps 1 / (2 sqrt(pi)), times .1 of the strength of the side: .68 pixels here.
    assert moved.std() == pytest.approx(0.1 * strength * SIZE * 0.2821, rel=0.1)
    assert abs(np.corrcoef(moved[..., 0].ravel(), moved[..., 1].ravel())[0, 1]) < 0.1
    # Noise smoothed by s pixels has correlation exp(-1 / (4 s^2)) from one pixel to the next: here s = 1.2.
    beside = np.corrcoef(moved[:, 1:, :, 0].ravel(), moved[:, :-1, :, 0].ravel())[0, 1]
    assert beside == pytest.approx(np.exp(-1 / (4 * 1.2**2)), abs=0.05)


@pytest.mark.parametrize(
    ("fill", "outside"), [("reflect", 0.0), ("nearest", 0.0), ("wrap", 3.0), ("constant", 127.5)]
)
def test_what_lies_outside_is_filled(fill: str, outside: float):
    import tensorflow as tf

    from transferkit.data.augment.elastic import taken_from

    image = tf.constant(
        np.repeat(np.arange(4.0, dtype=np.float32)[:, None, None] + np.zeros((4, 4, 1)), 3, 2)
    )
    image = tf.cast(image, tf.float32)
    rows, columns = np.mgrid[0:4, 0:4]
    for shift, expected in ((-1.0, [outside, 0, 1, 2]), (-0.5, [outside / 2, 0.5, 1.5, 2.5])):
        at = np.stack([rows + shift, columns], -1).astype(np.float32)
        found = taken_from(image, tf.constant(at), fill).numpy()
        assert np.allclose(found[:, 1, 0], expected), shift


def window_of(gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(upper left corner, sides) in shares of the larger image, of crops of `coordinates`."""
    corner = gradient[:, 0, 0, :2]
    return corner / 255, (gradient[:, -1, -1, :2] - corner) / 255


def coordinates(side: int) -> np.ndarray:
    """Each pixel's row and column as shares of 255."""
    rows, columns = np.mgrid[0 : 255 : side * 1j, 0 : 255 : side * 1j]  # type: ignore[misc]
    return np.repeat(np.stack([rows, columns, rows], -1)[None], COUNT, 0).astype(np.float32)


def test_a_crop_has_its_share_of_the_side_and_lies_inside():
    found = changed([{"random_crop": {"scale": [8 / 7, 8 / 7]}}], coordinates(56)[:COUNT])
    corner, sides = window_of(found)
    # 49 of 56 pixels as 48: between the middles of the outermost lie 47 steps, of 55 in the whole.
    assert np.isclose(np.median(sides), 47 * 49 / 48 / 55, atol=1e-4)
    assert np.allclose(sides, 47 * 49 / 48 / 55, atol=5e-4)  # at the rim there is less to average
    assert corner.min() >= 0 and (corner + sides).max() <= 1.0001
    assert corner.min() < 0.03 and corner.max() > 0.11 and np.abs(corner[:, 0] - corner[:, 1]).max() > 0.05


def test_crops_draw_their_scale():
    sides = window_of(changed([{"random_crop": {"scale": [8 / 7, 15 / 7]}}], coordinates(56)))[1]
    assert np.allclose(sides[:, 0], sides[:, 1], atol=1e-4)
    assert 0.45 < sides.min() < 0.55 and 0.78 < sides.max() < 0.88


def test_resized_crops_have_their_area_and_shape():
    step = {"random_resized_crop": {"area": [0.3, 0.6], "ratio": [0.8, 1.25]}}
    corner, sides = window_of(changed([step], coordinates(56)))
    area, ratio = sides.prod(axis=1), sides[:, 1] / sides[:, 0]
    assert 0.26 < area.min() < 0.36 and 0.5 < area.max() < 0.61
    assert 0.78 < ratio.min() < 0.86 and 1.16 < ratio.max() < 1.28
    assert corner.min() >= 0 and (corner + sides).max() <= 1.0001
