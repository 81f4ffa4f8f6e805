"""Drawn pictures: each kind against its definition, and all the same for a seed."""

import colorsys
from math import pi

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes

from transferkit.data.drawn import (
    HEADS,
    contours,
    draw,
    fractals,
    leaves,
    palettes,
    pictures,
    solids,
    textures,
)

GOLDEN = {"shape": 41, "skin": 0, "colour": 19, "ground": 5, "ground_colour": 17}
GOLDEN_MEAN = 131.4


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_picture_is_that_of_its_seed_and_number():
    first, again = draw(3, size=48, seed=1), draw(3, size=48, seed=1)
    assert first.pixels.dtype == np.uint8 and first.pixels.shape == (48, 48, 3)
    assert np.array_equal(first.pixels, again.pixels) and first.labels == again.labels
    for other in (draw(4, size=48, seed=1), draw(3, size=48, seed=2)):
        assert not np.array_equal(first.pixels, other.pixels)


def test_a_number_is_what_it_was():
    """Else every collection that was trained on is another."""
    found = draw(3, size=48, seed=1)
    assert found.labels == GOLDEN
    assert found.pixels.mean() == pytest.approx(GOLDEN_MEAN, abs=2)
    with pytest.raises(ValueError, match="16 pixels a side at least"):
        draw(3, size=8)


def test_labels_are_in_range_and_one_says_nothing_of_another():
    found = [draw(number, size=24).labels for number in range(800)]
    table = {name: np.array([one[name] for one in found]) for name in HEADS}
    assert all(0 <= values.min() and values.max() < HEADS[name] for name, values in table.items())
    assert all(len(np.unique(values)) > 0.8 * HEADS[name] for name, values in table.items())
    full = table["shape"] >= pictures.FIGURES
    assert np.bincount(table["shape"][~full] // 10).std() < 15  # no figure twice as often as others
    assert abs(full.mean() - pictures.LEAVES) < 0.04
    numbers = np.array([table[name] for name in ("shape", "skin", "colour", "ground", "ground_colour")])
    between = np.corrcoef(numbers[:, ~full]) - np.eye(5)
    assert np.abs(between).max() < 0.15


class Plain:
    """A palette that shows its class in red and what it is given in green."""

    def __init__(self, number: int, random: np.random.Generator) -> None:
        self.red = (1 + number) / 25

    def colour(self, values: np.ndarray) -> np.ndarray:
        return np.stack([np.full_like(values, self.red), values, np.zeros_like(values)], axis=-1)


def test_a_picture_shows_its_labels_where_they_are_of(monkeypatch: pytest.MonkeyPatch):
    """Skin and colour on the figure, which may be shaded, the others around it."""
    monkeypatch.setattr(palettes, "palette", Plain)
    monkeypatch.setattr(textures, "texture", lambda number, size, _: np.full((size, size), (1 + number) / 40))
    right: list[bool] = []
    for number in range(40):
        found = draw(number, size=64, seed=5)
        labels, pixels = found.labels, found.pixels / 255
        around = np.array([(1 + labels["ground_colour"]) / 25, (1 + labels["ground"]) / 40, 0])
        on_ground = np.abs(pixels - around).max(axis=2) < 0.12  # noise has up to .04
        assert on_ground.sum() > 10  # leaves leave little
        assert np.median(pixels[on_ground], axis=0) == pytest.approx(around, abs=0.05)
        figure = pixels[~on_ground]
        if (
            fractals.COUNT <= labels["shape"] < pictures.FIGURES and len(figure) >= 100
        ):  # not thin, of one tone
            expected = (1 + labels["skin"]) / 40 / ((1 + labels["colour"]) / 25)
            shown = np.median(figure[:, 1] / np.maximum(figure[:, 0], 0.01))  # shade takes from both alike
            right.append(abs(shown - expected) < 0.1 * expected)
    # A thin outline may be mostly edge, half figure and half ground.
    assert len(right) > 15 and np.mean(right) > 0.85


@pytest.mark.parametrize("shape", range(0, pictures.FIGURES, 7))
def test_every_figure_is_there_and_not_everywhere(shape: int):
    draws, kind = pictures._class_of(shape)
    mask, shade = draws(kind, 64, random())
    assert mask.shape == shade.shape == (64, 64)
    assert 0.01 < mask.mean() < 0.95 and 0 <= shade.min() and shade.max() <= 1
    assert shade[mask == 1].std() > 0.01


@pytest.mark.parametrize("number", range(fractals.COUNT))
def test_the_maps_of_a_fractal_are_contractive_and_within_the_published_range(number: int):
    maps = fractals.system(number)
    values = np.linalg.svd(maps[:, :, :2], compute_uv=False)
    assert values.max() < 1
    assert (5 + len(maps)) / 2 <= values[:, 0].sum() + 2 * values[:, 1].sum() <= (6 + len(maps)) / 2
    assert fractals._filled(fractals._points(maps, random())) >= fractals.LEAST_FILLED


def test_three_halvings_towards_the_corners_give_sierpinskis_triangle():
    half = 0.5 * np.eye(2)
    maps = np.stack([np.hstack([half, [[x], [y]]]) for x, y in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5))])
    points = fractals._points(maps, random())
    points = points - points.min(axis=0)
    points = points / points.sum(axis=1).max()  # frames are cut at half a percent
    # The middle triangle, x < 1/2, y < 1/2, x + y > 1/2, is empty, and so is that of each corner.
    for x, y, side in ((0, 0, 1.0), (0, 0, 0.5), (0.5, 0, 0.5), (0, 0.5, 0.5)):
        inner = (points - (x, y)) / side
        hole = (inner < 0.47).all(axis=1) & (inner.sum(axis=1) > 0.55) & (inner > 0.03).all(axis=1)
        assert hole.sum() == 0
    assert fractals._filled(points) < 0.5


