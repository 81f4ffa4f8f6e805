import numpy as np

from transferkit.data.index import Index
from transferkit.strategies import FeatureSet
from transferkit.timing import Stopwatch
from transferkit.training.bank import Extractor, pooled_bank
from transferkit.training.doubts import unseen_probabilities


def test_an_image_is_judged_by_those_that_have_not_seen_it(extractor: Extractor, photos):
    from tests.conftest import indexed

    index: Index = indexed(photos, extractor.cache)
    bank = pooled_bank(extractor, index, Stopwatch())
    labels = index.targets({name: i for i, name in enumerate(index.labels)}, 3)
    rows, folds = np.arange(len(labels)), np.arange(len(labels)) % 5
    seen = FeatureSet(stages=("stage3",), normalised=True)
    found = unseen_probabilities(bank, rows, labels, folds, features=seen)
    assert np.allclose(found.sum(axis=1), 1) and (found.argmax(axis=1) == labels).mean() > 0.9
    # Another label of one image changes nothing of what is said of it, but for the common temperature.
    other = labels.copy()
    other[0] = (labels[0] + 1) % 3
    assert unseen_probabilities(bank, rows, other, folds, features=seen)[0].argmax() == found[0].argmax()
