import numpy as np
import pytest
from sklearn.linear_model import Ridge

from tests.training.test_linear import several, uneven
from transferkit.training.scaling import standard
from transferkit.training.selection import SHRINKAGE, row_norms, strongest


@pytest.mark.parametrize("channels", [8, 150])
@pytest.mark.parametrize("draw", [uneven, several])
def test_scores_are_norms_of_the_rows_of_scikit_learns_ridge(draw, channels):
    features, labels = draw(60, channels)
    scaled = standard(features).apply(features)
    targets = labels if labels.ndim == 2 else np.eye(3)[labels]
    targets = targets / np.linalg.norm(targets - targets.mean(0), axis=0)
    # a X'X + b I with a = (1 - s)/N, b = s tr/D, and tr = D of standardised features.
    known = Ridge(alpha=SHRINKAGE / (1 - SHRINKAGE) * len(scaled)).fit(scaled, targets)
    found = row_norms(scaled, labels)
    assert np.allclose(
        found * (1 - SHRINKAGE) / len(scaled), np.linalg.norm(known.coef_, axis=0), rtol=1e-5, atol=1e-9
    )


def test_what_knows_the_classes_stands_first_and_a_constant_last():
    features, labels = uneven(60, 3)
    known = np.concatenate([features, labels[:, None], np.full((len(labels), 1), 7.7)], axis=1)
    scores = row_norms(standard(known).apply(known), labels)
    assert scores.argmax() == 3 and scores[4] == pytest.approx(0, abs=1e-9)
    assert np.isfinite(row_norms(np.ones((4, 2)), np.array([0, 0, 1, 1]))).all()


def test_the_strongest_stand_in_their_order():
    scores = np.array([0.1, 5.0, 3.0, 0.2, 4.0])
    assert strongest(scores, 0.6).tolist() == [1, 2, 4]
    assert strongest(scores, 0.01).tolist() == [1]
    assert strongest(scores, 1.0).tolist() == [0, 1, 2, 3, 4]
