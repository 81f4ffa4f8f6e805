import re

import numpy as np

from tests.toy_report import make_multilabel_report
from transferkit.reports import figures, markdown, pages


def test_the_first_sentence_gives_map_and_no_other_sentence_names_top1():
    page = markdown.render(make_multilabel_report())
    assert (
        "**mAP 62.5 %** on 4 test images of 3 classes, with mobilenet and the strategy `finetune-top`. mAP is"
    ) in page
    assert re.findall(r"[^.]*top-?\W?[15][^.]*\.", page, re.IGNORECASE) == [
        " Top-1 and top-5 are left out: an image may have several classes, or none."
    ]


def test_the_model_stands_beside_a_constant_answer_and_the_linear_classifier():
    # Of 4 classes predicted 2 are right, of 4 that are there 2 are found: micro F1 1/2; F1 of the classes
    # 1/2, 2/3 and 0. BCE of the rows: 2 of (-ln 0.9 - 2 ln 0.8) / 3, (-2 ln 0.2 - ln 0.1) / 3, and
    # (-ln 0.1 - 2 ln 0.8) / 3.
    assert (
        "|  | val | test |\n| --- | ---: | ---: |\n"
        "| mAP of the same answer for every image | 20.0 % | 25.0 % |\n"
        "| mAP of the linear classifier | 50.0 % | 55.0 % |\n"
        "| **mAP of this model** | 62.5 % | 62.5 % |\n"
        "| macro F1 of this model | 0.389 | 0.389 |\n"
        "| micro F1 of this model | 0.500 | 0.500 |\n"
        "| exact match of this model | 0.500 | 0.500 |\n"
        "| binary cross-entropy, BCE (lower is better) of this model | 0.781 | 0.781 |\n"
    ) in markdown.render(make_multilabel_report())


def test_the_threshold_is_told_with_where_it_was_chosen():
    page = markdown.render(make_multilabel_report())
    assert "A class is predicted where its probability is at least 0.35, chosen on val." in page
    assert "recall and F1 are at the threshold 0.35, chosen on val." in page
    assert "On val these are optimistic, since it chose the threshold." in page
    alone = markdown.render(make_multilabel_report(splits=("test",)))
    assert "On val these are optimistic" not in alone


def test_classes_stand_weakest_first_and_those_without_images_last():
    page = markdown.render(make_multilabel_report(targets=[[1, 1, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0]]))
    assert (
        "| no. | class | images | AP | precision | recall | F1 |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| 0 | sea | 1 | 0.500 | 0.500 | 1.000 | 0.667 |\n"
        "| 1 | sky | 3 | 0.833 | 1.000 | 0.333 | 0.500 |\n"
        "| 2 | snow | 0 | – | 0.000 | 0.000 | 0.000 |\n"
    ) in page
    assert "AP is – where no image has the class." in page
    assert "AP is –" not in markdown.render(make_multilabel_report(targets=np.eye(3, dtype=int)))


def test_a_hundred_classes_show_the_thirty_weakest():
    names = tuple(f"class {i}" for i in range(100))
    page = markdown.render(make_multilabel_report(class_names=names, targets=np.eye(100, dtype=int)))
    assert "The other 70 classes are in `metrics.json`." in page
    assert len(page.splitlines()) < 130


def test_there_is_no_confusion_matrix(tmp_path):
    pages.write(make_multilabel_report(), tmp_path)
    drawn = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert drawn == ["learning_curve.svg", "strength_curve.svg"]
    page = (tmp_path / "report.md").read_text("utf-8")
    assert "onfus" not in page
    assert sorted(re.findall(r"\]\(figures/([^)]*)\)", page)) == drawn


def test_images_are_counted_once_and_their_classes_each():
    page = markdown.render(make_multilabel_report())
    assert "views: 12 images of 3 classes. An image counts for each of its classes." in page
    assert "| **all** | **4** | **4** | **4** |\n| sea | 3 | 3 | 3 |\n" in page


def test_figures_show_map_and_bce():
    report = make_multilabel_report()
    curve, strength = figures.learning_curve(report), figures.strength_curve(report)
    assert (curve.measure, curve.val_score, curve.linear_val_score) == ("mAP", [0.5, 0.625], 0.5)
    assert np.isnan(curve.score).all()
    assert (strength.measure, strength.loss) == ("mAP", "BCE")
    np.testing.assert_allclose(strength.val_score, [0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
