from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from tests.training.test_linear import blobs, uneven
from transferkit.errors import TrainingError
from transferkit.training import discriminant
from transferkit.training.discriminant import fit_discriminant, out_of_fold, temperature
from transferkit.training.linear import score, softmax
from transferkit.training.scaling import standard


def logits(fitted: SimpleNamespace, features: np.ndarray) -> np.ndarray:
    """Less what all classes have in common."""
    found = features @ fitted.kernel.astype(np.float64) + fitted.bias
    return found - found.mean(axis=1, keepdims=True)


# More images than channels is solved by channels, fewer by images.
@pytest.mark.parametrize(("images", "channels"), [(120, 12), (24, 90)])
@pytest.mark.parametrize("shrinkage", [0.1, 0.7])
def test_decisions_are_those_of_scikit_learn(images, channels, shrinkage):
    features, labels = uneven(images, channels)
    scaling = standard(features)
    fitted = fit_discriminant(features, labels, 3, shrinkage=shrinkage)
    known = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)
    known.fit(scaling.apply(features), labels)
    others = blobs(30, channels, 3, seed=1)[0]
    expected = known.decision_function(scaling.apply(others))
    expected -= expected.mean(axis=1, keepdims=True)
    assert np.allclose(logits(fitted, others), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_equal_priors_take_away_what_the_counts_added():
    features, labels = uneven(60, 12)
    plain, equal = (fit_discriminant(features, labels, 3, equal_priors=equal) for equal in (False, True))
    shares = np.log(np.bincount(labels) / len(labels))
    moved = logits(plain, features[:1]) - logits(equal, features[:1])
    assert np.allclose(moved, shares - shares.mean(), atol=1e-4)


@pytest.mark.parametrize("channels", [12, 90])
def test_the_shrinkage_is_ledoit_and_wolfs_of_what_the_means_leave(channels):
    features, labels = blobs(60, channels, 3)
    scaled = standard(features).apply(features)
    means = np.stack([scaled[labels == label].mean(0) for label in range(3)])
    expected = ledoit_wolf_shrinkage(scaled - means[labels], assume_centered=True)
    assert fit_discriminant(features, labels, 3).shrinkage == pytest.approx(expected)


@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("channels", [12, 90])
def test_inner_products_alone_give_the_same_decisions_out_of_fold(channels, equal):
    features, labels = uneven(40, channels)
    scaling, folds = standard(features), np.arange(len(labels)) % 3
    scaled = scaling.apply(features)
    found = out_of_fold(
        scaled @ scaled.T, labels, folds, channels, intensities=(None, 0.5), equal_priors=equal
    )
    for place, shrinkage in enumerate((None, 0.5)):
        for fold in range(3):
            own = folds == fold
            fitted = fit_discriminant(
                features[~own], labels[~own], 3, shrinkage=shrinkage, equal_priors=equal, scaling=scaling
            )
            one = found[place, own] - found[place, own].mean(axis=1, keepdims=True)
            assert np.allclose(logits(fitted, features[own]), one, rtol=1e-3, atol=1e-3 * np.abs(one).max())


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    features, labels = blobs(60, 5, 3)
    whole = fit_discriminant(features, labels, 3)
    monkeypatch.setattr(discriminant, "CHUNK", 7)
    again = fit_discriminant(features, labels, 3)
    assert np.allclose(again.kernel, whole.kernel) and again.shrinkage == pytest.approx(whole.shrinkage)


def test_the_temperature_is_where_the_log_loss_is_lowest():
    # Two classes, logits (z, 0), right three times of four; a sixth of the targets is spread over both:
    # sigmoid(f z) = 5/6 * 3/4 + 1/6 * 1/2 = 17/24 at f z = log(17/7).
    each = np.array([[4.0, 0.0]] * 4)
    assert temperature(each, np.array([0, 0, 0, 1])) == pytest.approx(np.log(17 / 7) / 4, rel=1e-3)
    # Weighing the wrong one as much as all the others leaves even odds.
    assert temperature(each, np.array([0, 0, 0, 1]), np.array([1, 1, 1, 3])) < 1e-3


def test_answers_that_are_all_right_are_not_taken_for_certain():
    # A tenth of the targets is spread: sigmoid(f z) = 9/10 + 1/20 at f z = log 19.
    assert temperature(np.array([[1.0, 0.0]] * 8), np.zeros(8, int)) == pytest.approx(np.log(19), rel=1e-3)


def test_tempering_gives_other_probabilities_and_the_same_answers():
    (features, labels), (others, truth) = blobs(16, 8, 4), blobs(200, 8, 4, seed=1)
    fitted = fit_discriminant(features, labels, 4)
    mild = fitted.tempered(temperature(logits(fitted, others), truth))
    before, after = logits(fitted, others), logits(mild, others)
    assert np.array_equal(before.argmax(1), after.argmax(1))
    losses = [score(softmax(found), truth)[1] for found in (after, before)]
    assert losses[0] < losses[1]


@pytest.mark.parametrize("channels", [6, 20])
def test_classes_of_images_that_are_all_alike_are_told_apart(channels):
    features = np.repeat(np.eye(3, channels, dtype=np.float32), 4, axis=0)
    labels = np.repeat(np.arange(3), 4)
    found = fit_discriminant(features, labels, 3).probabilities(features)
    assert np.isfinite(found).all() and np.array_equal(found.argmax(1), labels)


def test_features_that_are_not_finite_are_refused():
    features, labels = blobs(20, 5, 2)
    features[3, 2] = np.inf
    with pytest.raises(TrainingError, match="not finite"):
        fit_discriminant(features, labels, 2)
