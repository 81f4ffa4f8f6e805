from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import draw
from transferkit.api import augment, finetune
from transferkit.api.augmented import Augmented
from transferkit.api.augmenting import side_of
from transferkit.api.planning import opened_work
from transferkit.recipe import Recipe
from transferkit.training import epochs

pytestmark = pytest.mark.usefixtures("toy")
ASKED = {"backbone": "toy", "weights": "none", "image_size": 32}


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """Eight pictures, each another one, and larger than 15/7 of 32 px."""
    for number in range(8):
        file = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        draw(file, (40 * number % 256, 90, 120), size=80, seed=number)
    return tmp_path / "photos"


def by_name(found: Augmented) -> dict[str, np.ndarray]:
    return dict(zip(found.names, found.versions, strict=True))


def test_a_version_is_what_an_epoch_of_a_run_draws(
    noise: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of all that a run of two epochs trains on, each image stands in the column of its epoch."""
    seen: dict[int, list[np.ndarray]] = {}  # an attempt whose loss explodes begins again
    plain = epochs.epoch_of

    def watched(job, epoch):
        batches = plain(job, epoch)
        seen[epoch] = [image for images, *_ in batches.as_numpy_iterator() for image in images]
        return batches

    monkeypatch.setattr(epochs, "epoch_of", watched)
    asked = ASKED | {"augment": "standard", "strategy": "full", "epochs": 2, "seed": 3, "val_fraction": 0.3}
    finetune(noise, asked, out=tmp_path / "run")
    sheet = augment(noise, ASKED | {"augment": "standard", "seed": 3})
    assert "crops are cut out of images of 69 px" in sheet.lines
    assert len(seen) == 2 and len(seen[0]) >= 4
    for epoch, images in seen.items():
        column = sheet.versions[:, epoch].astype(float)
        for image in images:
            assert np.abs(column - image).max(axis=(1, 2, 3)).min() <= 0.5 + 1e-3
    first = sheet.versions[:, 0].astype(float)
    assert all(np.abs(first - image).max(axis=(1, 2, 3)).min() > 2 for image in seen[1])


def test_names_and_files_beside_an_image_say_nothing(noise: Path):
    before = by_name(augment(noise, ASKED, augment="strong"))
    (noise / "a" / "0.png").rename(noise / "a" / "zz.png")
    (noise / "b" / "1.png").unlink()
    after = by_name(augment(noise, ASKED, augment="strong"))
    assert np.array_equal(before["a/0.png"], after["a/zz.png"])
    assert np.array_equal(before["b/3.png"], after["b/3.png"])


def test_sizes_that_are_small_are_told_nothing_of(photos: Path):
    assert not augment(photos, ASKED, augment="light").cut_from


def test_a_plan_of_before_has_the_side_that_it_had(noise: Path):
    work = opened_work(noise, Recipe.from_mapping(ASKED | {"augment": "standard", "strategy": "full"}))
    assert side_of(work) == work.pipeline.side > 37
    before = replace(work.plan, augment=replace(work.plan.augment, side_px=0))
    assert side_of(replace(work, plan=before)) == side_of(work)
