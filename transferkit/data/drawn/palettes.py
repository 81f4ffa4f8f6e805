"""Colours: ramps from dark to light around a hue."""

import colorsys
from dataclasses import dataclass

import numpy as np

# Hues around the circle, each vivid and dull.
HUES, TONES = 12, ((0.75, 1.0), (0.15, 0.4))
COUNT = HUES * len(TONES)
STEPS = 16


@dataclass(frozen=True)
class Palette:
    """A ramp of colours.

    Attributes:
        number: its class, 0 to `COUNT` - 1.
        ramp: `(STEPS, 3)` in 0..1, RGB.
    """

    number: int
    ramp: np.ndarray

    def colour(self, values: np.ndarray) -> np.ndarray:
        """Values 0..1 of any shape as RGB 0..1, one more axis behind."""
        return np.asarray(self.ramp[np.clip((values * STEPS).astype(np.int64), 0, STEPS - 1)])

    @property
    def middle(self) -> np.ndarray:
        """`(3,)`, the colour in the middle of the ramp."""
        return np.asarray(self.ramp[STEPS // 2])


def palette(number: int, random: np.random.Generator) -> Palette:
    """A palette of a class: saturation and first hue lie in its own range; the last hue turns a little."""
    hue = (number % HUES + random.uniform(-0.5, 0.5)) / HUES
    low, high = TONES[number // HUES]
    saturation = random.uniform(low, high)
    dark, light = random.uniform(0.05, 0.45), random.uniform(0.6, 1.0)
    turn = random.uniform(-0.5, 0.5) / HUES  # shadows and lights of a thing differ a little in hue
    ends = np.array([dark, light]) if random.random() < 0.5 else np.array([light, dark])
    steps = np.linspace(0, 1, STEPS)
    values = ends[0] + steps * (ends[1] - ends[0])
    ramp = [
        colorsys.hsv_to_rgb((hue + turn * s) % 1.0, saturation, v) for s, v in zip(steps, values, strict=True)
    ]
    return Palette(number, np.array(ramp, dtype=np.float32))
