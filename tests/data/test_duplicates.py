import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from transferkit.data.duplicates import MARK_BYTES, Pair, clusters, describe, find_pairs
from transferkit.errors import DataError


def scene(seed: int, contrast: float = 40.0, side: int = 120) -> Image.Image:
    """A picture with structure at many scales, as photographs have it."""
    random = np.random.default_rng(seed)
    pixels = np.full((side, side, 3), 120.0)
    for cells in (3, 5, 9, 17, 33):
        layer = random.normal(0, 1, (cells, cells, 3)).astype(np.float32)
        for channel in range(3):
            grown = Image.fromarray(layer[..., channel]).resize((side, side), Image.Resampling.BICUBIC)
            pixels[..., channel] += contrast / np.sqrt(cells) * np.asarray(grown)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def saved(image: Image.Image, **options: Any) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return Image.open(file).convert("RGB")


def thumbnails(*images: Image.Image) -> np.ndarray:
    small = [image.resize((32, 32), Image.Resampling.BILINEAR) for image in images]
    return np.stack([np.asarray(image) for image in small])


def pairs(*images: Image.Image, **options: Any) -> list[tuple[int, int, bool]]:
    found = find_pairs(describe(thumbnails(*images)), **options)
    return [(pair.first, pair.second, pair.mirrored) for pair in found]


def one_colour(*colours: tuple[int, int, int]) -> list[Image.Image]:
    return [Image.new("RGB", (64, 64), colour) for colour in colours]


SCENES = [scene(seed) for seed in range(12)]


def test_different_pictures_are_no_pair() -> None:
    assert pairs(*SCENES) == []


def test_a_copy_at_quality_60_is_found() -> None:
    assert pairs(*SCENES, saved(SCENES[4], quality=60)) == [(4, 12, False)]


@pytest.mark.parametrize("size", [(108, 108), (60, 60), (120, 90)])
def test_a_resized_copy_is_found(size: tuple[int, int]) -> None:
    assert pairs(*SCENES, SCENES[4].resize(size, Image.Resampling.BICUBIC)) == [(4, 12, False)]


def test_a_brighter_copy_is_found() -> None:
    assert pairs(*SCENES, SCENES[4].point(lambda value: min(255, round(value * 1.05)))) == [(4, 12, False)]


def test_a_mirrored_copy_is_told_apart() -> None:
    mirrored = saved(ImageOps.mirror(SCENES[4]), quality=60)
    assert pairs(*SCENES, mirrored) == [(4, 12, True)]
    assert pairs(*SCENES, mirrored, mirrored=False) == []


def test_a_copy_turned_upside_down_is_no_pair() -> None:
    assert pairs(*SCENES, ImageOps.flip(SCENES[4])) == []


def test_what_agrees_only_where_it_is_light_and_dark_is_no_pair() -> None:
    coarse = scene(0, contrast=50.0).resize((4, 4), Image.Resampling.BOX).resize((120, 120))
    first, second = (Image.blend(coarse, scene(seed, contrast=8.0), 0.5) for seed in (1, 2))
    assert np.corrcoef(thumbnails(first, second).reshape(2, -1))[0, 1] > 0.94
    assert pairs(first, second) == []


def test_a_nearly_symmetric_picture_is_listed_once_as_what_it_is_nearer_to() -> None:
    half = np.asarray(SCENES[0])[:, :60]
    whole = Image.fromarray(np.concatenate([half, half[:, ::-1]], axis=1))
    image = Image.blend(whole, SCENES[1], 0.1)
    assert pairs(image, saved(image, quality=90)) == [(0, 1, False)]
    assert pairs(image, saved(ImageOps.mirror(image), quality=90)) == [(0, 1, True)]


def test_the_same_shape_on_another_ground_is_no_pair() -> None:
    faint, strong = scene(3, contrast=3.0), scene(3, contrast=60.0)
    assert pairs(faint, saved(faint, quality=95)) == [(0, 1, False)]
    assert pairs(faint, strong) == []
    assert pairs(faint, faint.point(lambda value: value + 60)) == []


