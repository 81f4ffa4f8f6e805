import math

import numpy as np
import pytest
from PIL import Image

from tests.toy_report import make_report
from transferkit.reports import figures

HOSTILE = ("$x_", "$a$", "a|b", "<b>", "two\nlines", "x" * 300, "日本", "🐈", "\udcff", "$\\frac{$")


def test_epochs_are_numbered_across_phases():
    info = figures.learning_curve(make_report())
    assert info.epochs == [1, 2, 3]
    assert info.phases == [("head", 1), ("thaw", 3)]
    assert info.val_score == [0.5, 0.6, 0.7]
    assert info.score == [0.9, 0.9, 0.9]
    assert (info.linear_val_score, info.measure) == (0.5, "top-1")


def test_what_was_not_measured_is_nan():
    info = figures.learning_curve(make_report(history=({"phase": "head", "loss": 1.0},)))
    assert info.loss == [1.0]
    assert math.isnan(info.val_loss[0])


def test_rows_of_the_matrix_add_up_to_one_or_nothing():
    report = make_report(labels=[0, 0, 0, 1], predicted=[0, 0, 1, 1], classes=3)
    info = figures.confusion_figure(report, "test")
    assert info.counts == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(info.shares, [[2 / 3, 1 / 3, 0], [0, 1, 0], [0, 0, 0]])


def test_strengths_are_sorted():
    path = tuple({"l2": l2, "val_top1": l2 / 10, "val_nll": 1.0} for l2 in (1.0, 0.0, 0.1))
    info = figures.strength_curve(make_report(linear_path=path))
    assert info.l2 == [0.0, 0.1, 1.0]
    assert info.val_score == [0.0, 0.01, 0.1]
    assert (info.measure, info.loss) == ("top-1", "log-loss")


def test_names_are_shown_on_one_short_line_or_as_a_number():
    assert [figures.shown(name, i) for i, name in enumerate(HOSTILE)] == [
        "$x_", "$a$", "a|b", "<b>", "two lines", "x" * 23 + "…", "#6", "#7", "#8", "$\\frac{$",
    ]  # fmt: skip


@pytest.mark.parametrize("classes", [2, 10, 50, 100, 250])
def test_a_matrix_of_any_size_and_any_names_is_drawn(tmp_path, classes):
    names = tuple(f"{HOSTILE[i % 10]}{i}" for i in range(classes))
    report = make_report(classes=classes, class_names=names)
    figures.draw_confusion(figures.confusion_figure(report, "test"), tmp_path / "matrix.png")
    assert dark_share(tmp_path / "matrix.png") > 0.003


def test_a_class_that_is_always_right_is_a_dark_cell(tmp_path):
    info = figures.confusion_figure(make_report(classes=2), "test")
    figures.draw_confusion(info, tmp_path / "matrix.png")
    assert dark_share(tmp_path / "matrix.png") > 0.1


def test_curves_are_drawn(tmp_path):
    report = make_report()
    figures.draw_learning_curve(figures.learning_curve(report), tmp_path / "curve.png")
    figures.draw_strength_curve(figures.strength_curve(report), tmp_path / "strength.png")
    assert dark_share(tmp_path / "curve.png") > 0.01
    assert dark_share(tmp_path / "strength.png") > 0.01


def test_one_epoch_without_val_and_a_phase_of_a_long_name_are_drawn(tmp_path):
    history = ({"phase": "$x_" * 99, "loss": 1.0, "top1": 0.5, "val_loss": math.nan},)
    info = figures.learning_curve(make_report(history=history, linear_score={}))
    figures.draw_learning_curve(info, tmp_path / "curve.png")
    assert dark_share(tmp_path / "curve.png") > 0.01


def test_names_on_the_axes_thin_out_as_classes_grow():
    few, many, crowd = (figures._tick_names(["ant"] * n) for n in (40, 41, 101))
    assert few[0] == few[1] == dict.fromkeys(range(40), "ant")
    assert (many[0][40], list(many[1])[:2]) == ("ant  40", [0, 5])
    assert crowd[0] == crowd[1] == {i: str(i) for i in range(0, 101, 10)}


def dark_share(path):
    """The part of the picture's pixels that is not nearly white."""
    return (np.asarray(Image.open(path).convert("L")) < 200).mean()
