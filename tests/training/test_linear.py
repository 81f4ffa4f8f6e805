import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from transferkit.errors import TrainingError
from transferkit.training.linear import Tried, choose, fit_linear, score, softmax


def blobs(images: int, channels: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(0, 0.7, (classes, channels))
    labels = np.arange(images) % classes
    scales = np.geomspace(0.01, 10, channels)
    features = (centres[labels] + random.normal(0, 1, (images, channels))) * scales + 3
    return features.astype(np.float32), labels


# Two classes: scikit-learn has one column w where we have w/2 and -w/2, whose penalty is half of its.
@pytest.mark.parametrize(
    ("images", "channels", "classes", "columns"),
    [(300, 12, 3, 1), (40, 90, 3, 1), (60, 200, 5, 1), (200, 6, 2, 2)],
)
def test_each_strength_gives_the_classifier_of_scikit_learn(
    images: int, channels: int, classes: int, columns: int
):
    train, val = blobs(images, channels, classes), blobs(60, channels, classes, seed=1)
    fitted = fit_linear(train, val, classes, 15)
    mean, scale = train[0].mean(0, dtype=np.float64), train[0].std(0, dtype=np.float64)
    reference = LogisticRegression(C=columns / fitted.l2, max_iter=10_000, tol=1e-9)
    reference.fit((train[0] - mean) / scale, train[1])
    expected = reference.predict_proba((val[0] - mean) / scale)
    assert np.abs(fitted.probabilities(val[0]) - expected).max() < 5e-3


def test_the_chosen_strength_is_told_with_what_it_gives():
    train, val = blobs(60, 30, 3), blobs(30, 30, 3, seed=1)
    fitted = fit_linear(train, val, 3, 17)
    (chosen,) = (tried for tried in fitted.path if tried.l2 == fitted.l2)
    found = score(fitted.probabilities(val[0]), val[1])
    assert found == (pytest.approx(chosen.val_top1), pytest.approx(chosen.val_nll, abs=1e-5))


def test_one_val_image_does_not_outweigh_the_loss():
    # 46 images, best 40/46 = .870, standard error .050: 39/46 = .848 is as good, 36/46 = .783 is not.
    path = [Tried(1e3, 40 / 46, 0.84), Tried(1e1, 39 / 46, 0.35), Tried(1e0, 36 / 46, 0.30)]
    assert choose(path, 46) == 1
    assert choose(path, 4600) == 0


def test_all_strengths_are_tried_log_spaced():
    fitted = fit_linear(blobs(60, 5, 3), blobs(30, 5, 3, seed=1), 3, 21)
    steps = np.diff(np.log([tried.l2 for tried in fitted.path]))
    assert len(fitted.path) == 21
    assert np.allclose(steps, steps[0])


def test_a_channel_that_never_changes_does_no_harm():
    train, val = blobs(60, 5, 3), blobs(30, 5, 3, seed=1)
    plain = fit_linear(train, val, 3, 15)
    padded = [(np.concatenate([x, np.full((len(x), 2), 7.7, np.float32)], 1), y) for x, y in (train, val)]
    again = fit_linear(padded[0], padded[1], 3, 15)
    assert np.allclose(again.probabilities(padded[1][0]), plain.probabilities(val[0]), atol=1e-3)


def test_tiny_features_count_as_much_as_large_ones():
    train, val = blobs(60, 5, 3), blobs(30, 5, 3, seed=1)
    plain = fit_linear(train, val, 3, 15)
    small = fit_linear((train[0] * 1e-9, train[1]), (val[0] * 1e-9, val[1]), 3, 15)
    assert np.allclose(small.probabilities(val[0] * 1e-9), plain.probabilities(val[0]), atol=1e-3)


def test_features_that_are_not_finite_are_refused():
    train, val = blobs(60, 5, 3), blobs(30, 5, 3)
    train[0][0, 0] = np.nan
    with pytest.raises(TrainingError, match="not finite"):
        fit_linear(train, val, 3, 15)


def test_softmax_of_large_logits_is_finite():
    assert np.allclose(softmax(np.array([[1e4, 0.0], [-1e4, -1e4]])), [[1, 0], [0.5, 0.5]])
