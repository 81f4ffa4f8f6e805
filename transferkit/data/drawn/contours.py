"""Nested outlines whose radius waves, after RCDB (Kataoka et al. 2022, arXiv:2206.09132)."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

COUNT = 30
POINTS = 180
# Drawn so much larger and then made smaller, for smooth edges.
FINER = 2


@dataclass(frozen=True)
class Contour:
    """A class: how many waves or corners go round, how deep, how many outlines there are, filled or not."""

    waves: int
    depth: float
    second: int
    corners: bool
    lines: int
    filled: bool


def contour_class(number: int) -> Contour:
    """The class of a number, the same always."""
    random = np.random.default_rng([11, number])
    return Contour(
        waves=3 + number % 10,
        depth=float(random.uniform(0.1, 0.45)),
        second=int(random.integers(2, 14)),
        corners=number // 10 == 1,
        lines=int(random.integers(2, 7)),
        filled=number // 10 != 2,
    )


def _outline(kind: Contour, random: np.random.Generator) -> np.ndarray:
    """`(n, 2)` around 0, at most 1 away."""
    if kind.corners:
        angles = np.arange(2 * kind.waves) * np.pi / kind.waves
        radius = np.where(np.arange(2 * kind.waves) % 2, 1 - 2 * kind.depth * 0.9, 1.0)
    else:
        angles = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
        radius = 1 + kind.depth * np.sin(kind.waves * angles)
        radius += 0.4 * kind.depth * np.sin(kind.second * angles + random.uniform(0, 2 * np.pi))
    radius = radius / np.abs(radius).max()
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)


def contour(kind: Contour, size: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A figure of a class, turned and stretched.

    Returns:
        mask and shade, float `(size, size)` in 0..1; the shade falls from outline to outline.
    """
    side = size * FINER
    mask, shade = (Image.new("L", (side, side)) for _ in range(2))
    draw_mask, draw_shade = ImageDraw.Draw(mask), ImageDraw.Draw(shade)
    shape = _outline(kind, random) * random.uniform(0.6, 1.0, 2)
    turn = random.uniform(0, 2 * np.pi)
    shape = shape @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    width = max(1, round(side * random.uniform(0.01, 0.04)))
    for line in range(kind.lines):
        scale = 1 - line / kind.lines
        points = [tuple(point) for point in (shape * scale + 1) * (side - 1) / 2]
        tone = round(255 * (0.25 + 0.75 * scale))
        if kind.filled:
            draw_mask.polygon(points, fill=255)
            draw_shade.polygon(points, fill=tone)
        else:
            draw_mask.line([*points, points[0]], fill=255, width=width)
            draw_shade.line([*points, points[0]], fill=tone, width=width)
    small = [np.asarray(each.reduce(FINER), dtype=np.float32) / 255 for each in (mask, shade)]
    return small[0], small[1]
