from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import indexed
from transferkit.api.pixels import pixels_score
from transferkit.data.decode import DecodePolicy
from transferkit.data.index import Index
from transferkit.recipe import Recipe


@dataclass
class Extractor:
    policy: DecodePolicy = field(default_factory=lambda: DecodePolicy(size_px=32))


@dataclass
class Work:
    """What is asked of a run's work."""

    index: Index
    labels: np.ndarray
    recipe: Recipe = field(default_factory=lambda: Recipe(weights="none"))
    multilabel: bool = False
    class_names: tuple[str, ...] = ("blue", "green", "red")
    extractor: Extractor = field(default_factory=Extractor)

    @property
    def rows(self) -> dict[str, np.ndarray]:
        """Every third image is in test, the next in val."""
        places = np.arange(len(self.labels))
        return {name: places[places % 3 == part] for part, name in enumerate(("test", "val", "train"))}


@pytest.fixture
def work(photos: Path, own_cache: Path) -> Any:
    index = indexed(photos, own_cache)
    return Work(index, index.targets({"blue": 0, "green": 1, "red": 2}, 3))


def test_colours_are_told_apart_by_their_pixels_and_noise_is_not(work: Any):
    assert pixels_score(work)["val"] > 0.9 and pixels_score(work)["test"] > 0.9
    work.labels = np.random.default_rng(0).permutation(work.labels)
    assert pixels_score(work)["test"] < 0.7


def test_a_backbone_that_has_learned_is_not_held_against_pixels(work: Any):
    work.recipe = Recipe(weights="imagenet")
    assert pixels_score(work) == {}


def test_an_image_that_is_gone_leaves_it_out(work: Any):
    (work.index.root / work.index.files["path"][0]).unlink()
    assert pixels_score(work) == {}
