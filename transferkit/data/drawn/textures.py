"""Textures as fields of one number: noise of a spectrum, stripes, cells, patterns.

Coloured spectra and dead leaves as training pictures: Baradad et al. 2021 (arXiv:2106.05963).
"""

from collections.abc import Callable

import numpy as np
from scipy.spatial import cKDTree

Field = Callable[[int, np.random.Generator], np.ndarray]


def _frequencies(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cycles per picture, across and down, of `rfft2`."""
    return np.meshgrid(np.fft.rfftfreq(size) * size, np.fft.fftfreq(size) * size)


def _filtered(gain: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """White noise through a filter, its middle 98 % stretched to 0..1."""
    noise = np.fft.rfft2(random.normal(size=(size, size)).astype(np.float32))
    return _stretched(np.fft.irfft2(noise * gain, s=(size, size)))


def _stretched(field: np.ndarray) -> np.ndarray:
    low, high = np.percentile(field, [1, 99])
    stretched = (field - low) / max(float(high - low), 1e-9)
    return np.asarray(np.clip(stretched, 0, 1), np.float32)


def spectrum(power: float) -> Field:
    """Noise whose amplitude falls with a power of the frequency: 1 like photographs, 2.5 like clouds."""

    def field(size: int, random: np.random.Generator) -> np.ndarray:
        across, down = _frequencies(size)
        return _filtered(1 / np.maximum(np.hypot(across, down), 1) ** power, size, random)

    return field


def band(cycles: float, spread: float, *, hard: bool) -> Field:
    """Noise of one scale: grain, or blobs and mazes where it is hard."""

    def field(size: int, random: np.random.Generator) -> np.ndarray:
        across, down = _frequencies(size)
        distance = np.log(np.maximum(np.hypot(across, down), 0.1) / (cycles * random.uniform(0.9, 1.1)))
        found = _filtered(np.exp(-0.5 * (distance / spread) ** 2), size, random)
        return (found > random.uniform(0.4, 0.6)).astype(np.float32) if hard else found

    return field


def fibres(cycles: float, narrow: float) -> Field:
    """Noise drawn out along one direction: brushed, or like wood."""

    def field(size: int, random: np.random.Generator) -> np.ndarray:
        across, down = _frequencies(size)
        angle = random.uniform(0, np.pi)
        along, aside = (
            across * np.cos(angle) + down * np.sin(angle),
            down * np.cos(angle) - across * np.sin(angle),
        )
        gain = np.exp(-0.5 * (along / narrow) ** 2) * np.exp(-0.5 * (aside / cycles) ** 2)
        return _filtered(gain, size, random)

    return field


def _grid(size: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates 0..1, turned by any angle."""
    angle = random.uniform(0, np.pi)
    x, y = np.meshgrid(np.arange(size) / size, np.arange(size) / size)
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def pattern(kind: str, cycles: float) -> Field:
    """Stripes, waves, checks, dots, bricks, rings."""

    def field(size: int, random: np.random.Generator) -> np.ndarray:
        x, y = _grid(size, random)
        times = cycles * random.uniform(0.85, 1.15)
        x, y = (each * times + random.uniform(0, 1) for each in (x, y))
        if kind == "stripes":
            return (x % 1 < random.uniform(0.35, 0.65)).astype(np.float32)
        if kind == "waves":
            return (0.5 + 0.5 * np.sin(2 * np.pi * (x + 0.25 * np.sin(2 * np.pi * y / 2)))).astype(np.float32)
        if kind == "checks":
            return ((np.floor(x) + np.floor(y)) % 2).astype(np.float32)
        if kind == "dots":
            return (np.hypot(x % 1 - 0.5, y % 1 - 0.5) < random.uniform(0.2, 0.38)).astype(np.float32)
        if kind == "bricks":
            moved = (x + 0.5 * (np.floor(2 * y) % 2)) % 1
            return ((moved > 0.08) & ((2 * y) % 1 > 0.16)).astype(np.float32)
        return (0.5 + 0.5 * np.sin(2 * np.pi * np.hypot(x - times / 2, y - times / 2))).astype(np.float32)

    return field


def cells(count: int, kind: str) -> Field:
    """Voronoi cells: each of one tone, or dark at the borders, or bright in the middle."""

    def field(size: int, random: np.random.Generator) -> np.ndarray:
        seeds = random.uniform(0, 1, (round(count * random.uniform(0.8, 1.25)), 2))
        x, y = np.meshgrid((np.arange(size) + 0.5) / size, (np.arange(size) + 0.5) / size)
        distance, nearest = cKDTree(seeds).query(np.stack([x.ravel(), y.ravel()], axis=1), k=2)
        if kind == "tones":
            tones = random.uniform(0, 1, len(seeds))[nearest[:, 0]]
            return np.asarray(tones.reshape(size, size), np.float32)
        edge = distance[:, 1] - distance[:, 0] if kind == "borders" else -distance[:, 0]
        return _stretched(edge.reshape(size, size))

    return field


def plain(size: int, random: np.random.Generator) -> np.ndarray:
    """A gradient, or hardly one."""
    x, _ = _grid(size, random)
    return np.asarray(0.5 + random.uniform(-0.4, 0.4) * (x - x.mean()), np.float32)


TEXTURES: tuple[Field, ...] = (
    plain,
    *(spectrum(power) for power in (0.5, 1.0, 1.5, 2.0, 2.5)),
    *(band(cycles, 0.25, hard=hard) for cycles in (5.0, 9.0, 16.0, 28.0) for hard in (False, True)),
    *(fibres(cycles, narrow) for cycles in (6.0, 14.0, 30.0) for narrow in (0.7, 2.5)),
    *(
        pattern(kind, cycles)
        for kind in ("stripes", "waves", "checks", "dots", "bricks", "rings")
        for cycles in (5.0, 11.0)
    ),
    *(cells(count, kind) for count in (25, 120) for kind in ("tones", "borders", "middles")),
)
COUNT = len(TEXTURES)


def texture(number: int, size: int, random: np.random.Generator) -> np.ndarray:
    """A field of a class, float32 `(size, size)` in 0..1."""
    return TEXTURES[number](size, random)
