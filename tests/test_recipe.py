import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest
import yaml

from transferkit.backbone.catalogue import lookup
from transferkit.data.index import Index
from transferkit.data.public import cards
from transferkit.errors import RecipeError, UnknownName, UsageError
from transferkit.planning import make_plan
from transferkit.recipe import (
    KNOBS,
    Recipe,
    checked,
    load_recipe,
    parse_settings,
    read_recipe,
    recipe_file,
    recipe_names,
    recipe_of,
)
from transferkit.recipe.schema import SCHEMA_FILE, recipe_schema


def write(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def refusal(key: str, value: Any) -> str:
    with pytest.raises(UsageError) as caught:
        checked(key, value)
    return str(caught.value)


def test_the_defaults_are_the_documented_ones() -> None:
    recipe = Recipe()
    assert (recipe.backbone, recipe.weights, recipe.resize) == ("mobilenet_v2", "imagenet", "auto")
    assert (recipe.seed, recipe.batch_size, recipe.val_fraction) == (0, 32, 0.15)
    auto = {key for key, value in recipe.as_dict().items() if value == "auto"}
    assert auto >= {"strategy", "similarity", "amount", "device", "precision", "freeze_depth"}


@pytest.mark.parametrize("key", KNOBS)
def test_every_default_is_allowed(key: str) -> None:
    assert checked(key, KNOBS[key].default) == KNOBS[key].default


@pytest.mark.parametrize("key", KNOBS)
def test_every_key_has_a_line_of_help(key: str) -> None:
    told = KNOBS[key].metadata["help"]
    assert told.endswith(".")
    assert "\n" not in told


def test_yaml_gives_the_recipe_back() -> None:
    recipe = Recipe.from_mapping(
        {"learning_rate": 1e-5, "exclude": "bad.txt", "image_size": 96, "amount": "lots", "seed": 2**31}
    )
    assert Recipe.from_mapping(yaml.safe_load(recipe.to_yaml())) == recipe


def test_yaml_has_every_key_in_the_order_declared() -> None:
    assert list(yaml.safe_load(Recipe().to_yaml())) == list(KNOBS)


def test_the_command_line_wins_over_the_file_and_that_over_the_default(tmp_path: Path) -> None:
    name = write(tmp_path, "seed: 5\nresize: pad\n")
    recipe = load_recipe(name, {"seed": 7})
    assert (recipe.seed, recipe.resize, recipe.batch_size) == (7, "pad", 32)


def test_a_value_equal_to_the_default_wins_too(tmp_path: Path) -> None:
    assert load_recipe(write(tmp_path, "seed: 5"), {"seed": 0}).seed == 0


def test_an_unknown_key_tells_the_nearest_and_its_file(tmp_path: Path) -> None:
    name = write(tmp_path, "learnig_rate: 0.1")
    with pytest.raises(RecipeError) as caught:
        load_recipe(name, {})
    assert str(caught.value) == (
        f"{name}: learnig_rate: unknown key 'learnig_rate'. Did you mean 'learning_rate' or "
        "'target_coverage' or 'near_duplicates'? 'transferkit recipes --keys' lists all keys."
    )


def test_a_fault_of_the_command_line_begins_with_its_key() -> None:
    with pytest.raises(RecipeError, match=r"^seed: -1 is not allowed\. A whole number from 0"):
        load_recipe(None, {"seed": -1})


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    name = write(tmp_path, "strategy: lineal\nbatch_size: 0\nseed: 3\ncolour: red\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(name, {})
    head, *faults = str(caught.value).split("\n  ")
    assert head == "3 faults:"
    assert [fault.removeprefix(f"{name}: ").split(":")[0] for fault in faults] == [
        "strategy",
        "batch_size",
        "colour",
    ]


def test_a_choice_that_is_not_allowed_tells_the_nearest_first() -> None:
    assert refusal("strategy", "finetune-tip") == (
        "'finetune-tip' is not allowed. Allowed: finetune-top, finetune-deep, auto, linear, multistage, "
        "full, surgical, batchnorm."
    )


@pytest.mark.parametrize("value", [["crop"], {"crop": 1}, None, 3])
def test_a_choice_of_another_type_is_refused(value: Any) -> None:
    assert refusal("resize", value).endswith("pad, stretch.")
    assert "crop" in refusal("resize", value) and "auto" in refusal("resize", value)


@pytest.mark.parametrize("value", [0, 65537, 2.5, "many", None, [8], float("nan"), float("inf"), 10**400])
def test_what_is_no_whole_number_in_range_is_refused(value: Any) -> None:
    told = f"{value!r} is not allowed. A whole number from 1 to 65,536 is needed."
    assert refusal("batch_size", value) == told


@pytest.mark.parametrize("value", [0.0, 0.81, "half", None, {}])
def test_what_is_no_number_in_range_is_refused(value: Any) -> None:
    told = f"{value!r} is not allowed. A number from 0.01 to 0.8 is needed."
    assert refusal("val_fraction", value) == told


NUMBERS = [key for key, knob in KNOBS.items() if knob.metadata["kind"] in (int, float)]
TEXTS = ["backbone", "weights", "weights_dir", "device", "exclude"]


@pytest.mark.parametrize("key", [*NUMBERS, *TEXTS])
@pytest.mark.parametrize("value", [True, False])
def test_yes_and_no_are_neither_numbers_nor_names(key: str, value: bool) -> None:
    assert refusal(key, value).startswith(f"{value} is not allowed.")


@pytest.mark.parametrize("value", [0, 1, "yes", None, "true"])
def test_a_flag_is_true_or_false_and_nothing_else(value: Any) -> None:
    with pytest.raises(UsageError, match=r"tensorboard: .* is not allowed. Allowed: true, false."):
        Recipe.from_mapping({"tensorboard": value}, "")
    assert Recipe.from_mapping({"tensorboard": True}).tensorboard is True


@pytest.mark.parametrize("key", NUMBERS)
def test_both_ends_of_a_range_are_allowed(key: str) -> None:
    told = KNOBS[key].metadata
    assert checked(key, told["low"]) == told["low"]
    assert checked(key, told["high"]) == told["high"]


AUTO = {
    "l2",
    "image_size",
    "test_fraction",
    "epochs",
    "patience",
    "learning_rate",
    "freeze_depth",
    "limit_memory",
}
AUTO |= {"l2", "rate_decay", "momentum", "views"}


@pytest.mark.parametrize("key", NUMBERS)
def test_auto_is_allowed_where_it_is_said(key: str) -> None:
    if key in AUTO:
        assert checked(key, "auto") == "auto"
        assert "or auto" in refusal(key, "often").split("is not allowed.")[1]
    else:
        assert "auto" not in refusal(key, "auto").split("is not allowed.")[1]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [("seed", "12", 12), ("epochs", 5.0, 5), ("learning_rate", "1e-3", 0.001), ("weight_decay", 0, 0.0)],
)
def test_numbers_come_in_their_type(key: str, value: Any, expected: float) -> None:
    found = checked(key, value)
    assert found == expected
    assert type(found) is type(expected)


def test_a_path_becomes_text() -> None:
    assert checked("weights_dir", Path("weights")) == "weights"


@pytest.mark.parametrize("value", ["", "  ", [], {}])
def test_an_empty_name_is_refused(value: Any) -> None:
    assert refusal("backbone", value) == f"{value!r} is not allowed. A name or a path is needed."


def test_none_is_allowed_where_it_is_the_default() -> None:
    assert checked("exclude", None) is None
    assert "not allowed" in refusal("weights", None)


@pytest.mark.parametrize("text", ["strategy: [linear", "a: b: c", "\t- x"])
def test_a_file_that_is_not_yaml_is_refused_by_name(tmp_path: Path, text: str) -> None:
    name = write(tmp_path, text)
    with pytest.raises(RecipeError) as caught:
        read_recipe(name)
    assert str(caught.value).startswith(f"{name}: not YAML: ")


def test_a_file_that_is_not_text_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(RecipeError, match="mine.yaml: not YAML"):
        read_recipe(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize("text", ["- strategy\n- linear", "linear", "", "# nothing"])
def test_a_file_without_keys_is_refused(tmp_path: Path, text: str) -> None:
    name = write(tmp_path, text)
    with pytest.raises(RecipeError) as caught:
        read_recipe(name)
    assert str(caught.value) == f"{name}: keys and values are needed, such as 'strategy: linear'."


def test_a_recipe_file_that_is_not_there_is_told() -> None:
    with pytest.raises(UsageError, match=r"^--recipe nowhere\.yaml: no such file\.$"):
        recipe_file("nowhere.yaml")


def test_an_unknown_recipe_tells_the_nearest() -> None:
    with pytest.raises(UnknownName, match="unknown recipe 'quickstar'. Did you mean 'quickstart'"):
        recipe_file("quickstar")


def photos(per_class: int) -> Index:
    labels = ["cats", "dogs"] * per_class
    files = pd.DataFrame({"path": [str(n) for n in range(len(labels))], "label": labels, "split": "train"})
    return Index(Path(), files.assign(width=100, height=100), pd.DataFrame())


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("per_class", [3, 300])
def test_every_shipped_recipe_makes_a_plan(name: str, per_class: int) -> None:
    recipe = load_recipe(name, {})
    plan = make_plan(recipe, lookup(recipe.backbone), photos(per_class))
    assert plan.phases
    assert recipe.strategy in ("auto", plan.strategy)


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_says_what_for_on_which_data_by_what_command_and_with_what_result(
    name: str,
) -> None:
    comments = [
        line for line in recipe_file(name).read_text(encoding="utf-8").splitlines() if line.startswith("#")
    ]
    assert re.match("# [A-Z]", comments[0])
    command = next(line for line in comments if line.startswith("#   transferkit finetune "))
    data = command.split()[3]
    assert f"--recipe {name}" in command
    # What is not here already has to be fetched first.
    if data not in ("digits", "photos/"):
        assert f"#   transferkit datasets fetch {data}" in comments
        assert data in [card.name for card in cards()]
    results = [line for line in comments if "median (min-max) of seeds 0, 1, 2: " in line]
    assert len(results) + sum(line.startswith("# Result not measured: ") for line in comments) == 1


def test_a_run_stands_for_its_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("seed: 7\n")
    assert Recipe.load(tmp_path).seed == load_recipe(str(tmp_path), {}).seed == 7
    with pytest.raises(UsageError, match="a folder without recipe.yaml is no run"):
        recipe_file(str(tmp_path.parent))


def test_settings_are_read_as_yaml() -> None:
    given = ("epochs=20", "learning_rate=1e-3", " exclude =null", "weights=a=b.h5", "resize=pad")
    assert parse_settings(given) == {
        "epochs": 20,
        "learning_rate": "1e-3",  # YAML 1.1 has no such number; the recipe reads it as one
        "exclude": None,
        "weights": "a=b.h5",
        "resize": "pad",
    }


def test_of_two_settings_of_a_key_the_last_counts() -> None:
    assert parse_settings(("seed=1", "seed=2")) == {"seed": 2}


def test_a_setting_without_equals_sign_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        parse_settings(("epochs",))
    assert str(caught.value) == "--set epochs: key=value is needed, such as epochs=20."


@pytest.mark.parametrize("setting", ["epochs=[", "epochs=1: 2: 3", "exclude='a"])
def test_a_setting_that_is_not_yaml_is_refused(setting: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_settings((setting,))
    assert str(caught.value) == f"--set {setting}: the value is not YAML; put it in quotes."


def test_the_schema_that_is_shipped_is_that_of_the_keys() -> None:
    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == recipe_schema()


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_keeps_to_the_schema(name: str) -> None:
    jsonschema.validate(read_recipe(name), recipe_schema())
    jsonschema.validate(load_recipe(name, {}).as_dict(), recipe_schema())


@pytest.mark.parametrize(
    "values", [{"epochs": 0}, {"epochs": "often"}, {"strategy": "magic"}, {"tensorboard": 1}, {"epoch": 3}]
)
def test_what_a_recipe_refuses_the_schema_refuses(values: dict[str, Any]) -> None:
    with pytest.raises(RecipeError):
        Recipe.from_mapping(values)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, recipe_schema())


def test_a_recipe_is_loaded_changed_and_asked_for_by_name() -> None:
    changed = Recipe.load("fast").replace(backbone="resnet50", seed="3")
    assert (changed.backbone, changed.seed, changed.image_size) == ("resnet50", 3, 128)
    with pytest.raises(RecipeError, match="Did you mean 'epochs'"):
        changed.replace(epoch=3)
    assert recipe_of("fast", {"seed": 1}) == Recipe.load("fast").replace(seed=1)
    assert recipe_of({"seed": 2}, {"seed": 1}).seed == 1
    assert recipe_of(changed, {}) == changed and recipe_of(None, {}) == Recipe()