@pytest.mark.parametrize("number", [0, 4, 9, 12, 25])
def test_a_contour_has_the_waves_or_corners_of_its_class(number: int):
    kind = contours.contour_class(number)
    outline = contours._outline(kind, random())
    radius = np.hypot(*outline.T)
    assert radius.max() == pytest.approx(1)
    if kind.corners:
        assert len(outline) == 2 * kind.waves and (radius > 0.99).sum() == kind.waves
    else:
        power = np.abs(np.fft.rfft(radius - radius.mean()))
        assert kind.waves in np.argsort(power)[-2:]


def test_a_round_solid_is_a_disc_brightest_towards_the_light():
    ball = solids.Solid(up=1.0, around=1.0, axes=(1.0, 1.0, 1.0), taper=0.0)
    mask, shade = solids.solid(ball, 80, random(3))
    assert mask.mean() == pytest.approx(pi / 4, abs=0.03)
    lit = np.argwhere(shade > np.quantile(shade[mask == 1], 0.95)).mean(axis=0)
    dark = np.argwhere((mask == 1) & (shade <= np.quantile(shade[mask == 1], 0.05))).mean(axis=0)
    assert np.linalg.norm(lit - dark) > 20
    box = solids.Solid(up=0.2, around=0.2, axes=(1.0, 1.0, 1.0), taper=0.0)
    points, normals = solids._surface(box, 1)
    assert np.abs(points).max(axis=-1).mean() > 0.9
    assert ((points * normals).sum(axis=-1) > -1e-6).all()


@pytest.mark.parametrize("size", [48, 160])
def test_a_solid_has_no_holes(size: int):
    for number in range(solids.COUNT):
        mask, _ = solids.solid(solids.solid_class(number), size, random(number))
        assert mask.sum() / binary_fill_holes(mask).sum() > 0.97


def test_solids_are_seen_from_everywhere():
    turns = np.array([solids._rotation(random(seed)) for seed in range(2000)])
    assert np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(3)) and (np.linalg.det(turns) > 0).all()
    assert np.abs((turns > 0).mean(axis=0) - 0.5).max() < 0.05


def test_no_fractal_wears_the_edge_of_its_frame():
    for number in range(0, fractals.COUNT, 5):
        mask, _ = fractals.fractal(fractals.system(number), 64, random(number))
        edge, inside = mask[:, 0].mean(), mask[:, 1:6].mean()
        assert edge < 2 * inside + 0.1


def test_leaves_lie_upon_each_other_and_their_sizes_follow_the_cube():
    found = leaves.leaves(0, 96, random())
    assert len(np.unique(found)) > 10
    radii = leaves._radii(20000, False, random())
    assert leaves.SMALLEST <= radii.min() and radii.max() <= leaves.LARGEST
    # Density r^-3 between a and b: the share above r is (r^-2 - b^-2) / (a^-2 - b^-2).
    low, high = leaves.SMALLEST**-2, leaves.LARGEST**-2
    for radius in (0.05, 0.1, 0.2):
        assert (radii > radius).mean() == pytest.approx((radius**-2 - high) / (low - high), abs=0.01)
    assert len(set(leaves._radii(50, True, random()))) == 1


@pytest.mark.parametrize("number", range(textures.COUNT))
def test_a_texture_varies_within_its_range(number: int):
    field = textures.texture(number, 64, random(1))
    assert field.shape == (64, 64) and field.dtype == np.float32
    assert 0 <= field.min() and field.max() <= 1
    assert field.std() > 0.005 and not np.array_equal(field, textures.texture(number, 64, random(2)))


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_noise_falls_with_the_power_of_the_frequency(power: float):
    size, found = 128, []
    for seed in range(8):
        field = textures.spectrum(power)(size, random(seed))
        amplitude = np.abs(np.fft.rfft2(field - field.mean()))
        across, down = textures._frequencies(size)
        distance = np.hypot(across, down)
        rings = [amplitude[(distance >= r) & (distance < r * 1.4)].mean() for r in (4, 8, 16, 32)]
        found.append(-np.polyfit(np.log([4, 8, 16, 32]), np.log(rings), 1)[0])
    assert np.mean(found) == pytest.approx(power, abs=0.15)


@pytest.mark.parametrize("number", range(palettes.COUNT))
def test_a_palette_has_the_hue_and_tone_of_its_class(number: int):
    made = palettes.palette(number, random(number))
    hue, saturation, _ = colorsys.rgb_to_hsv(*map(float, made.middle))
    off = (hue * palettes.HUES - number % palettes.HUES + palettes.HUES / 2) % palettes.HUES
    assert abs(off - palettes.HUES / 2) <= 0.76
    low, high = palettes.TONES[number // palettes.HUES]
    assert low - 0.01 <= saturation <= high + 0.01
    values = made.colour(np.array([0.0, 0.5, 1.0]))
    assert np.abs(values[0] - values[2]).max() > 0.1 and values.shape == (3, 3)
