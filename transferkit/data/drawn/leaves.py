"""Dead leaves: shapes that lie upon each other, few large and many small (Lee, Mumford and Huang 2001)."""

import numpy as np
from PIL import Image, ImageDraw

# Corners of the leaves (0: discs; a negative number is a star), and whether they are of one size.
KINDS = tuple((corners, one) for corners in (0, 3, 4, -5, 6) for one in (False, True))
COUNT = len(KINDS)
FEWEST, MOST = 25, 160
# Radii as shares of the picture, their density falling with the third power.
SMALLEST, LARGEST = 0.03, 0.35


def _radii(count: int, one: bool, random: np.random.Generator) -> np.ndarray:
    if one:
        return np.full(count, random.uniform(0.06, 0.16))
    low, high = SMALLEST**-2, LARGEST**-2
    return (low + random.uniform(0, 1, count) * (high - low)) ** -0.5


def leaves(number: int, size: int, random: np.random.Generator) -> np.ndarray:
    """A picture full of leaves of a class: which leaf lies on top.

    Returns:
        int64 `(size, size)`, a number from 0 for each leaf; 0 is the ground.
    """
    corners, one = KINDS[number]
    count = int(random.integers(FEWEST, MOST))
    picture = Image.new("I", (size, size))
    draw = ImageDraw.Draw(picture)
    radii = _radii(count, one, random) * size
    middles = random.uniform(-0.1, 1.1, (count, 2)) * size
    turns = random.uniform(0, 2 * np.pi, count)
    for leaf, (radius, (x, y), turn) in enumerate(zip(radii, middles, turns, strict=True), start=1):
        if corners == 0:
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=leaf)
            continue
        points = 2 * -corners if corners < 0 else corners
        angles = turn + np.arange(points) * 2 * np.pi / points
        reach = radius * np.where((np.arange(points) % 2 == 1) & (corners < 0), 0.45, 1.0)
        outline = np.stack([x + reach * np.cos(angles), y + reach * np.sin(angles)], axis=1)
        draw.polygon([tuple(point) for point in outline], fill=leaf)
    return np.asarray(picture, dtype=np.int64)
