from dataclasses import replace
from typing import Any

import pytest

from tests.strategies.test_cost import LINEAR, LOAD, PILOT, STAGES, tuned
from tests.test_plan import photos
from transferkit.backbone.catalogue import lookup
from transferkit.planning import Plan, make_plan
from transferkit.recipe import Recipe
from transferkit.reports.gauges import gauges
from transferkit.reports.panel import lit, matrix, render
from transferkit.strategies.cost import estimate
from transferkit.strategies.evidence import Evidence

STAGED = {"stage1": 0.4, "stage2": 0.5, "stage3": 0.6, "stage4": 0.7, "stage5": 0.8}
SIMILAR = Evidence(
    stages=STAGED, together=0.81, gap=0.01, gap_error=0.02, probe_images=60, batchnorm=0.12,
    curve=((10, 0.7), (20, 0.8)),
)  # fmt: skip


def planned(evidence: Evidence | None = SIMILAR, per_class: int = 20, **asked: Any) -> Plan:
    index = photos(per_class, per_class, per_class)
    return make_plan(Recipe.from_mapping(asked), lookup("mobilenet_v2"), index, evidence)


def line(text: str, start: str) -> str:
    return next(one for one in text.splitlines() if one.strip().startswith(start))


def test_the_matrix_marks_the_one_cell_of_the_data() -> None:
    assert matrix(planned(similarity="different", amount="lots"), 60).splitlines() == [
        "                similar to ImageNet  different from ImageNet",
        "              +---------------------+---------------------+",
        "little data   |       linear        |     multistage      |",
        "              +---------------------+---------------------+",
        "lots of data  |    finetune-top     | >> finetune-deep << |",
        "              +---------------------+---------------------+",
    ]


@pytest.mark.parametrize(
    ("similarity", "amount", "cell"),
    [("similar", "lots", "finetune-top"), ("different", "little", "multistage")],
)
def test_what_is_lit_is_in_the_panel_once(similarity: str, amount: str, cell: str) -> None:
    plan = planned(similarity=similarity, amount=amount)
    assert lit(plan) == f">> {cell} <<"
    assert render(plan).count(lit(plan)) == render(plan).count(">>") == 1


def test_both_axes_have_number_border_and_gauge() -> None:
    text = render(planned())
    assert (
        "Similarity: similar; the images lie 0.12 from ImageNet; similar up to 0.20, different from 0.30."
        in text
    )
    # .12 is half of the border: a quarter of 41 columns
    assert "similar ----------#---------|-------------------- different" in text
    words = " ".join(text.split())
    assert (
        "Amount: little; 20 training images per class, 60 in all; lots starts at 100 per class and 500"
        in words
    )
    # 60 of 500, which is less than 20 of 100: 6 hundredths of the scale
    assert "little --#-----------------|-------------------- lots" in text


@pytest.mark.parametrize(("per_class", "place"), [(1, 0), (167, 20), (1000, 40)])
def test_the_gauge_ends_at_twice_the_border(per_class: int, place: int) -> None:
    gauge = line(render(planned(per_class=per_class)), "little -" if per_class > 1 else "little #").split()[1]
    assert (len(gauge), gauge.index("#")) == (41, place)


def test_near_a_border_is_told() -> None:
    text = " ".join(render(planned(replace(SIMILAR, batchnorm=0.25), per_class=150)).split())
    assert "of all together knows +1.0 points more than the last, and different starts at" in text
    assert text.count(": near the border.") == 2
    assert "lots starts at 100 per class and 500 in all: near the border." in text


def test_without_batch_statistics_the_stages_stand_on_the_axis() -> None:
    text = " ".join(render(planned(replace(SIMILAR, batchnorm=None, gap=0.05))).split())
    assert "different starts at +2.0." in text
    assert (
        "Similarity: different; the best of the earlier stages and of all together knows +5.0 points more"
        in text
    )
    (similarity, _) = gauges(planned(replace(SIMILAR, batchnorm=None, gap=0.05)))
    assert similarity["words"].startswith("Similarity: different; the best of the earlier stages")
    assert similarity["place"] is None  # there is no scale to draw


def test_stated_axes_say_so_and_still_show_what_was_measured() -> None:
    text = render(planned(similarity="different", amount="lots"))
    assert "Similarity: different (stated); the images lie 0.12 from ImageNet" in text
    assert "Amount: lots (stated); 20 training images per class" in text


def test_nothing_measured_is_said() -> None:
    assert "Similarity: similar, not measured." in render(planned(None))


def test_every_measure_and_every_reason_stands_in_it_once() -> None:
    plan = planned()
    words = " ".join(render(plan).split())
    told = [*plan.evidence["similarity"]["sentences"], *plan.evidence["amount"]["sentences"], *plan.reasons]
    assert [words.count(" ".join(sentence.split())) for sentence in dict.fromkeys(told)] == [1] * len(
        set(told)
    )


def test_phases_say_what_trains() -> None:
    text = render(planned(strategy="finetune-deep", rate_decay=0.5), width=120)
    assert line(text, "linear  ").split()[-4:] == ["stage1-5", "-", "-", "-"]
    assert "stage2 x0.125, stage3 x0.25, stage4 x0.5, stage5 x1, head  stage1" in line(text, "finetune  ")
    text = render(planned(strategy="batchnorm"))
    assert "BatchNorm of stage1-5, head" in line(text, "finetune  ")


def test_several_labels_and_names_are_told() -> None:
    text = render(replace(planned(), multilabel=True), data="röntgen")
    assert text.startswith("röntgen: 90 images of 3 classes, an image may have several (train 60, val 30).")


@pytest.mark.parametrize("width", [72, 100])
@pytest.mark.parametrize("strategy", ["auto", "multistage", "finetune-top", "surgical"])
def test_no_line_is_wider_than_the_terminal(width: int, strategy: str) -> None:
    found = estimate((LINEAR, tuned(1)), PILOT, stages=STAGES, load=LOAD)
    text = render(planned(strategy=strategy), found, width=width)
    assert max(map(len, text.splitlines())) <= width


def test_the_cost_is_told_by_part() -> None:
    found = estimate((LINEAR, tuned(1)), replace(PILOT, resident=800_000_000), stages=STAGES, load=LOAD)
    text = render(planned(), found)
    assert line(text, "startup").split() == ["startup", "4.0", "s"]
    assert line(text, "finetune  ").split()[0:3] == ["finetune", "13", "s"]
    assert line(text, "total").split() == ["total", "30", "s", "40", "s"]
    assert "Memory at the peak: 800 MB (program 800 MB, activations kept 1 MB" in text
    known = estimate((LINEAR,), PILOT, stages=STAGES, load=replace(LOAD, new=0))
    assert "The bank of features is computed already." in render(planned(), known)
