import re
from dataclasses import replace

import pytest

from tests.toy_report import make_report
from transferkit.evaluation.crossval import summarise
from transferkit.evaluation.diagnosis import Diagnosis
from transferkit.evaluation.report import Decision
from transferkit.reports import markdown, pages
from transferkit.reports.tables import name, table, text


def test_the_first_sentence_gives_both_scores_with_their_intervals():
    page = markdown.render(make_report(labels=[0] * 9 + [1], predicted=[0] * 10, classes=6))
    assert (
        "**Top-1 90.0 %** (95 % interval 59.6 to 98.2 %) and "
        "**top-5 100.0 %** (95 % interval 72.2 to 100.0 %) on 10 test images of 6 classes, "
        "with mobilenet and the strategy `finetune-top`.\n"
    ) in page


def test_top5_is_left_out_of_the_headline_where_it_means_nothing():
    page = markdown.render(make_report(classes=5))
    assert "Top-5 is left out: with 5 classes it is 1.0 by definition." in page
    assert "**top-5" not in page


def test_without_a_test_split_the_page_says_that_its_figure_is_optimistic():
    page = markdown.render(make_report(splits=("val",)))
    assert "> Note: no test split: val chose the model, so its figure is optimistic." in page
    assert " val images of " in page


def test_the_model_stands_beside_the_majority_class_and_the_linear_classifier():
    page = markdown.render(make_report(labels=[0, 1], predicted=[0, 0], classes=2))
    assert (
        "|  | val | test |\n| --- | ---: | ---: |\n"
        "| top-1 of always train's most frequent class | 20.0 % | 25.0 % |\n"
        "| top-1 of the linear classifier | 50.0 % | 55.0 % |\n"
        "| **top-1 of this model** | 50.0 % | 50.0 % |\n"
    ) in page
    assert "Kept: the fine-tuned model: it is better on val." in page


def test_balanced_accuracy_stands_beside_top1():
    # class 0 is right in 8 of 8 images, class 1 in none of 2: top-1 0.8, balanced accuracy 1/2
    page = markdown.render(make_report(labels=[0] * 8 + [1] * 2, predicted=[0] * 10, classes=2))
    assert "| **top-1 of this model** | 80.0 % | 80.0 % |" in page
    assert "| balanced accuracy of this model | 0.500 | 0.500 |" in page


def test_cross_validation_shows_every_fold_after_the_comparison():
    # standard deviation 0.1, t of 2 degrees of freedom 4.302653: 70.0 -+ 24.8
    page = markdown.render(make_report(cross_validation={"linear": summarise([0.6, 0.7, 0.8], 90)}))
    assert (
        "| classifier | mean | 95 % interval | each fold, % | images |\n"
        "| --- | ---: | ---: | ---: | ---: |\n"
        "| linear, top-1 | 70.0 % | 45.2 to 94.8 % | 60.0, 70.0, 80.0 | 90 |\n"
    ) in page
    assert "Nothing was chosen by it." in page
    assert page.index("Kept:") < page.index("## Cross-validation") < page.index("## Why it was")
    assert "ross-validation" not in markdown.render(make_report())


def balanced(weights, method="weights", told=()):
    balance = {"method": method, "ratio": 9.0, "weights": weights, "reason": "Nine to one is a lot."}
    decision = replace(make_report().decision, balance=balance, reasons=told)
    return markdown.render(make_report(decision=decision))


def test_weights_of_classes_stand_heaviest_first_with_their_reason():
    page = balanced({"an|t": 0.5, "bee": 4.5})
    assert (
        "Nine to one is a lot. So that all classes count alike, an image weighs by its class.\n\n"
        "| class | weight of an image in the loss |\n| --- | ---: |\n| bee | 4.500 |\n| an\\|t | 0.500 |\n"
    ) in page
    assert page.index("## Why it was") < page.index("Nine to one") < page.index("## Class by class")


def test_the_reason_of_the_balance_is_told_once():
    for weights, method in (({}, "none"), ({"bee": 4.5}, "weights")):
        assert balanced(weights, method).count("Nine to one is a lot") == 1
        assert balanced(weights, method, told=("Nine to one is a lot.",)).count("Nine to one is a lot") == 1


def test_a_sampler_says_whom_the_weights_are_for():
    page = balanced({"bee": 4.5}, "sampler")
    assert "Gradient phases draw all classes equally often; the linear classifier, which draws " in page


def test_classes_that_are_not_weighted_have_no_table():
    assert "weight of an image" not in balanced({}, "none")
    assert "weight of an image" not in markdown.render(make_report())


