"""The verdict by its borders, and every sentence whole."""

from typing import Any

import pytest

from transferkit.strategies.evidence import Evidence
from transferkit.strategies.similarity import judge


def evidence(batchnorm: float | None, gap: float = 0.0, error: float = 0.02, **more: Any) -> Evidence:
    stages = {"stage1": 0.5, "stage2": 0.7, "stage3": 0.8}
    return Evidence(
        stages=stages,
        together=0.8 + gap,
        gap=gap,
        gap_error=error,
        probe_images=100,
        batchnorm=batchnorm,
        **more,
    )


@pytest.mark.parametrize(
    ("batchnorm", "gap", "verdict", "measure", "near"),
    [
        (0.19, 0.50, "similar", "batchnorm", False),
        (0.31, -0.5, "different", "batchnorm", False),
        (0.20, 0.50, "similar", "batchnorm", False),
        (0.30, -0.5, "different", "batchnorm", False),
        # Between them the stages decide: above one standard error, here 0.02.
        (0.21, 0.03, "different", "stages", True),
        (0.29, 0.01, "similar", "stages", True),
        (0.24, 0.02, "similar", "stages", True),
    ],
)
def test_the_batch_statistics_decide_and_in_the_grey_zone_the_stages(
    batchnorm: float, gap: float, verdict: str, measure: str, near: bool
):
    found = judge(evidence(batchnorm, gap))
    assert (found.verdict, found.measure, found.near) == (verdict, measure, near)
    assert (found.score, found.border) == ((gap, 0.02) if near else (batchnorm, 0.25))
    assert (found.verdict == "different") == (found.score > found.border)


@pytest.mark.parametrize(
    ("gap", "verdict", "near"),
    [
        (0.05, "different", False),
        (0.03, "different", True),
        (0.01, "similar", True),
        (-0.1, "similar", False),
    ],
)
def test_without_batch_norm_the_gap_decides_by_its_standard_error(gap: float, verdict: str, near: bool):
    found = judge(evidence(None, gap))
    assert (found.verdict, found.measure, found.near) == (verdict, "stages", near)
    assert (found.score, found.border) == (gap, 0.02)


@pytest.mark.parametrize(("ratio", "measure"), [(0.49, "stages"), (0.5, "batchnorm")])
def test_batch_statistics_of_images_far_too_small_do_not_decide(ratio: float, measure: str):
    found = judge(evidence(0.40, 0.0, size_ratio=ratio))
    assert found.measure == measure
    assert ("which says nothing at 49% of the image size" in found.sentences[0]) == (measure == "stages")


def test_what_is_stated_goes_first_and_the_measures_are_told_still():
    found = judge(evidence(0.05), "different")
    assert (found.verdict, found.stated) == ("different", True)
    assert (found.measure, found.score, judge(evidence(0.05)).stated) == ("batchnorm", 0.05, False)
    assert found.sentences[0] == "Similarity stated: different."
    assert "lie 0.05 from those of ImageNet" in found.sentences[1]


def test_every_measure_has_one_sentence_with_its_numbers():
    more: dict[str, Any] = {
        "confidence": 0.42,
        "entropy": 0.34,
        "logme": {"stage1": -0.5, "stage2": -0.2, "stage3": -0.3},
        "h_score": {"stage1": 1.0, "stage2": 2.0, "stage3": 3.0},
    }
    assert judge(evidence(0.45, 0.05, **more)).sentences == (
        "Batch statistics: the images' activations lie 0.45 from those of ImageNet (photographs of "
        "things seen at 0.05-0.25, others at 0.34-0.63), and from 0.30 on they are different.",
        "Stages: a quick linear classifier is right on 80.0% of images by the last stage and on 85.0% by all "
        "stages together; the best, chosen on other images than it is judged on, is +5.0 points from the "
        "last, where chance alone moves this by 2.0, which says different.",
        "ImageNet's own classifier gives its first guess 42% on average, and its answers are 34% as spread "
        "out as they can be (told only: it does not decide).",
        "LogME: of all stages stage2 explains the labels best, -0.200 an image, the last -0.300 (H-score of "
        "the last stage 3.00) (told only: it does not decide).",
    )


def test_the_sentences_say_who_decides_in_the_grey_zone_and_without_batch_norm():
    assert "both kinds occur, so the stages decide" in judge(evidence(0.25)).sentences[0]
    assert "none to compare with" in judge(evidence(None)).sentences[0]


def test_images_of_several_classes_are_told_by_map():
    told = judge(evidence(0.45, 0.05, multilabel=True)).sentences[1]
    assert "reaches an mAP of 80.0% by the last stage and 85.0% by all stages together" in told


def test_a_backbone_of_one_stage_has_only_all_stages_to_compare():
    one = Evidence(stages={"stage1": 0.8}, together=0.8, gap=0.0, gap_error=0.0, probe_images=9)
    found = judge(one)
    assert found.verdict == "similar"
    assert "on 80.0% by all stages together; the best" in found.sentences[1]


def test_weights_of_other_images_are_not_called_imagenet():
    told = judge(evidence(0.4, pretrained_on="what mine.h5 was trained on")).sentences[0]
    assert (
        "lie 0.40 from those of what mine.h5 was trained on (by what was measured with ImageNet's weights: "
        in told
    )
    assert "those of ImageNet" not in told
