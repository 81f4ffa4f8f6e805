import numpy as np

from transferkit.evaluation.predictions import predictions_frame


def frame(probabilities, labels, names):
    paths = [f"{i}.jpg" for i in range(len(labels))]
    return predictions_frame(
        paths, np.array(labels), "val", probabilities=np.array(probabilities), class_names=names
    )


def test_a_row_says_what_was_predicted_and_how_sure():
    table = frame([[0.2, 0.5, 0.3]], [2], ["ant", "bee", "cat"])
    assert table.columns.tolist() == ["path", "label", "split", "pred", "p", "top5"]
    assert table.iloc[0].tolist() == ["0.jpg", "cat", "val", "bee", 0.5, "bee|cat|ant"]


def test_top5_holds_five_of_many_classes_with_ties_in_class_order():
    assert frame([[0.1] * 10], [7], list("abcdefghij"))["top5"][0] == "a|b|c|d|e"


def test_a_row_that_is_not_finite_predicts_nothing(tmp_path):
    table = frame([[np.nan, 0.5], [0.9, 0.1]], [0, 0], ["ant", "bee"])
    assert table["pred"].tolist() == ["", "ant"]
    assert table["top5"].tolist() == ["", "ant|bee"]
    assert np.isnan(table["p"][0])


def test_a_bar_inside_a_name_is_told_from_the_bar_between_names():
    assert frame([[0.9, 0.1]], [0], ["a|b", "c\\"])["top5"][0] == "a\\|b|c\\\\"


def test_float16_probabilities_are_told_in_full():
    table = frame(np.array([[0.25, 0.75]], np.float16), [0], ["ant", "bee"])
    assert (table["p"].dtype, table["p"][0]) == (np.float64, 0.75)


def test_no_images_give_an_empty_table():
    assert len(frame(np.zeros((0, 2)), np.zeros(0, int), ["ant", "bee"])) == 0
