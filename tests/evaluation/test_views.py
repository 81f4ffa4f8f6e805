import numpy as np
import pytest

from transferkit.evaluation import VIEWS
from transferkit.evaluation.views import averaged, gain, passes, scales_of, top1

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 256, 256, 3), np.uint8)


def test_kinds_have_their_numbers_of_passes():
    # At the input's own scale all five crops are one: 2 + 4 x 10.
    assert [passes(views, 224) for views in VIEWS] == [1, 2, 10, 42]


def test_ten_crops_are_the_corners_and_the_middle_and_their_mirrors():
    (scale,) = scales_of("10crop", 224)
    assert scale.side == 256
    places = {(window.top, window.left) for window in scale.windows}
    assert places == {(0, 0), (0, 32), (32, 0), (32, 32), (16, 16)}
    cuts = [window.cut(IMAGES, 224) for window in scale.windows]
    assert all(cut.shape == (2, 224, 224, 3) for cut in cuts)
    for plain, mirrored in zip(cuts[::2], cuts[1::2], strict=True):
        assert np.array_equal(mirrored, plain[:, :, ::-1])
    assert np.array_equal(cuts[6], IMAGES[:, 32:, 32:])


def test_multiscale_has_the_scales_of_resnet():
    assert [scale.side for scale in scales_of("multiscale", 224)] == [224, 256, 384, 480, 640]


def test_flip_is_the_plain_image_and_its_mirror():
    (scale,) = scales_of("flip", 64)
    assert scale.side is None
    assert [window.mirrored for window in scale.windows] == [False, True]


def test_the_mean_of_logits_is_taken_whatever_number_softmax_has_lost():
    logits = np.random.default_rng(1).normal(0, 3, (4, 5, 3))

    def softmax(values: np.ndarray) -> np.ndarray:
        return np.exp(values) / np.exp(values).sum(axis=-1, keepdims=True)

    assert np.allclose(averaged(softmax(logits), False), softmax(logits.mean(axis=0)))
    sigmoid = 1 / (1 + np.exp(-logits))
    assert np.allclose(averaged(sigmoid, True), 1 / (1 + np.exp(-logits.mean(axis=0))))


@pytest.mark.parametrize("several", [False, True])
def test_certain_views_do_not_break_the_mean(several: bool):
    found = averaged(np.array([[[1.0, 0.0]], [[0.4, 0.6]]]), several)
    assert np.isfinite(found).all() and found[0, 0] > found[0, 1]


def test_the_gain_is_of_the_same_images_and_its_interval_holds_it():
    targets = np.arange(200) % 2
    plain = np.eye(2)[np.where(np.arange(200) < 40, 1 - targets, targets)]
    viewed = np.eye(2)[np.where(np.arange(200) < 20, 1 - targets, targets)]
    found = gain(plain, viewed, targets, top1)
    assert found.value == pytest.approx(0.1)
    # Twenty of 200 images gained: a binomial share's deviation is .0212.
    assert found.low == pytest.approx(0.1 - 1.96 * 0.0212, abs=0.01)
    assert found.high == pytest.approx(0.1 + 1.96 * 0.0212, abs=0.01)
    assert gain(plain, viewed, targets, top1) == found


def test_equal_predictions_gain_nothing_but_few_of_them_prove_little():
    same = np.eye(2)[np.arange(80) % 2]
    found = gain(same, same, np.arange(80) % 2, top1)
    # Bonett and Price: one image more of each kind, of 82.
    assert found.value == 0 and found.high == pytest.approx(1.959964 * (2 / 82 / 82) ** 0.5)
    assert found.low == -found.high
    assert gain(same[:8], same[:8], np.arange(8) % 2, top1).high > 0.2
