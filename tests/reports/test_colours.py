"""The colours of the curves, as they are seen by those who see fewer."""

import re
from pathlib import Path

import numpy as np
import pytest

from transferkit.reports import page, svg

# Machado, Oliveira and Fernandes 2009, table 1, severity 1, on linear RGB.
SEEN = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
    "all": np.eye(3),
}  # fmt: skip
# Linear RGB to XYZ by its white; IEC 61966-2-1.
XYZ = np.array([[0.43395, 0.37622, 0.18983], [0.21267, 0.71515, 0.07217], [0.01776, 0.10947, 0.87277]])


def colours(style: str, dark: bool) -> dict[str, np.ndarray]:
    """Linear RGB of each variable."""
    found = re.findall(r"--(\w+):#([0-9a-f]{6}|[0-9a-f]{3})\b", style)
    values = {}
    for name, digits in found if dark else reversed(found):  # the dark ones stand last
        whole = digits if len(digits) == 6 else "".join(2 * one for one in digits)
        share = np.array([int(whole[at : at + 2], 16) for at in (0, 2, 4)]) / 255
        values[name] = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return values


def lab(rgb: np.ndarray) -> np.ndarray:
    white = XYZ @ rgb
    cubes = np.where(white > 216 / 24389, np.cbrt(white), (24389 / 27 * white + 16) / 116)
    return np.array([116 * cubes[1] - 16, 500 * (cubes[0] - cubes[1]), 200 * (cubes[1] - cubes[2])])


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", SEEN)
def test_train_and_val_are_told_apart_by_whoever_looks(kind: str, dark: bool):
    for style in (Path(page.FILES, "style.css").read_text(), svg.STYLE + svg.DARK):
        found = {name: np.clip(SEEN[kind] @ rgb, 0, 1) for name, rgb in colours(style, dark).items()}
        apart = np.linalg.norm(lab(found["train"]) - lab(found["val"]))
        assert apart > 40  # of 100 from black to white; what can just be told apart is some 2


def test_the_measure_sees_what_the_colour_blind_do_not():
    red, green = np.array([0.35, 0.08, 0.0]), np.array([0.13, 0.16, 0.01])
    seen = {
        kind: [np.clip(np.asarray(matrix) @ one, 0, 1) for one in (red, green)]
        for kind, matrix in SEEN.items()
    }
    apart = {kind: np.linalg.norm(lab(pair[0]) - lab(pair[1])) for kind, pair in seen.items()}
    assert apart["all"] > 40 > 20 > apart["deutan"]
