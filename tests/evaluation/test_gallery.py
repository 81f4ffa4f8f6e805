import numpy as np

from transferkit.evaluation.gallery import least_sure, surest_mistakes

P = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.55, 0.45], [np.nan, 0.5], [0.3, 0.7]])
LABELS = np.array([1, 1, 1, 0, 0, 1])


def test_the_surest_mistakes_come_first_and_what_has_no_answer_is_none():
    assert surest_mistakes(P, LABELS) == [0, 1]
    assert surest_mistakes(P, LABELS, 1) == [0]


def test_the_right_answers_least_sure_come_first():
    assert least_sure(P, LABELS) == [3, 5, 2]
