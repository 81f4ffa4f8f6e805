"""Solids under a light: superquadrics (Barr 1981), seen from anywhere."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

COUNT = 20
# Points on the surface, in longitude and latitude, for each `FINE` pixels of the picture's side.
AROUND, UP, FINE = 220, 130, 64


@dataclass(frozen=True)
class Solid:
    """A class: exponents of roundness (0.2 boxy, 1 round, 2.5 pinched), half axes, and how it tapers."""

    up: float
    around: float
    axes: tuple[float, float, float]
    taper: float


def solid_class(number: int) -> Solid:
    """The class of a number, the same always."""
    random = np.random.default_rng([13, number])
    exponents = (0.2, 0.6, 1.0, 1.7, 2.5)
    wide, deep, high = random.uniform(0.4, 1.0, 3)
    return Solid(
        up=exponents[number % 5],
        around=exponents[(number // 5 + number) % 5],
        axes=(wide, deep, high),
        taper=float(random.choice([0.0, 0.5, -0.5])),
    )


def _power(values: np.ndarray, exponent: float) -> np.ndarray:
    return np.asarray(np.sign(values) * np.abs(values) ** exponent)


def _even(angles: np.ndarray, exponent: float) -> np.ndarray:
    """Angles whose powers point evenly into all directions: else flat faces stay empty in their middle."""
    inverse = 1 / exponent
    return np.asarray(np.arctan2(_power(np.sin(angles), inverse), _power(np.cos(angles), inverse)))


@lru_cache(maxsize=4 * COUNT)
def _surface(kind: Solid, fine: int) -> tuple[np.ndarray, np.ndarray]:
    """Points `(U, A, 3)` and outward normals; so many of them by `fine`."""
    up = _even(np.linspace(-np.pi / 2, np.pi / 2, UP * fine), kind.up)[:, None]
    around = _even(np.linspace(-np.pi, np.pi, AROUND * fine), kind.around)[None, :]
    flat = _power(np.cos(up), kind.up)
    x = flat * _power(np.cos(around), kind.around) * kind.axes[0]
    y = flat * _power(np.sin(around), kind.around) * kind.axes[1]
    z = _power(np.sin(up), kind.up) * kind.axes[2] * np.ones_like(around)
    narrow = 1 - kind.taper * z / kind.axes[2] * 0.8
    points = np.stack([x * narrow, y * narrow, z], axis=-1)
    normals = np.cross(np.gradient(points, axis=1), np.gradient(points, axis=0))
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return points, normals / np.maximum(length, 1e-9)


def _rotation(random: np.random.Generator) -> np.ndarray:
    """Any, each as likely: QR's signs are its own choice, so they are taken out (Mezzadri 2007)."""
    axes, upper = np.linalg.qr(random.normal(size=(3, 3)))
    axes = axes * np.sign(np.diag(upper))
    axes[:, 0] *= np.sign(np.linalg.det(axes))
    return np.asarray(axes)


def solid(kind: Solid, size: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A figure of a class: turned, lit from one side, shiny or dull.

    Returns:
        mask and shade, float `(size, size)` in 0..1; the shade is its brightness.
    """
    points, normals = (each.reshape(-1, 3) for each in _surface(kind, -(-size // FINE)))
    turn = _rotation(random)
    points, normals = points @ turn.T, normals @ turn.T
    seen = normals[:, 2] > 0
    points, normals = points[seen], normals[seen]
    reach = np.abs(points[:, :2]).max()
    spots = ((points[:, :2] / reach + 1) / 2 * (size - 1)).round().astype(int)
    light = random.normal(size=3)
    light[2] = abs(light[2]) + 0.3
    light /= np.linalg.norm(light)
    facing = np.clip(normals @ light, 0, 1)
    shine = random.uniform(0, 0.6) * facing ** random.uniform(8, 40)
    bright = np.clip(random.uniform(0.1, 0.4) + 0.7 * facing + shine, 0, 1)
    nearest = np.argsort(points[:, 2], kind="stable")  # what is nearer is written later
    shade = np.zeros((size, size), dtype=np.float32)
    mask = np.zeros_like(shade)
    shade[spots[nearest, 1], spots[nearest, 0]] = bright[nearest]
    mask[spots[:, 1], spots[:, 0]] = 1
    return _closed(mask, shade)


def _closed(mask: np.ndarray, shade: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels between points that no point fell on, filled from their neighbours."""
    for _ in range(2):
        padded, tones = np.pad(mask, 1), np.pad(shade * mask, 1)
        count = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
        total = tones[:-2, 1:-1] + tones[2:, 1:-1] + tones[1:-1, :-2] + tones[1:-1, 2:]
        holes = (mask == 0) & (count >= 3)
        shade = np.where(holes, total / np.maximum(count, 1), shade)
        mask = np.where(holes, 1.0, mask)
    return mask.astype(np.float32), shade.astype(np.float32)
