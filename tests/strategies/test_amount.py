import pytest

from transferkit.strategies.amount import LOTS_FROM_PER_CLASS, judge_amount
from transferkit.strategies.evidence import Evidence

CURVE = Evidence(
    stages={"stage1": 0.8}, together=0.8, gap=0.0, gap_error=0.0, probe_images=80,
    curve=((5, 0.6), (10, 0.7), (20, 0.775)),
)  # fmt: skip


@pytest.mark.parametrize("similarity", ["similar", "different"])
def test_the_border_itself_is_lots(similarity: str):
    border = LOTS_FROM_PER_CLASS[similarity]
    found = [
        judge_amount(similarity=similarity, per_class=n, images=900).verdict for n in (border - 0.5, border)
    ]
    assert found == ["little", "lots"]


@pytest.mark.parametrize(("images", "verdict"), [(499, "little"), (500, "lots")])
def test_a_few_classes_need_more_images_of_each(images: int, verdict: str):
    assert judge_amount(similarity="different", per_class=250, images=images).verdict == verdict


def test_lots_begins_earlier_for_images_unlike_imagenet():
    assert LOTS_FROM_PER_CLASS["different"] < LOTS_FROM_PER_CLASS["similar"]


@pytest.mark.parametrize(("factor", "near"), [(0.66, False), (0.67, True), (1.49, True), (1.5, False)])
def test_within_a_factor_of_one_and_a_half_is_near(factor: float, near: bool):
    per_class = factor * LOTS_FROM_PER_CLASS["similar"]
    assert judge_amount(similarity="similar", per_class=per_class, images=900).near is near


def test_the_learning_curve_says_what_is_right_and_what_is_left():
    found = judge_amount(similarity="similar", per_class=20, images=80, evidence=CURVE)
    assert found.error == pytest.approx(0.225)
    assert found.much_left
    assert found.sentences[1] == (
        "Learning curve of a quick linear classifier: right on 60.0% with 5, 70.0% with 10, 77.5% with 20 "
        "images per class; it leaves 22.5% wrong."
    )


def test_a_stated_amount_goes_first_and_is_never_near():
    found = judge_amount(similarity="similar", per_class=100, images=900, stated="little")
    assert (found.verdict, found.near) == ("little", False)
    assert found.sentences == ("Amount stated: little (100 training images per class, 900 in all).",)


def test_the_measured_amount_is_told_with_the_border():
    border = LOTS_FROM_PER_CLASS["different"]
    found = judge_amount(similarity="different", per_class=20.5, images=1230)
    assert found.sentences == (
        "20.5 training images per class (median), 1,230 in all: little; where the images are different from "
        f"ImageNet, lots starts at {border} per class and 500 in all.",
    )
