import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from transferkit.data.balance import class_counts, class_weights, sample_weights
from transferkit.errors import TrainingError
from transferkit.training.linear import LinearClassifier, Tried, choose, fit_linear, score, softmax


def blobs(images: int, channels: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(0, 0.7, (classes, channels))
    labels = np.arange(images) % classes
    scales = np.geomspace(0.01, 10, channels)
    features = (centres[labels] + random.normal(0, 1, (images, channels))) * scales + 3
    return features.astype(np.float32), labels


def uneven(images: int, channels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three classes of 8 : 2 : 1."""
    features, labels = blobs(3 * images, channels, 3, seed)
    random = np.random.default_rng(seed)
    keep = random.random(len(labels)) < np.array([0.8, 0.2, 0.1])[labels]
    return features[keep], labels[keep]


def several(images: int, channels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Four classes, from half of the images to few, drawn each by itself."""
    features, _ = blobs(images, channels, 1, seed)
    slopes = np.random.default_rng(98).normal(0, 3 / channels**0.5, (channels, 4))
    scales = np.geomspace(0.01, 10, channels)
    logits = (features - 3) / scales @ slopes - np.array([0, 1, 2, 3])
    chance = 1 / (1 + np.exp(-logits))
    return features, (np.random.default_rng(seed).random(chance.shape) < chance).astype(np.float64)


def reference(
    fitted: LinearClassifier, train: tuple, val: np.ndarray, columns: int = 1, **options: np.ndarray
) -> np.ndarray:
    """What scikit-learn says of val at the strength that was chosen."""
    mean, scale = train[0].mean(0, dtype=np.float64), train[0].std(0, dtype=np.float64)
    found = LogisticRegression(C=columns / fitted.l2, max_iter=10_000, tol=1e-9)
    found.fit((train[0] - mean) / scale, train[1], **options)
    return found.predict_proba((val - mean) / scale)


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
    expected = reference(fitted, train, val[0], columns)
    assert np.abs(fitted.probabilities(val[0]) - expected).max() < 5e-3


def test_the_chosen_strength_is_told_with_what_it_gives():
    train, val = blobs(60, 30, 3), blobs(30, 30, 3, seed=1)
    fitted = fit_linear(train, val, 3, 17)
    (chosen,) = (tried for tried in fitted.path if tried.l2 == fitted.l2)
    found = score(fitted.probabilities(val[0]), val[1])
    assert found == (pytest.approx(chosen.val_score), pytest.approx(chosen.val_nll, abs=1e-5))


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


def test_weights_count_an_image_as_often_as_they_say():
    train, val = uneven(150, 12), uneven(60, 12, seed=1)
    weights = class_weights(class_counts(train[1], 3))
    fitted = fit_linear(train, val, 3, 15, weights=weights)
    expected = reference(fitted, train, val[0], sample_weight=sample_weights(train[1], weights))
    assert np.abs(fitted.probabilities(val[0]) - expected).max() < 5e-3
    assert np.abs(fitted.probabilities(val[0]) - reference(fitted, train, val[0])).max() > 0.1


def test_weights_of_one_change_nothing():
    train, val = uneven(80, 12), uneven(60, 12, seed=1)
    plain, weighted = fit_linear(train, val, 3, 15), fit_linear(train, val, 3, 15, weights=np.ones(3))
    assert plain.l2 == weighted.l2
    assert np.allclose(plain.probabilities(val[0]), weighted.probabilities(val[0]), atol=1e-5)


def test_a_strength_is_judged_by_scores_without_weights():
    train, val = uneven(150, 12), uneven(60, 12, seed=1)
    weights = class_weights(class_counts(val[1], 3))
    fitted = fit_linear(train, val, 3, 15, weights=weights)
    (chosen,) = (tried for tried in fitted.path if tried.l2 == fitted.l2)
    found = fitted.probabilities(val[0])
    assert chosen.val_score == np.mean(found.argmax(1) == val[1])
    assert chosen.val_nll == pytest.approx(-np.log(found[np.arange(len(found)), val[1]]).mean(), abs=1e-4)


@pytest.mark.parametrize(("images", "channels"), [(300, 12), (60, 200)])
@pytest.mark.parametrize("weighted", [False, True])
def test_several_classes_are_that_many_binary_regressions(images: int, channels: int, weighted: bool):
    train, val = several(images, channels), several(80, channels, seed=1)
    weights = class_weights(class_counts(train[1], 4)) if weighted else None
    fitted = fit_linear(train, val, 4, 15, weights=weights)
    options = {"sample_weight": sample_weights(train[1], weights)} if weighted else {}
    assert fitted.activation == "sigmoid"
    for number in range(4):
        expected = reference(fitted, (train[0], train[1][:, number]), val[0], **options)[:, 1]
        assert np.abs(fitted.probabilities(val[0])[:, number] - expected).max() < 5e-3


def test_several_classes_take_the_strength_of_the_lowest_cross_entropy():
    random = np.random.default_rng(0)
    truth, common = np.arange(400) % 2, random.normal(0, 3, 400)
    # The difference of two channels tells the class: a weak penalty finds it, a strong one does not.
    features = np.stack([truth - 0.5 + common, common], 1) + random.normal(0, 0.1, (400, 2))
    # In val that is so sure of the few wrong labels that its probabilities are worse than none.
    wrong = np.where(random.random(400) < 0.1, 1 - truth, truth)
    train, val = (features, truth[:, None]), (30 * features, wrong[:, None])
    fitted = fit_linear(train, val, 1, 15)
    least = min(fitted.path, key=lambda tried: tried.val_nll)
    assert fitted.l2 == least.l2
    assert least.val_score < max(tried.val_score for tried in fitted.path) - 0.2
    expected = score(fitted.probabilities(val[0]), val[1])
    assert (least.val_score, least.val_nll) == (pytest.approx(expected[0]), pytest.approx(expected[1]))


def test_a_class_that_none_or_all_have_gets_its_rate_and_no_more():
    features, targets = several(99, 12)
    targets[:, 1], targets[:, 2] = 0, 1
    fitted = fit_linear((features, targets), several(60, 12, seed=1), 4, 15)
    # (0 + 1/2) / (99 + 1), whatever the features are.
    assert fitted.probabilities(1e3 * features)[:, 1] == pytest.approx(0.005, rel=0.02)
    assert fitted.probabilities(1e3 * features)[:, 2] == pytest.approx(0.995, rel=0.02)


def test_scores_of_several_classes():
    probabilities = np.array([[0.9, 0.5], [0.8, 0.25], [0.5, 0.5]])
    targets = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    each = -np.log([0.9 * 0.5, 0.2 * 0.25, 0.5 * 0.5]) / 2
    # Average precision: half each of 1/1 and 2/3; the other class comes third.
    assert score(probabilities, targets) == (pytest.approx((5 / 6 + 1 / 3) / 2), pytest.approx(each.mean()))
    weighted = score(probabilities, targets, np.array([1.0, 4.0]))
    assert weighted == (pytest.approx(7 / 12), pytest.approx(np.average(each, weights=[1, 4, 1])))
