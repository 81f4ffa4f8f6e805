"""Golden numbers; each is derived beside it."""

from dataclasses import replace
from typing import Any

import pytest

from transferkit.strategies import FeatureSet, Phase, Tuning
from transferkit.strategies.cost import Span, estimate, expected_epochs, inputs_of, map_bytes
from transferkit.strategies.rates import Load, Pilot, StageCost

# Work of a forward pass: activations + macs / 30, so 300, 200 and 100 values.
STAGES = tuple(
    StageCost(name=f"stage{n}", parameters=p, activations=a, largest=a, macs=m, output=o, channels=c)
    for n, p, a, m, o, c in ((1, 10, 250, 1500, 100, 4), (2, 20, 150, 1500, 50, 8), (3, 40, 50, 1500, 20, 16))
)
# A step behind the first stage: forward 300, back through 300 twice: 900 values in 9 ms.
PILOT = Pilot(
    decode=0.001, forward=0.006, first_forward=1.0, step=0.009, step_cut=1, step_depth=1, first_step=5.0,
    linear={"linear": 0.002, "multistage": 0.01}, startup=4.0, index=3.0, evidence=0.5, resident=1000,
)  # fmt: skip
LOAD = Load(
    images=100, new=60, train=70, val=20, test=10, batch_size=10, image_size=10,
    disk_limit=1e9, memory_limit=1e9,
)  # fmt: skip
LINEAR = Phase(name="linear", kind="linear", features=("stage3",), freeze_depth=3)


def tuned(depth: int, epochs: int = 12, **tuning: Any) -> Phase:
    trains = tuple(stage.name for stage in STAGES[depth:])
    return Phase(
        name="finetune",
        kind="finetune",
        features=tuple(stage.name for stage in STAGES[max(0, depth - 1) :]),
        freeze_depth=depth,
        epochs=epochs,
        patience=5,
        tuning=Tuning(stages=trains, rates=(1.0,) * len(trains), **tuning),
    )


def seconds(phase: Phase, load: Load = LOAD, pilot: Pilot = PILOT) -> dict[str, Span]:
    return estimate((LINEAR, phase), pilot, stages=STAGES, load=load).seconds


def test_the_linear_classifier_costs_its_features_and_its_fit() -> None:
    found = estimate((LINEAR,), PILOT, stages=STAGES, load=LOAD)
    # bank: 1 s to compile, 60 new images at 1 + 6 ms; linear: 70 images at 2 ms
    assert {part: span.expected for part, span in found.seconds.items()} == pytest.approx(
        {"startup": 4, "index": 3, "bank": 1.42, "evidence": 0.5, "linear": 0.14, "report": 7}
    )
    assert found.total.expected == pytest.approx(16.06)
    assert found.total.at_most == pytest.approx(23.06)  # one in ten takes over 14 s
    folded = estimate((LINEAR,), PILOT, stages=STAGES, load=replace(LOAD, folds=5))
    assert folded.seconds["folds"].expected == pytest.approx(0.7)


def test_a_classifier_is_chosen_on_some_images_and_fitted_on_all() -> None:
    pilot, load = replace(PILOT, refit={"linear": 0.0005}), replace(LOAD, train=10_000)
    # 1,500 images at 1.5 ms, then all at half a millisecond.
    assert estimate((LINEAR,), pilot, stages=STAGES, load=load).seconds["linear"].expected == pytest.approx(
        7.25
    )


def test_a_bank_that_is_known_costs_nothing() -> None:
    found = estimate((LINEAR,), PILOT, stages=STAGES, load=replace(LOAD, new=0))
    assert found.seconds["bank"] == Span(0, 0)


def test_fine_tuning_costs_activations_and_epochs() -> None:
    found = seconds(tuned(1))
    # 1 s to compile, 100 images at 1 ms + half of the network's work (300 of 600) at 6 ms
    assert found["activations"].expected == pytest.approx(1.4)
    # forward is a third of the step, 3 ms; an epoch: 70 at 9 ms and val 20 at 3 ms = .69 s;
    # once: 5 + 1 to compile, val at the start .06 and of eight blends .48, val and test at the end .09
    assert found["finetune"].at_most == pytest.approx(6.63 + 12 * 0.69)
    assert found["finetune"].expected == pytest.approx(6.63 + 9 * 0.69)


def test_what_was_moved_sees_some_images_once_more_for_the_report() -> None:
    # 70 of train, 20 of val and 10 of test at 1 + 6 ms; no more than 1,000, 200 and 200.
    assert seconds(tuned(1))["report"] == Span(7, pytest.approx(14.7))
    assert seconds(tuned(1), replace(LOAD, train=5000, val=900, test=900))["report"].at_most == pytest.approx(
        14 + 1400 * 0.007
    )
    assert seconds(tuned(1), replace(LOAD, multilabel=True))["report"] == Span(7, 14)


