from pathlib import Path
from typing import Any

import pytest

from transferkit.data.augment.catalogue import CHANGES, STEPS
from transferkit.data.augment.policy import Policy, load_policy, policy_from, policy_names
from transferkit.errors import RecipeError, UsageError


def test_the_policies_that_ship_are_whole():
    assert policy_names() == ["none", "light", "standard", "strong"]
    policies = [load_policy(name) for name in policy_names()]
    assert [len(policy.steps) for policy in policies] == [0, 2, 3, 4]
    assert [policy.name for policy in policies] == policy_names()


@pytest.mark.parametrize("name", STEPS)
def test_every_step_has_defaults_that_are_allowed(name: str):
    (step,) = policy_from([name]).steps
    assert dict(step.parameters) == {key: one.default for key, one in STEPS[name].parameters.items()}
    assert set(STEPS[name].changes) <= set(CHANGES)
    assert name in str(step)


def test_a_policy_is_the_same_after_yaml(tmp_path: Path):
    import yaml

    policy = policy_from(
        ["horizontal_flip", {"rotation": {"degrees": 5, "probability": 0.3}}, "mixup"], "mine"
    )
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(policy.as_data()))
    assert load_policy(str(tmp_path / "mine.yaml")) == policy


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (["horizontal_flop"], "unknown step 'horizontal_flop'. Did you mean 'horizontal_flip'"),
        ([{"rotation": {"degree": 5}}], "unknown parameter of rotation 'degree'. Did you mean 'degrees'"),
        ([{"rotation": {"degrees": 200}}], "rotation: degrees: 200 is not allowed; a number from 0 to 180"),
        ([{"rotation": {"degrees": True}}], "True is not allowed"),
        ([{"rotation": {"fill": "reflekt"}}], "Allowed: reflect, "),
        ([{"rotation": {"probability": 2}}], "probability: 2 is not allowed; a number from 0 to 1"),
        ([{"random_crop": {"scale": [2, 1]}}], "[2, 1] is not allowed; two ascending numbers from 1 to 4"),
        ([{"posterize": {"bits": 2.5}}], "a whole number from 1 to 8"),
        ([{"rotation": 5}], "parameters are needed as key: value, not 5"),
        ([5], "5 is not a step"),
        (["mixup", "blur"], "mixup mixes whole batches, so it must stand behind all other steps"),
        ([{"mixup": {"probability": 0.5}}], "a batch is mixed whole"),
        ([{"mixup": {"probability": 0}}], "a batch is mixed whole"),
        ([{"keras_cv.MixUp": {"probability": 0.3}}], "a batch is mixed whole"),
        ([{"random_crop": {"probability": 0.5}}], "every image is cut to the input's size"),
        (["random_crop", "random_resized_crop"], "one crop is enough"),
        (["torch.Thing"], "unknown step 'torch.Thing'"),
        (["keras_cv."], "unknown step 'keras_cv.'"),
        ("blur", "policy mine: a list of steps is needed, not 'blur'"),
        ({"random_crop": {"scale": [1, 2]}, "blur": None}, "(random_crop, blur) stand as keys"),
        ({"augment": {"blur": {"sigma": 1}}}, "Begin each with a dash: '- blur: ...'"),
        ({"random_crop": [1, 2]}, "policy mine: its steps (random_crop) stand as keys"),
        ({"rotation": []}, "policy mine: its steps (rotation) stand as keys"),
        (
            {"backbone": "vgg16", "augment": ["blur"]},
            "not keys (backbone, augment). A recipe goes by --recipe",
        ),
        ({"theirs": "standard"}, "not keys (theirs)"),
        ({"light": ["blur"]}, "policy light: the name is taken"),
        ({None: ["blur"]}, "policy None: the name is taken"),
    ],
)
def test_faults_are_refused_and_told(steps: Any, told: str):
    with pytest.raises(RecipeError) as caught:
        policy_from(steps, "mine")
    assert told in str(caught.value)


def test_a_list_of_steps_may_have_a_name():
    named = policy_from({"mine": ["blur"]}, "file")
    assert named == policy_from({"augment": {"mine": ["blur"]}}) == policy_from(["blur"], "mine")
    assert policy_from({"augment": ["blur"]}, "file").name == "file"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("light", "own light"),
        ("auto", "own auto"),
        ("mixup", "own mixup"),
        ("keras_cv.X", "own keras_cv.X"),
        ("mine", "mine"),
    ],
)
def test_a_file_is_not_called_as_what_ships(tmp_path: Path, file: str, name: str):
    (tmp_path / f"{file}.yaml").write_text("- blur\n")
    policy = load_policy(str(tmp_path / f"{file}.yaml"))
    assert policy.name == name and load_policy({policy.name: policy.as_data()}) == policy


def test_all_faults_are_told_at_once():
    with pytest.raises(RecipeError, match="2 faults:\n  policy own, step 1: .*\n  policy own, step 3: "):
        policy_from(["blurr", "blur", {"noise": {"sigma": -1}}])


def test_a_policy_that_there_is_not_is_told_with_the_nearest():
    with pytest.raises(UsageError, match="unknown policy 'standart'. Did you mean 'standard'"):
        load_policy("standart")
    with pytest.raises(UsageError, match="policy nowhere.yaml: no such file"):
        load_policy("nowhere.yaml")
    with pytest.raises(UsageError, match="policy auto is decided for a data set"):
        load_policy("auto")


def test_a_file_that_is_not_yaml_is_told(tmp_path: Path):
    (tmp_path / "bad.yaml").write_text("- [")
    empty = tmp_path / "empty.yaml"
    empty.write_text("# nothing yet\n")
    with pytest.raises(RecipeError, match="the file is empty; a policy without steps is called 'none'"):
        load_policy(str(empty))
    with pytest.raises(RecipeError, match="not YAML"):
        load_policy(str(tmp_path / "bad.yaml"))


def test_steps_that_make_a_change_are_left_out():
    policy = load_policy("strong").without(["mirror", "colour"], "calm")
    assert [step.name for step in policy.steps] == ["random_crop", "random_erasing"]
    assert policy.name == "calm"


def test_mixing_does_not_change_what_single_images_depend_on():
    plain, mixed = policy_from(["blur"]), policy_from(["blur", "mixup"])
    assert plain.digest == mixed.digest != policy_from(["noise"]).digest
    assert mixed.without_mixing() == Policy("own", plain.steps)
    assert [step.name for step in mixed.mixing] == ["mixup"]


def test_parameters_that_are_no_words_are_told():
    with pytest.raises(RecipeError, match="step 1: keras_cv.GridMask: 2 is no name of a parameter"):
        policy_from([{"keras_cv.GridMask": {"a": 1, 2: 3}}])
