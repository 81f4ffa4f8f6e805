import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import TOY, draw_classes, indexed
from transferkit.api.settling import settle
from transferkit.planning import make_plan
from transferkit.planning.reading import read_plan
from transferkit.recipe import Recipe
from transferkit.strategies import STRATEGIES


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_plan_comes_back_from_json(strategy: str, tmp_path: Path, own_cache: Path):
    index = indexed(draw_classes(tmp_path / "photos", 8), own_cache)
    recipe = Recipe(backbone="toy", strategy=strategy)
    plan = make_plan(recipe, TOY, settle(index, recipe).index)
    assert read_plan(json.loads(json.dumps(plan.as_dict()))) == replace(
        plan, evidence=_as_json(plan.evidence)
    )


def _as_json(evidence: object) -> object:
    """Evidence is plain numbers: what is a tuple in it is a list in JSON."""
    return json.loads(json.dumps(evidence))


def test_a_plan_with_other_keys_is_refused():
    with pytest.raises((TypeError, KeyError)):
        read_plan({"strategy": "linear", "of another version": 1})
