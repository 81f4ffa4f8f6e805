from typing import Any

from transferkit.evaluation.report import Decision
from transferkit.reports.decision import augment_section, freeze_section, tried_section


def tried(features: str, score: float, nll: float | None = 0.5, views: int = 0) -> dict[str, Any]:
    return {
        "features": features,
        "classifier": "discriminant",
        "views": views,
        "score": score,
        "nll": nll,
    }


def augmented(found: dict[str, Any], tried: dict[str, Any] | None = None) -> str:
    decision = Decision(quadrant="", similarity="", amount="", augment=found, tried=tried or {})
    return augment_section(decision)


def frozen(stage: str, trains: str, weights: str) -> dict[str, Any]:
    row = {
        "phase": "finetune",
        "stage": stage,
        "trains": trains,
        "batch_norm": "inference",
        "rate_share": 0.5,
    }
    return row | {"weights": weights, "scales": weights, "statistics": "stayed", "parameters": 1234}


def test_what_was_tried_is_listed_with_the_one_taken_first() -> None:
    page = tried_section({"linear": [tried("means of stage5", 0.816), tried("means of stage4", 0.7, None)]})
    assert page.splitlines()[-2:] == [
        "| means of stage5 | discriminant | 81.6 % | 0.500 |",
        "| means of stage4 | discriminant | 70.0 % |  |",
    ]


def test_views_are_a_column_where_some_were_tried() -> None:
    page = tried_section({"linear": [tried("means", 0.9, views=4), tried("means", 0.8)]})
    assert page.splitlines()[-4] == "| features | classifier | views | score | log-loss |"
    assert page.splitlines()[-2:] == [
        "| means | discriminant | 4 | 90.0 % | 0.500 |",
        "| means | discriminant | 0 | 80.0 % | 0.500 |",
    ]


def test_how_images_were_changed_is_told_with_what_they_bear() -> None:
    found: dict[str, Any] = {
        "policy": "light",
        "steps": ("random_crop: scale 1.14 to 1.14", "<b>"),
        "views": 4,
        "fed": "finetune: each epoch draws among 8 kept views",
        "safety": (
            {"change": "rotation", "plain": 0.9, "changed": 0.6} | {"verdict": "NOT safe", "left_out": False},
            {"change": "mirroring", "plain": 0.9, "changed": 0.5} | {"verdict": "NOT safe", "left_out": True},
        ),
    }
    views = {"linear": (tried("means", 0.9), tried("means", 0.8, views=4))}
    page = augmented(found, views)
    assert "policy `light`" in page and "1. random_crop: scale 1.14 to 1.14\n2. &lt;b&gt;" in page
    assert "image too, and without; cross-validation took linear without. finetune: each epoch" in page
    assert page.splitlines()[-2:] == [
        "| rotation | 90.0 % | 60.0 % | NOT safe |",
        "| mirroring | 90.0 % | 50.0 % | NOT safe: left out |",
    ]
    assert "took linear with." in augmented(found, {"linear": views["linear"][::-1]})
    assert "saw 4 changed views of each training image too: too few images to try both" in augmented(found)
    tuned = augmented(found | {"views": 0, "safety": ()})
    assert "The linear classifiers saw the images as they are. finetune: each epoch" in tuned
    nothing = augmented(found | {"views": 0, "fed": "", "safety": ()})
    assert nothing.startswith("The policy light was in force, but no training image was changed")
    assert augmented({}) == ""


def test_no_choice_is_no_section_and_a_long_list_says_where_the_rest_is() -> None:
    assert tried_section({"linear": [tried("means", 0.8)]}) == ""
    page = tried_section({"linear": [tried(f"set {n}", 0.8) for n in range(10)]})
    assert "The other 2 are in `plan.json`." in page and "set 7" in page and "set 8" not in page


def test_the_freeze_proof_says_of_each_stage_what_stayed_and_what_moved() -> None:
    page = freeze_section([frozen("stage1", "nothing", "stayed"), frozen("stage2", "all", "moved")])
    assert page.splitlines()[-2:] == [
        "| finetune | stage1 | nothing | inference | 0.5 | stayed | stayed | stayed | 1,234 |",
        "| finetune | stage2 | all of it | inference | 0.5 | moved | moved | stayed | 1,234 |",
    ]
    assert freeze_section([]) == ""
