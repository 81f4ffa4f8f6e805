import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from transferkit.backbone.catalogue import BackboneSpec, lookup
from transferkit.data.index import Index
from transferkit.errors import UsageError
from transferkit.planning import Plan, decide_balance, make_plan
from transferkit.recipe import Recipe

SPEC = lookup("mobilenet_v2")
SINGLE = replace(SPEC, name="single", stages=SPEC.stages[-1:])
LITTLE, LOTS = 20, 200


def photos(*counts: int, width: int = 100, multilabel: bool = False) -> Index:
    """Training images of as many classes as there are counts, and ten of val for each."""
    rows = [(f"class{c}", "train") for c, count in enumerate(counts) for _ in range(count)]
    rows += [(f"class{c}", "val") for c in range(len(counts)) for _ in range(10)]
    frame = pd.DataFrame(rows, columns=["label", "split"])
    files = frame.assign(path=[f"{n}.jpg" for n in range(len(frame))], width=width, height=100)
    return Index(Path(), files, pd.DataFrame(), multilabel)


def planned(per_class: int = LITTLE, spec: BackboneSpec = SPEC, **asked: Any) -> Plan:
    return make_plan(Recipe.from_mapping(asked), spec, photos(per_class, per_class, per_class))


@pytest.mark.parametrize(
    ("per_class", "asked", "quadrant", "strategy"),
    [
        (LITTLE, {}, "similar-little", "linear"),
        (LOTS, {}, "similar-lots", "finetune-top"),
        (LITTLE, {"similarity": "different"}, "different-little", "multistage"),
        (LOTS, {"similarity": "different"}, "different-lots", "finetune-deep"),
        (LITTLE, {"amount": "lots"}, "similar-lots", "finetune-top"),
        (LOTS, {"amount": "little", "similarity": "different"}, "different-little", "multistage"),
    ],
)
def test_auto_goes_by_the_matrix(per_class: int, asked: Any, quadrant: str, strategy: str) -> None:
    plan = planned(per_class, **asked)
    assert (plan.quadrant, plan.strategy) == (quadrant, strategy)
    assert plan.quadrant == f"{plan.similarity}-{plan.amount}"
    assert plan.phases[-1].name == ("finetune" if "finetune" in strategy else strategy)


@pytest.mark.parametrize("strategy", ["linear", "multistage", "finetune-top", "finetune-deep", "full"])
def test_a_stated_strategy_is_taken_and_the_matrix_named_beside_it(strategy: str) -> None:
    plan = planned(LITTLE, strategy=strategy)
    beside = "" if strategy == "linear" else " (the matrix says linear)"
    assert plan.strategy == strategy
    assert f"Strategy stated: {strategy}{beside}." in plan.reasons


def test_multistage_by_the_matrix_falls_to_linear_on_a_single_stage() -> None:
    plan = planned(LITTLE, SINGLE, similarity="different")
    assert plan.strategy == "linear"
    assert "single is a single stage, so linear stands in for multistage." in plan.reasons


def test_multistage_stated_is_refused_on_a_single_stage() -> None:
    with pytest.raises(UsageError, match="multistage needs a backbone with several stages"):
        planned(LITTLE, SINGLE, strategy="multistage")


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in leaves(part)]
    if isinstance(value, (list, tuple)):
        return [leaf for part in value for leaf in leaves(part)]
    return [value]


@pytest.mark.parametrize("per_class", [LITTLE, LOTS])
@pytest.mark.parametrize("similarity", ["auto", "similar", "different"])
def test_no_auto_is_left(per_class: int, similarity: str) -> None:
    plan = planned(per_class, similarity=similarity).as_dict()
    assert "auto" not in leaves(plan)
    assert None not in leaves(plan["resolved"])


@pytest.mark.parametrize("per_class", [LITTLE, LOTS])
def test_a_plan_goes_through_json(per_class: int) -> None:
    content = planned(per_class).as_dict()
    assert json.loads(json.dumps(content)) == json.loads(json.dumps(content, default=str))
    assert {"quadrant", "strategy", "phases", "reasons", "evidence"} <= set(content)