def test_plain_pictures_are_not_the_same_for_being_plain() -> None:
    random = np.random.default_rng(0)
    tiles = [Image.fromarray(np.rint(random.normal(90, 1, (64, 64, 3))).astype(np.uint8)) for _ in range(300)]
    assert pairs(*tiles) == []
    assert pairs(*one_colour((90, 90, 90), (90, 90, 91), (200, 30, 40))) == []


def test_equal_pictures_are_listed_with_the_first_of_them() -> None:
    grey, red = one_colour((90, 90, 90), (200, 30, 40))
    assert pairs(red, grey, grey, grey) == [(1, 2, False), (1, 3, False)]
    assert pairs(SCENES[0], *[SCENES[1]] * 3) == [(1, 2, False), (1, 3, False)]


def test_equal_plain_pictures_do_not_multiply() -> None:
    marks = describe(np.full((3000, 32, 32, 3), 90, np.uint8))
    assert len(find_pairs(marks)) == 2999


def test_many_copies_of_one_picture_stay_one_cluster_with_a_bounded_number_of_pairs() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (2500, 32, 32, 3))
    copies = np.clip(thumbnails(SCENES[0]) + np.rint(noise), 0, 255).astype(np.uint8)
    found = find_pairs(describe(copies), most=3)
    assert 2499 <= len(found) <= 3 * 2500
    assert (clusters(2500, found) == 0).all()


def test_the_order_of_the_pictures_does_not_matter() -> None:
    images = [*SCENES, *(saved(image, quality=60) for image in SCENES), ImageOps.mirror(SCENES[3])]
    order = np.random.default_rng(1).permutation(len(images))
    marks = describe(thumbnails(*images))
    straight = {(frozenset((p.first, p.second)), p.mirrored, p.difference) for p in find_pairs(marks)}
    mixed = {
        (frozenset((int(order[p.first]), int(order[p.second]))), p.mirrored, p.difference)
        for p in find_pairs(marks[order])
    }
    assert len(straight) == 14
    assert mixed == straight


def test_clusters_are_transitive_and_named_by_their_smallest_row() -> None:
    found = [Pair(5, 6, False, 0.1), Pair(1, 4, False, 0.1), Pair(2, 4, True, 0.1)]
    assert clusters(7, found).tolist() == [0, 1, 1, 3, 1, 5, 5]
    assert clusters(3, []).tolist() == [0, 1, 2]


def test_a_mark_takes_its_bytes() -> None:
    marks = describe(thumbnails(*SCENES))
    assert marks.nbytes == len(SCENES) * MARK_BYTES
    assert MARK_BYTES <= 768


def test_no_pictures_have_no_pairs() -> None:
    assert find_pairs(describe(np.empty((0, 32, 32, 3), np.uint8))) == []


def test_other_arrays_are_refused() -> None:
    with pytest.raises(DataError) as refused:
        describe(np.zeros((2, 16, 16, 3), np.uint8))
    assert str(refused.value) == "thumbnails are uint8 (2, 16, 16, 3); uint8 (n, 32, 32, 3) is needed"
    with pytest.raises(DataError) as refused:
        find_pairs(np.zeros((2, 7), np.int16))
    assert str(refused.value) == "marks are int16 (2, 7); int16 (n, 165) from `describe` is needed"


@pytest.mark.parametrize("name", ["satellite", "signs"])
def test_real_pictures_are_found_again_and_alone(shared_data: Path, name: str) -> None:
    files = sorted((shared_data / name).rglob("*.[jJ][pP][gG]"))[::20]
    images = [Image.open(path).convert("RGB") for path in files]
    found = pairs(*images, *(saved(image, quality=60) for image in images))
    planted = {(row, len(images) + row, False) for row in range(len(images))}
    assert len(planted & set(found)) >= 0.95 * len(planted)
    assert len(set(found) - planted) <= 0.01 * len(images)