def test_early_stopping_is_expected_a_patience_after_a_third_of_the_epochs() -> None:
    assert [expected_epochs(tuned(0, epochs)) for epochs in (3, 8, 12, 40)] == [3, 8, 9, 19]


def test_a_phase_that_was_not_timed_is_scaled_by_its_work() -> None:
    # Behind two stages: forward 100 and back 200 of the 900 values that took 9 ms.
    assert seconds(tuned(2))["finetune"].at_most == pytest.approx(6 + 210 * 0.001 + 12 * (0.21 + 0.02))


def test_images_that_crops_are_cut_out_of_are_decoded_larger() -> None:
    """70 of 100 images train; they take 3 ms more each, where they are kept and where they are not."""
    larger = replace(PILOT, decode_larger=PILOT.decode + 0.003)

    def more(part: str, phase: Phase, **load: Any) -> float:
        asked = replace(LOAD, canvas_px=20, maps=8, views=4, **load)
        found = [seconds(phase, asked, pilot)[part].expected for pilot in (PILOT, larger)]
        return found[1] - found[0]

    assert more("views", tuned(1)) == pytest.approx(70 * 0.003)
    assert more("activations", tuned(0)) == pytest.approx(70 * 0.003)  # pixels, decoded once
    assert more("finetune", tuned(0)) == pytest.approx(0)
    assert more("activations", tuned(1)) == pytest.approx(70 * 0.003)  # views at the cut
    once_each = more("finetune", tuned(0), disk_limit=5e3, memory_limit=5e3)
    assert once_each == pytest.approx(expected_epochs(tuned(0)) * 70 * 0.003)


@pytest.mark.parametrize("change", [{"anew": True}, {"disk_limit": 5e3, "memory_limit": 5e3}])
def test_images_pass_the_frozen_stages_too_where_activations_cannot_be_kept(change: Any) -> None:
    # maps behind one stage: 100 images of 100 values of 4 bytes; pixels: 100 of 300 bytes
    assert (map_bytes(1, STAGES, LOAD), map_bytes(0, STAGES, LOAD)) == (40_000, 30_000)
    # crops of 70 training images are cut out of those of 20 px: 1,200 bytes
    assert map_bytes(0, STAGES, replace(LOAD, canvas_px=20)) == 70 * 1200 + 30 * 300
    load = replace(LOAD, **change)
    kept = "anew" in change
    assert inputs_of(tuned(1), STAGES, load) == (0, kept)
    found = seconds(tuned(1), load)
    # forward 600 and back through 300 twice: 1,200 values in 12 ms, the forward pass 6 ms;
    # decoded anew in each epoch 1 ms more
    step, forward = (0.012, 0.006) if kept else (0.013, 0.007)
    assert found["activations"].expected == pytest.approx(0.1 if kept else 0)
    assert found["finetune"].at_most == pytest.approx(6 + 210 * forward + 12 * (70 * step + 20 * forward))


def test_views_cost_their_passes() -> None:
    load = replace(LOAD, views=3, maps=8)
    plain, found = seconds(tuned(1)), seconds(tuned(1), load)
    # 1 s to compile, 70 images decoded once at 1 ms, three passes of 6 ms.
    assert found["views"].expected == pytest.approx(1 + 70 * 0.019)
    # The fit of all of train counts four times; nothing is known of it apart from the choice here.
    assert found["linear"].expected == pytest.approx(plain["linear"].expected)
    # Eight views behind half of the network's work.
    more = found["activations"].expected - plain["activations"].expected
    assert more == pytest.approx(70 * (0.001 + 8 * 0.003))
    assert inputs_of(tuned(1), STAGES, load) == (1, True)


def test_views_that_fit_nowhere_leave_images_that_pass_the_whole_network() -> None:
    # Activations of 70 images take 28,000 bytes a view.
    tight = replace(LOAD, maps=8, disk_limit=2e4, memory_limit=2e4)
    assert inputs_of(tuned(1), STAGES, tight) == (0, False)


def test_an_epoch_costs_its_whole_batches_and_what_is_beside_them() -> None:
    pilot = replace(PILOT, epoch=0.5)
    plain, longer = (estimate((tuned(1),), one, stages=STAGES, load=LOAD) for one in (PILOT, pilot))
    assert longer.total.at_most - plain.total.at_most == pytest.approx(12 * 0.5)
    # 71 images are eight batches of ten: nine images' steps more, at 9 ms
    more = estimate((tuned(1),), PILOT, stages=STAGES, load=replace(LOAD, train=71))
    assert more.seconds["finetune"].at_most - plain.seconds["finetune"].at_most == pytest.approx(
        12 * 10 * 0.009
    )