@pytest.mark.parametrize(("per_class", "reasons"), [(LITTLE, 5), (LOTS, 6)])
def test_each_decision_has_its_reason(per_class: int, reasons: int) -> None:
    found = planned(per_class).reasons
    assert len(found) == reasons  # similarity, amount, strategy, what is thawed, resize, balance
    assert all(reason.endswith(".") for reason in found)


def test_the_matrix_is_named_as_the_reason() -> None:
    assert planned(LOTS).reasons[2] == "The matrix: similar to ImageNet, lots of data: finetune-top."


def test_the_thawed_stages_are_named() -> None:
    assert len(SPEC.stages) == 5
    assert planned(LOTS).reasons[3] == (
        "Fine-tuning thaws stage4, stage5 (freeze depth 3 of 5), starts from the best linear classifier, "
        "and is kept only if it is better on val."
    )


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        ("surgical", "Fine-tuning thaws stage4, stage5 ("),
        ("batchnorm", "Fine-tuning thaws BatchNorm in stage1, "),
    ],
)
def test_only_what_trains_is_named(strategy: str, words: str) -> None:
    assert any(reason.startswith(words) for reason in planned(LOTS, strategy=strategy).reasons)


@pytest.mark.parametrize(("epochs", "never"), [(6, "stage4"), (7, None), (3, "stage4, stage5")])
def test_stages_that_join_too_late_to_train_are_named(epochs: int, never: str | None) -> None:
    reasons = planned(LOTS, strategy="finetune-top", thaw_epochs=3, epochs=epochs).reasons
    told = [reason for reason in reasons if "will not train" in reason]
    if never is None:
        assert not told
    else:
        assert told == [
            f"{never} will not train: with a stage every 3 epochs all have joined after 7 epochs, and there "
            f"are {epochs} (--set thaw_epochs, --set epochs)."
        ]


def test_the_evidence_counts_training_images_alone() -> None:
    plan = make_plan(Recipe(), SPEC, photos(10, 30, 200))
    assert plan.evidence.pop("amount")["per_class"] == 30.0
    assert plan.evidence == {
        "images": {"train": 240, "val": 30},
        "train_images": 240,
        "train_images_per_class_median": 30.0,
        "classes": 3,
        "lots_from_per_class": 100,
        "try_both": False,
        "long_images_share": 0.0,
        "imbalance_ratio": 20.0,
    }


def test_what_was_auto_is_resolved() -> None:
    assert planned(LOTS).resolved == {
        "strategy": "finetune-top",
        "image_size": 224,
        "freeze_depth": 3,
        "epochs": 40,  # 600 images in 32s are 18 steps; 1,000 steps are 56 epochs, 40 at most
        "patience": 20,
        "learning_rate": 5e-4,
        "resize": "crop",
        "balance": "none",
        "augment": "none",
    }


def test_what_is_stated_reaches_the_phase() -> None:
    asked = {"epochs": 3, "patience": 2, "learning_rate": 0.01, "freeze_depth": 1, "image_size": 96}
    plan = planned(LOTS, **asked)
    phase = plan.finetune
    assert phase is not None
    assert (phase.epochs, phase.patience, phase.learning_rate, phase.freeze_depth) == (3, 2, 0.01, 1)
    assert plan.image_size == 96


def test_the_batch_size_counts_in_the_epochs() -> None:
    phase = planned(LOTS, batch_size=10).finetune
    assert phase is not None
    assert phase.epochs == 17  # 600 / 10 = 60 steps; 1,000 / 60 = 16.7


@pytest.mark.parametrize("strategy", ["linear", "multistage"])
def test_a_freeze_depth_where_no_stage_trains_is_refused(strategy: str) -> None:
    with pytest.raises(UsageError, match=f"^freeze_depth 0 says nothing to strategy {strategy}, "):
        planned(LITTLE, strategy=strategy, freeze_depth=0)


