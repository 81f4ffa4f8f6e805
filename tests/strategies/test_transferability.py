"""LogME and H-score against what they are defined as, computed the slow way."""

import time

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf as reference_shrinkage

from transferkit.strategies.transferability import h_score, ledoit_wolf, logme


def blobs(images: int, channels: int, apart: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.arange(images) % 3
    return random.normal(size=(images, channels)) + apart * random.normal(size=(3, channels))[labels], labels


def evidence(features: np.ndarray, target: np.ndarray) -> float:
    """The highest log p(y) of y ~ N(0, I / beta + F F' / alpha), found by scipy over both precisions."""
    images = len(target)

    def negative(logs: np.ndarray) -> float:
        covariance = np.eye(images) / np.exp(logs[1]) + features @ features.T / np.exp(logs[0])
        return -float(multivariate_normal.logpdf(target, np.zeros(images), covariance))

    starts = ([0.0, 0.0], [3.0, 3.0], [2.0, -2.0], [6.0, 2.0])
    options = {"xatol": 1e-8, "fatol": 1e-10, "maxiter": 5000}
    return -min(minimize(negative, start, method="Nelder-Mead", options=options).fun for start in starts)


@pytest.mark.parametrize(("images", "channels"), [(30, 4), (20, 50)])
def test_logme_is_the_highest_evidence_an_image(images: int, channels: int):
    features, labels = blobs(images, channels)
    expected = np.mean([evidence(features, np.eye(3)[labels][:, c]) for c in range(3)]) / images
    assert logme(features, labels) == pytest.approx(expected, abs=1e-6)


def test_logme_by_hand():
    # f = (1, 0, 0), y = (1, 0, 1), variances a of the weight and b of the noise: y has covariance
    # diag(a + b, b, b), so -2 log p = 3 log 2 pi + log(a + b) + 1 / (a + b) + 2 log b + 1 / b, which is
    # least at a + b = 1 and b = 1/2.
    features, labels = np.array([[1.0], [0.0], [0.0]]), np.array([[1], [0], [1]])
    expected = -(3 * np.log(2 * np.pi) + (0 + 1) + (2 * np.log(0.5) + 2)) / 2 / 3
    assert logme(features, labels) == pytest.approx(expected, abs=1e-6)


def test_logme_takes_several_labels_an_image_and_leaves_out_constant_classes():
    features, labels = blobs(30, 4)
    matrix = np.column_stack([labels == 0, labels == 2, np.ones(30), np.zeros(30)]).astype(float)
    each = [logme(features, matrix[:, [number]]) for number in (0, 1)]
    assert logme(features, matrix) == pytest.approx(np.mean(each))
    assert np.isnan(logme(features, matrix[:, 2:]))


@pytest.mark.parametrize(("images", "channels"), [(60, 5), (24, 40)])
def test_h_score_is_the_trace_of_its_definition(images: int, channels: int):
    features, labels = blobs(images, channels)
    covariance, shrinkage = reference_shrinkage(features)
    means = np.stack([features[labels == c].mean(axis=0) for c in range(3)]) - features.mean(axis=0)
    between = means.T @ means / 3
    expected = np.trace(np.linalg.solve(covariance, (1 - shrinkage) * between))
    assert h_score(features, labels) == pytest.approx(expected, rel=1e-6)


def test_h_score_by_hand():
    # Class means -1 and 1, each image 1 away from its own: variance 2, of which 1 lies between the
    # classes. With one channel there is nothing to shrink towards.
    features = np.array([[-2.0], [0.0], [0.0], [2.0]])
    assert h_score(features, np.array([0, 0, 1, 1])) == pytest.approx(0.5)


def test_h_score_says_that_several_labels_have_none():
    with pytest.raises(ValueError, match=r"where an image has one class; got labels \(4, 2\)"):
        h_score(np.zeros((4, 3)), np.zeros((4, 2)))


def test_features_that_do_not_vary_score_nothing():
    labels = np.arange(12) % 3
    assert h_score(np.ones((12, 5)), labels) == 0.0
    assert np.isfinite(logme(np.zeros((12, 5)), labels))


@pytest.mark.parametrize(("images", "channels"), [(50, 7), (10, 80)])
def test_shrinkage_is_that_of_scikit_learn(images: int, channels: int):
    features, _ = blobs(images, channels)
    centred = features - features.mean(axis=0)
    covariance = centred.T @ centred / images
    fourth = float(np.sum(np.square(np.square(centred).sum(axis=1))))
    squares = float(np.square(covariance).sum())
    found = ledoit_wolf(float(np.trace(covariance)), squares, fourth, images, channels)
    assert found == pytest.approx(reference_shrinkage(features)[1], rel=1e-9)


def test_features_that_tell_the_classes_apart_score_higher():
    near, far = blobs(90, 20, apart=0.2), blobs(90, 20, apart=1.0)
    assert logme(*far) > logme(*near) + 0.1
    assert h_score(*far) > h_score(*near) + 0.1


def test_many_channels_cost_what_few_images_do():
    features, labels = blobs(100, 20_000)
    started = time.process_time()
    logme(features, labels), h_score(features, labels)
    # A covariance of 20,000 channels would take 3 GB and minutes.
    assert time.process_time() - started < 5
