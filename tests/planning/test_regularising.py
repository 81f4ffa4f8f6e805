from typing import Any

import pytest

from transferkit.planning.regularising import regularisation
from transferkit.recipe import Recipe
from transferkit.strategies import Phase

LINEAR = Phase(name="linear", kind="linear", features=(), freeze_depth=1)
TUNED = Phase(name="finetune", kind="finetune", features=(), freeze_depth=1)


@pytest.mark.parametrize(
    ("values", "phases", "told"),
    [
        ({}, (LINEAR, TUNED), ""),
        ({"dropout": 0.3}, (LINEAR,), ""),  # `unheard` tells that it says nothing
        (
            {"dropout": 0.3, "weight_decay": 0, "epochs": 3},
            (LINEAR, TUNED),
            "Regularisation stated: dropout 0.3, weight_decay 0.",
        ),
    ],
)
def test_what_is_stated_is_told(values: dict[str, Any], phases: tuple[Phase, ...], told: str):
    assert regularisation(Recipe.from_mapping(values), phases) == told
