from typing import Any

from transferkit.reports.decision import freeze_section, tried_section


def tried(features: str, score: float, nll: float | None = 0.5) -> dict[str, Any]:
    return {"features": features, "classifier": "discriminant", "score": score, "nll": nll}


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