def test_where_auto_chose_no_gradient_steps_what_is_of_them_is_told() -> None:
    plan = planned(LITTLE, freeze_depth=2, ema=0.9)
    assert plan.strategy == "linear"
    assert plan.reasons[-1] == "ema, freeze_depth say nothing here: strategy linear takes no gradient steps."
    assert "nothing here" not in " ".join(planned(LOTS, freeze_depth=2, ema=0.9).reasons)
    momentum = planned(LOTS, momentum=0.5).reasons[-1]
    assert momentum == "momentum says nothing here: it is of sgd and rmsprop, not adamw."
    assert "nothing here" not in " ".join(planned(LOTS, momentum=0.5, optimizer="sgd").reasons)


def test_a_freeze_depth_may_be_the_name_of_the_last_stage_that_does_not_train() -> None:
    by_name, by_number = (planned(LOTS, strategy="full", freeze_depth=depth) for depth in ("stage2", 2))
    assert by_name.finetune == by_number.finetune
    assert by_name.finetune is not None and by_name.finetune.tuning is not None
    assert by_name.finetune.tuning.stages == ("stage3", "stage4", "stage5")
    with pytest.raises(UsageError, match="freeze_depth 7 leaves nothing to train"):
        planned(LOTS, strategy="full", freeze_depth="stage7")


def test_a_freeze_depth_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="freeze_depth 5 leaves nothing to train"):
        planned(LITTLE, strategy="full", freeze_depth=5)


def test_every_plan_begins_with_the_linear_classifier() -> None:
    for strategy in ("linear", "multistage", "finetune-top", "finetune-deep", "full"):
        plan = planned(strategy=strategy)
        assert plan.linear.kind == "linear"
        assert plan.linear.features == ("stage5",)
        assert (plan.finetune is None) == (strategy in ("linear", "multistage"))


@pytest.mark.parametrize(
    ("width", "asked", "resize"),
    [(199, "auto", "crop"), (201, "auto", "pad"), (201, "crop", "crop"), (100, "stretch", "stretch")],
)
def test_long_images_are_padded_unless_stated_otherwise(width: int, asked: str, resize: str) -> None:
    plan = make_plan(Recipe(resize=asked), SPEC, photos(20, 20, width=width))
    assert plan.resize == plan.resolved["resize"] == resize


def test_a_quarter_of_long_images_is_not_yet_many() -> None:
    index = photos(20, 20)
    index.files.loc[index.files.index[:10], "width"] = 300
    assert make_plan(Recipe(), SPEC, index).resize == "crop"
    index.files.loc[index.files.index[:11], "width"] = 300
    assert make_plan(Recipe(), SPEC, index).resize == "pad"


@pytest.mark.parametrize(
    ("asked", "counts", "method"),
    [
        ("auto", (30, 10), "none"),
        ("auto", (31, 10), "weights"),
        ("none", (31, 10), "none"),
        ("sampler", (10, 10), "sampler"),
    ],
)
def test_unequal_classes_are_weighted_from_three_to_one(asked: str, counts: Any, method: str) -> None:
    plan = make_plan(Recipe(balance=asked), SPEC, photos(*counts))
    assert plan.balance.method == method
    assert set(plan.balance.weights) == (set() if method == "none" else {"class0", "class1"})


def test_the_weights_are_told_by_class() -> None:
    balance = make_plan(Recipe(), SPEC, photos(90, 10)).balance
    assert balance.weights == {"class0": 0.555556, "class1": 5.0}  # 100 / (2 * 90), 100 / (2 * 10)
    assert "9.0 times" in balance.reason
    assert balance.reason.endswith(": class0 0.556, class1 5.")


def test_of_many_weights_the_extremes_are_told() -> None:
    counts = {f"class{n}": 40 for n in range(11)} | {"class3": 4, "class7": 60}
    reason = decide_balance("weights", counts).reason
    assert reason.endswith(": from 0.642 (class7) to 9.64 (class3).")


def test_classes_of_images_that_have_several_are_counted_each() -> None:
    index = photos(20, 20, multilabel=True)
    index.files.loc[index.files.index[0], "label"] = "class0|class1"
    plan = make_plan(Recipe(), SPEC, index)
    assert plan.multilabel
    assert (plan.evidence["classes"], plan.evidence["train_images_per_class_median"]) == (2, 20.5)


def test_one_fold_is_refused() -> None:
    with pytest.raises(UsageError, match="folds"):
        make_plan(Recipe(folds=1), SPEC, photos(20, 20))