def test_a_range_test_costs_its_steps() -> None:
    plain, with_test = seconds(tuned(1)), seconds(tuned(1, find_rate=True))
    # 70 images are 7 batches of 10: the fewest steps, 40, at 9 ms an image
    assert with_test["finetune"].at_most - plain["finetune"].at_most == pytest.approx(40 * 10 * 0.009)


def test_memory_is_what_is_held_at_the_highest_moment() -> None:
    found = estimate((LINEAR, tuned(1)), PILOT, stages=STAGES, load=LOAD)
    # weights that train 60: gradient and two slots of AdamW; three copies of the 60 behind the cut
    assert found.memory == {
        "program": 1000,
        "activations kept": 40_000,
        "optimizer and best weights": 4 * (60 * 3 + 3 * 60),
        "batch": 10 * 4 * (150 + 50),
    }
    assert found.peak == 1000 + 40_000 + 1440 + 8000
    assert found.disk == 40_000


def test_memory_that_threads_keep_is_counted_where_they_keep_it() -> None:
    keeping = replace(PILOT, kept=3000, threads=4)
    found = estimate((LINEAR, tuned(1)), keeping, stages=STAGES, load=LOAD).memory
    assert found["freed but kept"] == 4 * 3000  # less than two batches of 8000
    many = estimate((tuned(1),), replace(keeping, threads=64), stages=STAGES, load=LOAD).memory
    assert many["freed but kept"] == 2 * many["batch"] == 16_000
    assert estimate((LINEAR,), keeping, stages=STAGES, load=LOAD).memory["freed but kept"] == 3000


def test_activations_over_a_limit_are_on_disk_or_in_memory_alone() -> None:
    on_disk = estimate((tuned(1),), PILOT, stages=STAGES, load=replace(LOAD, memory_limit=0))
    assert (on_disk.disk, on_disk.memory["activations kept"]) == (40_000, 0)
    in_memory = estimate((tuned(1),), PILOT, stages=STAGES, load=replace(LOAD, disk_limit=0))
    assert (in_memory.disk, in_memory.memory["activations kept"]) == (0, 40_000)
    nowhere = replace(LOAD, disk_limit=0, memory_limit=35_000)  # the pixels would fit, but nothing keeps them
    assert estimate((tuned(1),), PILOT, stages=STAGES, load=nowhere).memory["activations kept"] == 0


def test_images_that_train_and_others_are_two_arrays_within_one_limit() -> None:
    load = replace(LOAD, canvas_px=20, maps=8, disk_limit=0)

    def held(memory_limit: float) -> int:
        asked = replace(load, memory_limit=memory_limit)
        return estimate((tuned(0),), PILOT, stages=STAGES, load=asked).memory["activations kept"]

    assert held(84_000 + 9_000) == 93_000
    assert held(84_000 + 8_999) == 84_000
    assert held(83_999) == 9_000


def test_views_are_held_and_written_too() -> None:
    load = replace(LOAD, views=3, maps=8)
    found = estimate((LINEAR, tuned(1)), PILOT, stages=STAGES, load=load)
    # 40,000 bytes of all images, eight views of 70 images of 100 values.
    assert found.memory["activations kept"] == found.disk == 40_000 + 8 * 70 * 400
    tight = estimate((tuned(1),), PILOT, stages=STAGES, load=replace(load, memory_limit=50_000))
    assert tight.memory["activations kept"] == 40_000 and tight.disk == found.disk
    # Each alone is within the limit, both together are not.
    both = replace(load, memory_limit=40_000 + 8 * 70 * 400 - 1)
    assert estimate((tuned(1),), PILOT, stages=STAGES, load=both).memory["activations kept"] == 40_000
    linear = estimate((LINEAR,), PILOT, stages=STAGES, load=load)
    plain = estimate((LINEAR,), PILOT, stages=STAGES, load=LOAD)
    assert linear.memory["linear classifier"] == 4 * plain.memory["linear classifier"]


def test_the_linear_classifier_holds_its_largest_features() -> None:
    choices = (
        FeatureSet(stages=("stage3",)),
        FeatureSet(stages=("stage2", "stage3"), kinds=("means", "grids")),
    )
    found = estimate((replace(LINEAR, choices=choices),), PILOT, stages=STAGES, load=LOAD)
    # 8 + 16 channels, five values of each, 24 bytes a value, of 70 images
    assert found.memory["linear classifier"] == 24 * 5 * 24 * 70


def test_an_estimate_is_plain_values_for_the_plan() -> None:
    found = estimate((LINEAR,), PILOT, stages=STAGES, load=LOAD).as_dict()
    assert found["seconds"]["linear"] == {"expected": 0.14, "at_most": 0.14}
    assert set(found) == {"seconds", "memory", "disk", "total", "peak"}
