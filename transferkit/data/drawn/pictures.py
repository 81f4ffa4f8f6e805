"""Whole pictures: a figure with a skin on a ground, or a picture full of leaves.

Shape, texture and colour are drawn apart from each other and all are labels, so that a network that is to
tell them cannot ignore any of them.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from transferkit.data.drawn import contours, fractals, leaves, palettes, solids, textures

# Label -> classes. Shapes are numbered through: fractals, contours, solids, leaves.
FIGURES = fractals.COUNT + contours.COUNT + solids.COUNT
HEADS = {
    "shape": FIGURES + leaves.COUNT,
    "skin": textures.COUNT,
    "colour": palettes.COUNT,
    "ground": textures.COUNT,
    "ground_colour": palettes.COUNT,
}
# Of the pictures so many are full of leaves.
LEAVES = 0.15
LEAST_SIZE = 16
SMALLEST, LARGEST = 0.45, 1.0  # a figure's side by the picture's


@dataclass(frozen=True)
class Picture:
    """A picture and what is in it.

    Attributes:
        pixels: uint8 `(S, S, 3)`, RGB.
        labels: a class number for each of `HEADS`.
    """

    pixels: np.ndarray
    labels: dict[str, int]


@lru_cache(maxsize=FIGURES)
def _class_of(shape: int) -> tuple[Any, Any]:
    """What draws a figure of a shape, and its class."""
    if shape < fractals.COUNT:
        return fractals.fractal, fractals.system(shape)
    if (number := shape - fractals.COUNT) < contours.COUNT:
        return contours.contour, contours.contour_class(number)
    return solids.solid, solids.solid_class(number - contours.COUNT)


def draw(number: int, *, size: int = 96, seed: int = 0) -> Picture:
    """The picture of a number; of two seeds they have nothing in common but the classes.

    It is the same each time with the same versions of NumPy, SciPy and Pillow.

    Args:
        number: of the picture, from 0.
        size: side in pixels, 16 at least; made to be looked at from 48 to 224.
        seed: of the collection, from 0.

    Raises:
        ValueError: a negative number or seed, or a size under 16.
    """
    if size < LEAST_SIZE:
        raise ValueError(f"size {size}: a picture has {LEAST_SIZE} pixels a side at least.")
    random = np.random.default_rng([seed, number])
    labels = {name: int(random.integers(count)) for name, count in HEADS.items()}
    full = random.random() < LEAVES
    labels["shape"] = FIGURES + int(random.integers(leaves.COUNT)) if full else int(random.integers(FIGURES))
    skin = textures.texture(labels["skin"], size, random)
    ground = textures.texture(labels["ground"], size, random)
    own = palettes.palette(labels["colour"], random)
    below = palettes.palette(labels["ground_colour"], random).colour(ground)
    if full:
        pixels = _covered(labels["shape"] - FIGURES, skin, own, below, random)
    else:
        pixels = _placed(labels["shape"], skin, own, below, random)
    noisy = pixels + random.normal(0, random.uniform(0, 0.04), pixels.shape)
    return Picture((np.clip(noisy, 0, 1) * 255).astype(np.uint8), labels)


def _covered(
    kind: int, skin: np.ndarray, own: palettes.Palette, below: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Leaves of the own colours, each a little lighter or darker, its skin on it; between them the ground."""
    found = leaves.leaves(kind, len(skin), random)
    tones = random.uniform(0, 1, int(found.max()) + 1)[found]
    coloured = own.colour(0.6 * tones + 0.4 * skin)
    return np.where((found > 0)[:, :, None], coloured, below)


def _placed(
    shape: int, skin: np.ndarray, own: palettes.Palette, below: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """A figure somewhere on the ground, its skin shaded as the figure is."""
    size = len(skin)
    side = round(size * random.uniform(SMALLEST, LARGEST))
    draws, kind = _class_of(shape)
    mask, shade = draws(kind, side, random)
    top, left = random.integers(0, size - side + 1, 2)
    here = np.s_[top : top + side, left : left + side]
    deep = random.uniform(0.5, 0.9)  # how much of the brightness is the figure's own
    coloured = own.colour(skin[here]) * (1 - deep + deep * shade)[:, :, None]
    pixels = below.copy()
    pixels[here] = mask[:, :, None] * coloured + (1 - mask)[:, :, None] * below[here]
    return pixels
