"""Small pictures for a report: photographs as the model saw them, and heat laid over them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from transferkit.evaluation.gallery import Picture

SIDE_PX = 176
QUALITY = 80
# Of the heat: dark, orange, yellow, by places 0, .5 and 1; its brightness rises evenly, so that it reads in
# grey and with any colour vision.
RAMP = np.array([[40, 10, 80], [225, 90, 40], [255, 240, 120]], np.float64)
# How much of the hottest place is the heat's colour.
DENSITY = 0.65


def thumbnail(pixels: np.ndarray, target: Path) -> None:
    """Write an image uint8 `(S, S, 3)` as a JPEG of at most 176 px."""
    _save(small(pixels), target)


def overlay(pixels: np.ndarray, heat: np.ndarray, target: Path) -> None:
    """Write an image with heat over it as a JPEG of at most 176 px."""
    _save(heated(pixels, heat), target)


def heated(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """An image uint8 in grey, at most 176 px, with heat `(h, w)` in 0..1 over it."""
    from PIL import Image

    own = small(pixels).astype(np.float64)
    grey = (own @ [0.299, 0.587, 0.114])[..., None].repeat(3, axis=2)
    side = (own.shape[1], own.shape[0])
    smooth = Image.fromarray(heat.astype(np.float32)).resize(side, Image.Resampling.BICUBIC)
    warmth = np.clip(np.asarray(smooth, np.float64), 0.0, 1.0)[..., None]
    share = DENSITY * warmth**0.7
    return np.asarray((grey * (1 - share) + _colours(warmth[..., 0]) * share).round(), np.uint8)


def _colours(warmth: np.ndarray) -> np.ndarray:
    places = np.linspace(0, 1, len(RAMP))
    return np.stack([np.interp(warmth, places, RAMP[:, channel]) for channel in range(3)], axis=-1)


def small(pixels: np.ndarray) -> np.ndarray:
    """An image uint8 `(S, S, 3)` of at most 176 px."""
    from PIL import Image

    image = Image.fromarray(pixels)
    if max(image.size) > SIDE_PX:
        image = image.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _save(pixels: np.ndarray, target: Path) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(target, format="JPEG", quality=QUALITY, optimize=True)


def lost(some: Iterable[Picture], folder: Path) -> tuple[int, int]:
    """How many files of some pictures are in a run's folder no more, and how many the run drew."""
    files = {file for one in some for file in (one.thumbnail, one.heat, *one.like) if file}
    return sum(not (folder / file).is_file() for file in files), len(files)
