from pathlib import Path

import numpy as np
from PIL import Image

from transferkit.reports.pictures import heated, overlay, small, thumbnail

RED = np.full((300, 300, 3), (250, 30, 30), np.uint8)


def test_pictures_are_small_jpegs(tmp_path: Path):
    thumbnail(RED, tmp_path / "a.jpg")
    overlay(RED, np.ones((3, 3)), tmp_path / "b.jpg")
    for name in ("a.jpg", "b.jpg"):
        with Image.open(tmp_path / name) as image:
            assert image.size == (176, 176) and image.format == "JPEG"
    assert small(RED[:40, :40]).shape == (40, 40, 3)


def test_where_nothing_speaks_the_image_is_grey_and_where_all_does_it_glows():
    heat = np.zeros((2, 2))
    heat[0, 0] = 1
    found = heated(RED[:100, :100], heat).astype(int)
    cold, hot = found[95, 95], found[5, 5]
    assert np.ptp(cold) <= 2 and hot[0] - hot[2] > 60