def test_the_thirty_heaviest_of_many_weights_are_shown():
    page = balanced({f"class {i}": float(i) for i in range(50)})
    assert "The other 20 classes weigh no more than these." in page
    assert "| class 20 | 20.000 |" in page
    assert "| class 19 | 19.000 |" not in page
    assert "weigh no more" not in balanced({f"class {i}": 1.0 for i in range(30)})


def test_splits_that_share_something_are_told_on_top():
    report = make_report()
    leaking = replace(report, data=replace(report.data, intersections={"content": {"train & val": 2}}))
    page = markdown.render(leaking)
    assert page.index("> Note: SPLITS ARE NOT APART") < page.index("| **top-1 of this model**")


def test_the_cell_of_this_data_set_is_marked_in_the_matrix():
    page = markdown.render(make_report())
    assert "| lots of data | **`finetune-top` ← this data set** | `finetune-deep` |" in page
    assert "| little data | `linear` | `multistage` |" in page
    assert "- 500 images a class are lots\n" in page


def test_phases_stand_in_a_table_with_a_column_for_each_of_their_keys():
    assert (
        "| name | features | learning rate |\n| --- | --- | --- |\n| head | stage4, stage5 | 0.001 |\n"
    ) in markdown.render(make_report())


def test_a_place_outside_the_matrix_marks_no_cell():
    unknown = Decision(quadrant="unknown", similarity="unknown", amount="lots")
    assert "this data set**" not in markdown.render(make_report(decision=unknown))


def test_every_picture_shown_is_written_and_the_other_way_round(tmp_path):
    pages.write(make_report(), tmp_path)
    shown = re.findall(r"\]\((figures/[^)]*)\)", (tmp_path / "report.md").read_text("utf-8"))
    written = [f"figures/{path.name}" for path in (tmp_path / "figures").iterdir()]
    assert sorted(shown) == sorted(written)
    assert len(shown) == 3


def test_a_run_without_epochs_or_penalties_has_the_matrix_alone(tmp_path):
    pages.write(make_report(history=(), linear_path=()), tmp_path)
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["confusion.svg"]
    assert "The backbone was not trained" in (tmp_path / "report.md").read_text("utf-8")


@pytest.mark.parametrize("folder_twice", [False, True])
def test_the_page_may_be_written_again(tmp_path, folder_twice):
    for _ in range(1 + folder_twice):
        pages.write(make_report(), tmp_path)


def test_a_hundred_classes_keep_the_page_short():
    page = markdown.render(make_report(classes=100))
    assert "The other 70 classes are in `metrics.json`." in page
    assert len(page.splitlines()) < 130


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a|b", "a\\|b"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("`x`", "&#96;x&#96;"),
        ("two\n\nlines", "two lines"),
        ("$x_", "\\$x\\_"),
        ("snow_leopard", "snow_leopard"),
        ("__init__", "\\_\\_init\\_\\_"),
        ("*[a](b)", "\\*\\[a\\](b)"),
        ("\udcff\x1b", "??"),
        ("日本🐈", "日本🐈"),
    ],
)
def test_text_reads_exactly_as_it_is(value, written):
    assert text(value) == written


def test_a_long_name_is_cut():
    assert name("x" * 300) == "x" * 59 + "…"


def test_hostile_names_leave_every_table_whole(tmp_path):
    names = ("$x_", "a|b", "<b>", "two\nlines", "x" * 300, "\udcff🐈\\")
    labels = [0, 1, 2, 3, 4, 5]
    report = make_report(class_names=names, labels=labels, predicted=labels[::-1], classes=6)
    pages.write(report, tmp_path)
    page = (tmp_path / "report.md").read_text("utf-8")
    for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        bars = {len(re.findall(r"(?<!\\)\|", line.replace("\\\\", ""))) for line in block.split("\n")[:-1]}
        assert len(bars) == 1, block
    assert "<b>" not in page


def test_a_table_aligns_its_numbers_right():
    assert table(["a", "n"], [["x", "1"]], 1) == "| a | n |\n| --- | ---: |\n| x | 1 |"


def test_what_the_curves_say_stands_under_training_with_its_advice():
    found = (
        Diagnosis("overfitting", "finetune: <b>far</b> apart", "--set dropout=0.3"),
        Diagnosis("sound", "well", ""),
    )
    page = markdown.render(make_report(diagnosis=found))
    told = page[page.index("## Training") : page.index("## Data")]
    first, second = told.split("Diagnosis:\n\n")[1].strip().splitlines()
    assert first == "- **overfitting**: finetune: &lt;b&gt;far&lt;/b&gt; apart. --set dropout=0.3."
    assert second == "- **sound**: well."
    assert "Diagnosis:" not in markdown.render(make_report())
