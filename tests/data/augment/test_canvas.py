"""How large images are that crops are cut from, and what the crops make of their pixels."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from transferkit.data.augment.canvas import canvas_px
from transferkit.data.augment.keys import keys_of
from transferkit.data.augment.pipeline import pipeline
from transferkit.data.augment.policy import load_policy, policy_from
from transferkit.data.decode import DecodePolicy, decode

CROP = DecodePolicy(size_px=224)
LARGE = np.array([[640, 480], [4000, 3000]])


def sides(short: int, long: int = 10_000) -> np.ndarray:
    return np.array([[long, short]])


@pytest.mark.parametrize(
    ("policy", "plain", "images", "expected"),
    [
        ("standard", CROP, LARGE, 480),  # ResNet's: a short side of 480 for an input of 224
        ("light", CROP, LARGE, 256),  # its one scale is 8/7, or 1.143 as files have it:
        ("light", DecodePolicy(size_px=528), 2 * LARGE, 603),  # 603.504 is no larger image
        ([], CROP, LARGE, 256),
        ("standard", CROP, sides(200), 256),  # smaller images are not enlarged beyond what they were
        ("standard", CROP, sides(300), 320),  # the next seventh of the input
        ("standard", CROP, sides(320), 320),
        ("standard", CROP, np.array([[0, 0]]), 256),  # not known
        ("standard", CROP, np.repeat([[300, 300], [9, 9]], [6, 5], 0), 320),  # the median
        ("standard", DecodePolicy(size_px=224, resize="pad"), sides(100, 2000), 420),  # 224 * 15/8
        ("standard", DecodePolicy(size_px=224, resize="pad"), sides(100, 100), 224),
        ("standard", DecodePolicy(size_px=224, resize="stretch"), sides(300), 320),
        ([{"random_resized_crop": {"area": [0.64, 1], "ratio": [1, 1]}}], CROP, LARGE, 280),  # 224 / .8
        ([{"random_resized_crop": {"area": [0.64, 1]}}], CROP, LARGE, 323),  # 224 / sqrt(.64 * 3/4)
        ([{"random_resized_crop": {"area": [0.01, 1]}}], CROP, LARGE, 480),  # the most there is
        (["horizontal_flip", "random_crop"], CROP, LARGE, 256),  # the crop does not come first
    ],
)
def test_images_are_as_large_as_the_smallest_crop_needs(
    policy: Any, plain: DecodePolicy, images: np.ndarray, expected: int
):
    named = load_policy(policy) if isinstance(policy, str) else policy_from(policy)
    assert canvas_px(named, plain, images) == expected


def crops(scale: float, side: int, image: np.ndarray) -> np.ndarray:
    made = pipeline(policy_from([{"random_crop": {"scale": [scale, scale]}}]), 64, side=side)
    return made.changed(np.repeat(image[None], 8, 0), keys_of(np.arange(8), 0, 0))


def test_a_crop_at_the_largest_scale_has_the_pixels_of_the_file(tmp_path: Any):
    """A pattern of one pixel is still there; of images of 8/7 of the input next to nothing of it is left."""
    rows, columns = np.mgrid[0:137, 0:137]
    board = np.repeat((255 * ((rows + columns) % 2))[..., None], 3, -1).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "board.png")
    plain = DecodePolicy(size_px=64)
    side = canvas_px(load_policy("standard"), plain, np.array([[137, 137]]))
    assert side == 137
    contrast = [
        crops(side / 64, side, decode(tmp_path / "board.png", policy)).std(axis=(1, 2, 3)).max()
        for policy in (plain.crops_from(side), plain.canvas)
    ]
    assert contrast[0] > 60 and contrast[1] < 20


def test_a_crop_of_more_pixels_is_averaged():
    rows, columns = np.mgrid[0:146, 0:146]
    board = np.repeat((255.0 * ((rows + columns) % 2))[..., None], 3, -1).astype(np.float32)
    assert np.abs(crops(8 / 7, 146, board)[:, 1:-1, 1:-1] - 127.5).max() < 20  # 2 pixels make one


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, np.uint32])
def test_a_crop_of_bytes_is_that_of_the_same_numbers(kind: type):
    image = np.random.default_rng(0).integers(0, 256, (80, 80, 3)).astype(np.uint8)
    assert np.array_equal(crops(1.5, 80, image), crops(1.5, 80, image.astype(kind)))


def test_a_mask_is_cropped_as_numbers():
    image = np.random.default_rng(0).integers(0, 2, (80, 80, 3)).astype(np.uint8)
    assert np.array_equal(crops(1.5, 80, image), crops(1.5, 80, image.astype(bool)))
