import functools
import json
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from tests.conftest import toy_network
from transferkit.backbone.build import build
from transferkit.backbone.catalogue import lookup
from transferkit.backbone.graph import find_stages
from transferkit.errors import TrainingError, UsageError
from transferkit.strategies import Tuning
from transferkit.training.freezing import FreezeRow, freeze_lines, freeze_table, hashes, proof
from transferkit.training.linear import LinearClassifier
from transferkit.training.model import check_has_batchnorm, classifier, set_trainable, tail

TUNING = Tuning(stages=("stage2", "stage3"), rates=(0.3, 1.0))
LAST = Tuning(stages=("stage3",))


@functools.cache
def trained(tuning: Tuning) -> tuple[Any, Any]:
    """A toy classifier that a tuning took a step with, and the hashes before and after."""
    network = toy_network()
    stages = find_stages(network)
    kernel = np.random.default_rng(0).normal(0, 0.3, (16, 2)).astype("float32")
    model = classifier(network, stages[-1:], LinearClassifier(kernel, np.zeros(2, np.float32), 1.0, ()), 2)
    set_trainable(network, stages, tuning)
    whole = tail(model, stages, 0)
    before = hashes(network, stages, model.get_layer("logits"))
    whole.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images = np.random.default_rng(1).uniform(0, 255, (8, 32, 32, 3)).astype("float32")
    whole.train_on_batch(images, np.arange(8) % 2)
    return before, hashes(network, stages, model.get_layer("logits"))


def training(tuning: Tuning, thawed: tuple[str, ...] | None = None) -> set[str]:
    network = toy_network()
    set_trainable(network, find_stages(network), tuning, thawed)
    return {weight.path for weight in network.trainable_weights}


def test_stages_in_the_middle_may_train_alone():
    paths = training(Tuning(stages=("stage2",)))
    assert {path.split("/")[0] for path in paths} == {"conv2", "bn2", "side2"}


def test_stages_that_have_not_thawed_yet_do_not_train():
    assert training(TUNING, ()) == set()
    assert {path.split("/")[0] for path in training(TUNING, ("stage3",))} == {"conv3", "bn3", "side3"}


def test_of_batchnorm_alone_the_scales_and_offsets_of_thawed_stages_train():
    only = replace(TUNING, only="batchnorm")
    assert training(only) == {f"bn{n}/{name}" for n in (2, 3) for name in ("gamma", "beta")}
    assert training(only, ("stage3",)) == {"bn3/gamma", "bn3/beta"}


def test_a_stage_that_there_is_not_is_an_error():
    with pytest.raises(TrainingError, match="toy has no stage7. Its stages: stage1, stage2, stage3."):
        training(Tuning(stages=("stage3", "stage7")))


@pytest.mark.parametrize("name", ["vgg16", "convnext_tiny"])
def test_batchnorm_alone_is_refused_where_there_is_none(name: str):
    network = build(lookup(name), 32)
    with pytest.raises(UsageError, match=f"backbone {name} has no such layer. Use finetune-top"):
        set_trainable(network, find_stages(network), Tuning(stages=("stage1",), only="batchnorm"))
    check_has_batchnorm(toy_network())


def table(tuning: Tuning | None) -> tuple[FreezeRow, ...]:
    network = toy_network()
    return freeze_table(network, find_stages(network), tuning, 34)


def test_the_table_tells_what_each_stage_does():
    # Stage 1: 3*3*3*8 + 8 of conv, 4*8 of BatchNorm, 3*3*8*8 + 8 of side.
    rows = table(TUNING)
    assert [row.stage for row in rows] == ["stage1", "stage2", "stage3", "head"]
    assert [row.trains for row in rows] == ["nothing", "all", "all", "all"]
    assert [row.rate_share for row in rows] == [0.0, 0.3, 1.0, 1.0]
    assert [row.batch_norm for row in rows] == ["inference"] * 3 + ["none"]
    assert (rows[0].parameters, rows[0].training) == (840, 0)
    # Stage 2: 3*3*8*12 + 12, 4*12, 3*3*12*12 + 12; the 24 of the statistics do not train.
    assert (rows[1].parameters, rows[1].training) == (2232, 2208)
    assert (rows[3].parameters, rows[3].training) == (34, 34)


