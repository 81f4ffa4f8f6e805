import numpy as np

from transferkit.evaluation.suspects import doubted, ranking, suspects

P = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.05, 0.9, 0.05], [0.3, 0.3, 0.4], [0.1, 0.8, 0.1]])
LABELS = np.array([0, 0, 0, 2, 1])
FEATURES = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.5, 0.5], [0.1, 1.0]])


def test_the_least_believed_label_comes_first_with_what_speaks_against_it():
    first, second = suspects(P, LABELS, FEATURES)
    assert (first.row, first.label, first.suggested) == (2, 0, 1)
    assert (first.p_label, first.p_suggested) == (0.05, 0.9)
    assert first.neighbours == (4,) and second.row == 1
    assert len(suspects(P, LABELS, FEATURES, limit=1)) == 1


def test_a_mere_error_is_no_doubt():
    # The means of the own probabilities: (.9 + .2 + .05) / 3, .8 and .4. Row 1 is called class 1 with .7,
    # less than its own images are; row 3 reaches the threshold of its own class alone.
    assert doubted(P, LABELS).tolist() == [-1, -1, 1, -1, -1]
    # A class that is never sure of itself asks for less.
    modest = np.array([[0.9, 0.1], [0.55, 0.45], [0.7, 0.3], [0.6, 0.4]])
    assert doubted(modest, np.array([0, 1, 1, 0])).tolist() == [-1, -1, -1, 1]


def test_images_are_ranked_by_their_margin():
    order, margins = ranking(P, LABELS)
    assert order.tolist() == [2, 1, 3, 4, 0]
    assert np.allclose(margins[order], [-0.85, -0.5, 0.1, 0.7, 0.8])
