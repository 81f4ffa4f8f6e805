import numpy as np

from transferkit.data.augment.keys import image_numbers, keys_of

IMAGES = np.arange(2000) * 977


def test_a_key_is_a_function_of_seed_epoch_image_and_time():
    first = keys_of(IMAGES, 3, 1)
    assert first.dtype == np.int32 and first.shape == (2000, 2)
    assert np.array_equal(keys_of(IMAGES[::-1], 3, 1)[::-1], first)
    others = [keys_of(IMAGES, 4, 1), keys_of(IMAGES, 3, 2), keys_of(IMAGES, 1, 3), keys_of(IMAGES, 3, 1, 1)]
    for other in others:
        assert not (other == first).all(axis=1).any()


def test_no_two_images_share_a_key():
    assert len(np.unique(keys_of(IMAGES, 0, 0), axis=0)) == len(IMAGES)


def test_every_bit_of_a_key_is_as_often_0_as_1():
    keys = np.concatenate([keys_of(IMAGES, seed, 0) for seed in range(5)]).view(np.uint32)
    ones = [(keys >> bit & 1).mean() for bit in range(32)]
    # 20,000 draws: five standard errors.
    assert np.abs(np.array(ones) - 0.5).max() < 5 * 0.5 / np.sqrt(keys.size)


def test_an_image_is_known_by_its_content():
    numbers = image_numbers(["ab" * 32, "cd" * 32, "ab" * 32])
    assert numbers[0] == numbers[2] != numbers[1] and (numbers >= 0).all()