def test_the_table_is_told_with_the_rate_of_each_stage_or_its_share_of_one_to_be_found():
    lines = freeze_lines(table(TUNING), 2e-3)
    assert [line.split() for line in lines] == [
        ["stage", "parameters", "trains", "BatchNorm", "rate"],
        ["stage1", "840", "nothing", "inference", "-"],
        ["stage2", "2,232", "all", "inference", "0.0006"],
        ["stage3", "4,128", "all", "inference", "0.002"],
        ["head", "34", "all", "none", "0.002"],
    ]
    assert len({line.index(line.split()[-2]) for line in lines}) == 1
    assert [line.split()[-1] for line in freeze_lines(table(TUNING), None)] == ["share", "-", "0.3", "1", "1"]


def test_of_batchnorm_alone_scales_and_offsets_train():
    rows = table(replace(TUNING, only="batchnorm", rates=()))
    assert [(row.trains, row.training, row.rate_share) for row in rows[:3]] == [
        ("nothing", 0, 0.0), ("batchnorm", 24, 1.0), ("batchnorm", 32, 1.0),
    ]  # fmt: skip


def test_a_phase_without_tuning_trains_no_stage():
    assert [row.trains for row in table(None)] == ["nothing"] * 3 + ["all"]


def test_the_proof_tells_what_stayed_and_what_moved():
    found = proof(*trained(TUNING), table(TUNING))
    told = [(row["weights"], row["scales"], row["statistics"]) for row in found]
    assert told == [("stayed",) * 3] + [("moved", "moved", "stayed")] * 2 + [("moved", "none", "none")]
    assert json.loads(json.dumps(found)) == list(found)
    assert found[0]["weights_sha256"][0] == found[0]["weights_sha256"][1] != ""


def test_the_kernels_stay_where_batchnorm_alone_trains():
    tuning = replace(TUNING, only="batchnorm")
    found = proof(*trained(tuning), table(tuning))
    assert [(row["weights"], row["scales"]) for row in found[:3]] == [
        ("stayed", "stayed"), ("stayed", "moved"), ("stayed", "moved"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ran", "said", "fault"),
    [
        (TUNING, LAST, "the weights of stage2 moved, and of it nothing may train"),
        (LAST, replace(LAST, only="batchnorm"), "the weights of stage3 moved, and of it batchnorm may train"),
        (replace(TUNING, only="batchnorm"), LAST, "the scales of stage2 moved"),
    ],
)
def test_what_moved_though_it_was_frozen_is_told_as_a_bug(ran: Tuning, said: Tuning, fault: str):
    before, after = trained(ran)
    with pytest.raises(TrainingError, match=fault):
        proof(before, after, table(said))


def test_statistics_may_never_move():
    before, _ = trained(LAST)
    after = before | {"stage3": before["stage3"] | {"statistics": "0"}}
    with pytest.raises(TrainingError, match="the statistics of stage3 moved"):
        proof(before, after, table(LAST))


def test_a_stage_that_trains_may_stay():
    before, _ = trained(LAST)
    assert {row["weights"] for row in proof(before, before, table(LAST))} == {"stayed"}


def test_a_single_bit_changes_the_hash():
    network = toy_network()
    stages = find_stages(network)
    before = hashes(network, stages, network.get_layer("conv3"))
    kernel = network.get_layer("side2").kernel
    values = kernel.numpy().copy()
    values.flat[7] = np.nextafter(values.flat[7], np.float32(1))
    kernel.assign(values)
    after = hashes(network, stages, network.get_layer("conv3"))
    changed = {(stage, kind) for stage in before for kind in before[stage] if before[stage] != after[stage]}
    assert {stage for stage, _ in changed} == {"stage2"}
    assert before["stage2"]["scales"] == after["stage2"]["scales"]
