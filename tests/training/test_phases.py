import os
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.conftest import toy_network
from tests.dying import Killed, die_at
from transferkit import progress
from transferkit.backbones.graph import find_stages, stage_layers
from transferkit.data.balance import balanced_order, sample_weights
from transferkit.errors import TrainingError
from transferkit.evaluation.multilabel import bce, mean_average_precision
from transferkit.strategies import Phase, Tuning, schedules
from transferkit.timing import Deadline
from transferkit.training import epochs, phases
from transferkit.training.epochs import Epoch
from transferkit.training.job import Job, measure
from transferkit.training.linear import LinearClassifier
from transferkit.training.model import classifier, set_freeze_depth, tail
from transferkit.training.phases import run_phase
from transferkit.training.state import StateFile

PHASE = Phase(
    name="finetune", kind="finetune", features=("stage3",), freeze_depth=1, epochs=4, patience=4,
    learning_rate=1e-3,
)  # fmt: skip
RANDOM = np.random.default_rng(0)


class Arrays:
    """A source that holds its inputs."""

    def __init__(self, inputs: np.ndarray) -> None:
        self.inputs = inputs

    def take(self, rows: np.ndarray) -> np.ndarray:
        return self.inputs[rows]


def make_job(depth: int = 1, images: int = 48, dropout: float = 0.0) -> tuple[Job, Any]:
    """A toy classifier with a zero head on bright and dark pictures, cut behind `depth` stages."""
    network = toy_network()
    stages = find_stages(network)
    zero = LinearClassifier(np.zeros((16, 2), np.float32), np.zeros(2, np.float32), 1.0, ())
    model = classifier(network, stages[-1:], zero, 2)
    labels = np.arange(images) % 2
    pictures = RANDOM.normal(90, 30, (images, 32, 32, 3)) + 70 * labels[:, None, None, None]
    inputs = pictures.astype(np.float32)
    if depth:
        import keras

        stem = keras.Model(network.input, network.get_layer(stages[depth - 1].cut).output)
        inputs = np.asarray(stem.predict_on_batch(inputs))
    set_freeze_depth(network, stages, depth)
    job = Job(
        model=tail(model, stages, depth, dropout=dropout), network=network, stages=stages,
        source=Arrays(inputs), labels=labels, classes=2, train=np.arange(32), val=np.arange(32, images),
        batch_size=8, seed=0, augment="none", smoothing=0.5, jit=False,
    )  # fmt: skip
    return job, model


def values(model: Any) -> dict[str, list[np.ndarray]]:
    return {layer.name: layer.get_weights() for layer in model.layers}


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_frozen_stages_stay_to_the_byte_and_thawed_ones_move(depth: int):
    job, model = make_job(depth)
    before = values(model)
    run_phase(job, replace(PHASE, freeze_depth=depth))
    after = values(model)
    for number, layers in enumerate(stage_layers(model, find_stages(toy_network()))):
        for layer in (layer for layer in layers if layer.weights):
            same = [np.array_equal(a, b) for a, b in zip(before[layer.name], after[layer.name], strict=True)]
            if number < depth:
                assert all(same), layer.name
            elif "bn" in layer.name:
                assert same == [False, False, True, True]  # gamma and beta move, the statistics stay
            else:
                assert not any(same), layer.name


def test_training_computes_in_inference_mode():
    job, model = make_job(0)
    inputs = job.source.take(np.arange(8))
    assert np.allclose(job.model(inputs, training=True), job.model(inputs, training=False))


def test_the_tail_gives_the_logits_of_the_whole():
    job, model = make_job(2)
    rows = np.arange(32, 48)
    whole, _ = make_job(0)
    assert np.allclose(measure(job, rows)[0], measure(whole, rows)[0], atol=1e-5)


def test_loss_falls_and_every_epoch_has_its_row():
    job, _ = make_job()
    rows = run_phase(job, PHASE).history
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["loss"] < rows[0]["loss"]
    # Warm-up over the first epoch, then (1 + cos(pi * n / 3)) / 2 for n = 0, 1, 2.
    assert [row["learning_rate"] for row in rows] == pytest.approx([1e-3, 1e-3, 7.5e-4, 2.5e-4])


def test_every_step_is_taken_at_its_rate(monkeypatch: pytest.MonkeyPatch):
    job, _ = make_job()
    seen: list[float] = []
    original = epochs._steps

    def watched(*arguments: Any) -> Any:
        steps = original(*arguments)
        begin = steps.on_train_batch_begin
        steps.on_train_batch_begin = lambda batch, logs=None: (
            begin(batch, logs), seen.append(float(job.model.optimizer.learning_rate))
        )  # fmt: skip
        return steps

    monkeypatch.setattr(epochs, "_steps", watched)
    phase = replace(PHASE, epochs=2)
    run_phase(job, phase)
    assert seen == pytest.approx([schedules.rate(phase, step=n, steps_per_epoch=4) for n in range(8)])


def losses(
    monkeypatch: pytest.MonkeyPatch,
    val: list[float],
    train: list[float] | None = None,
    top1: list[float] | None = None,
) -> list[int]:
    """Pretend val (start first) and train losses; weights count the epochs that were fitted."""
    val, of_train, reached = list(val), list(train or [1.0] * 20), list(top1 or [0.5] * 20)
    fitted: list[int] = []

    def fit(job: Job, epoch: int, **_: Any) -> Epoch:
        fitted.append(epoch)
        job.model.set_weights([w * 0 + len(fitted) for w in job.model.get_weights()])
        return Epoch(job, {"loss": of_train.pop(0), "top1": 0.5}, whole=True)

    monkeypatch.setattr(phases, "fit_epoch", fit)
    monkeypatch.setattr(phases, "measure", lambda job, rows: (None, val.pop(0), reached.pop(0)))
    return fitted


def kept(job: Job) -> float:
    return float(job.model.get_weights()[0].flat[0])


def test_it_stops_after_patience_and_restores_the_best(monkeypatch: pytest.MonkeyPatch):
    job, _ = make_job()
    fitted = losses(monkeypatch, [1.0, 0.8, 0.6, 0.9, 0.9, 0.9])
    run_phase(replace(job, smoothing=0.0), replace(PHASE, epochs=9, patience=2))
    assert fitted == [0, 1, 2, 3]
    assert kept(job) == 2


def test_one_noisy_epoch_does_not_stop_a_smoothed_loss(monkeypatch: pytest.MonkeyPatch):
    # Smoothed with 0.5: 1, .8, .85, .575, ... : the bump at the second epoch costs one wait only.
    job, _ = make_job()
    fitted = losses(monkeypatch, [1.0, 0.6, 0.9, 0.3, 0.3])
    run_phase(job, replace(PHASE, epochs=4, patience=2))
    assert (fitted, kept(job)) == ([0, 1, 2, 3], 4)


def test_a_start_that_is_never_beaten_is_kept(monkeypatch: pytest.MonkeyPatch):
    job, _ = make_job()
    start = job.model.get_weights()
    losses(monkeypatch, [1.0, 1.1, 1.2, 1.3, 1.4])
    run_phase(job, replace(PHASE, patience=3))
    assert all(np.array_equal(a, b) for a, b in zip(job.model.get_weights(), start, strict=True))


@pytest.mark.parametrize("bad", [float("nan"), 3.1])
def test_an_explosion_restores_the_start_and_cuts_the_rate(
    bad: float, monkeypatch: pytest.MonkeyPatch, capsys
):
    job, _ = make_job()
    progress.show()
    losses(monkeypatch, [1.0, bad, 0.5, 0.5, 0.5, 0.5])
    trained = run_phase(replace(job, smoothing=0.0), PHASE)
    # One epoch of the first attempt, then the first epoch of the second.
    assert [row["phase"] for row in trained.history[:2]] == ["finetune (exploded)", "finetune"]
    assert trained.history[1]["learning_rate"] == pytest.approx(PHASE.learning_rate / 3)
    assert "at rate 0.001; start restored, rate cut to 0.00033" in trained.notes[0]
    assert trained.notes[0] in capsys.readouterr().err


def test_an_explosion_of_the_train_loss_counts_too(monkeypatch: pytest.MonkeyPatch):
    job, _ = make_job()
    losses(monkeypatch, [1.0] + [0.9] * 9, train=[3.1, *[1.0] * 9])
    assert [row["phase"] for row in run_phase(job, PHASE).history[:2]] == ["finetune (exploded)", "finetune"]


@pytest.mark.parametrize("rate", [1e3, 1e6])
def test_a_real_explosion_leaves_the_start_and_a_note(rate: float):
    job, _ = make_job()
    start = job.model.get_weights()
    trained = run_phase(job, replace(PHASE, learning_rate=rate))
    assert [row["phase"] for row in trained.history] == ["finetune (exploded)"] * 4
    assert trained.best_epoch == 0
    assert "this phase was given up" in trained.notes[-1]
    assert all(np.array_equal(a, b) for a, b in zip(job.model.get_weights(), start, strict=True))


def test_a_loss_better_than_guessing_is_no_explosion(monkeypatch: pytest.MonkeyPatch):
    # log 2 = 0.69: a start of 0.01 may rise to 0.6 on its way.
    job, _ = make_job()
    losses(monkeypatch, [0.01, 0.6, 0.1, 0.1, 0.1], train=[0.6] * 4)
    assert not any("exploded" in row["phase"] for row in run_phase(job, PHASE).history)


@pytest.mark.parametrize("several", [False, True])
def test_guessing_costs_log_2_where_an_image_may_have_several_of_four_classes(
    several: bool, monkeypatch: pytest.MonkeyPatch
):
    # One class of four costs log 4 = 1.39, four decisions log 2 = 0.69 each.
    job, _ = make_job()
    labels = np.eye(4)[job.labels] if several else job.labels
    losses(monkeypatch, [0.01, 0.8, *[0.1] * 8])
    rows = run_phase(replace(job, labels=labels, classes=4), PHASE).history
    assert ("exploded" in rows[0]["phase"]) == several


STILL = replace(PHASE, epochs=1, learning_rate=0.0)  # for the loss of the start
WEIGHTS = np.array([0.5, 1.5])


def leaning_job(**changes: Any) -> Job:
    """A job whose model prefers class 0, so that losses differ by class."""
    job, model = make_job()
    kernel, _ = model.get_layer("logits").get_weights()
    random = np.random.default_rng(1)
    model.get_layer("logits").set_weights([kernel + random.normal(0, 1, kernel.shape), np.array([1.0, -1.0])])
    return replace(job, **changes)


def nll_of(job: Job, rows: np.ndarray) -> np.ndarray:
    found = measure(replace(job, weights=None, sampler=False), rows)[0]
    return -np.log(found[np.arange(len(rows)), job.labels[rows]])


def test_a_step_weighs_the_images_by_their_classes():
    job = leaning_job(weights=WEIGHTS)
    (row,) = run_phase(job, STILL).history
    expected = (WEIGHTS[job.labels[job.train]] * nll_of(job, job.train)).mean()
    assert row["loss"] == pytest.approx(expected, rel=1e-4)
    assert abs(nll_of(job, job.train).mean() - expected) > 0.01


def test_weights_judge_val_by_a_weighted_loss_and_plain_top1():
    rows = np.arange(33, 47, 2).tolist() + [32]  # seven images of class 1, one of class 0
    job = leaning_job(weights=WEIGHTS, val=np.array(rows))
    found, loss, top1 = measure(job, job.val)
    each, weights = nll_of(job, job.val), WEIGHTS[job.labels[job.val]]
    assert loss == pytest.approx((each * weights).sum() / weights.sum())
    assert top1 == np.mean(found.argmax(1) == job.labels[job.val])
    assert run_phase(job, STILL).history[0]["val_loss"] == pytest.approx(loss, rel=1e-4)


def test_the_sampler_draws_classes_equally_often_and_weighs_nothing_twice(monkeypatch: pytest.MonkeyPatch):
    train = np.append(np.arange(0, 32, 2), [1, 3])  # 16 of class 0, 2 of class 1
    job = leaning_job(train=train, sampler=True, weights=np.array([18 / 32, 18 / 4]))
    seen: list[Any] = []
    original = epochs.epoch_batches

    def batches(source: Any, labels: np.ndarray, order: np.ndarray, **options: Any) -> Any:
        seen.append((order, options["weights"]))
        return original(source, labels, order, **options)

    monkeypatch.setattr(epochs, "epoch_batches", batches)
    (row,) = run_phase(job, STILL).history
    ((order, weights),) = seen
    assert np.array_equal(order, balanced_order(train, job.labels, 0, 0))
    assert weights is None
    assert row["loss"] == pytest.approx(nll_of(job, order).mean(), rel=1e-4)


def test_the_sampler_alone_judges_val_as_its_weights_would():
    train = np.append(np.arange(0, 32, 2), [1, 3])
    job = leaning_job(train=train, sampler=True)
    given = replace(job, weights=np.array([18 / 32, 18 / 4]))
    assert measure(job, job.val)[1] == pytest.approx(measure(given, job.val)[1])
    assert measure(job, job.val)[1] != pytest.approx(measure(replace(job, sampler=False), job.val)[1])


def several_job(**changes: Any) -> Job:
    job = leaning_job()
    thirds = (np.arange(len(job.labels)) % 3 == 0).astype(float)
    return replace(job, labels=np.stack([job.labels, thirds], 1), **changes)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_several_classes_train_on_the_binary_cross_entropy(weights: np.ndarray | None):
    job = several_job(weights=weights)
    (row,) = run_phase(job, STILL).history
    for rows, loss in ((job.train, row["loss"]), (job.val, row["val_loss"])):
        targets = job.labels[rows]
        each = [bce(p[None], y[None]) for p, y in zip(measure(job, rows)[0], targets, strict=True)]
        own = np.ones(len(rows)) if weights is None else sample_weights(targets, weights)
        over = len(rows) if loss is row["loss"] else own.sum()  # a step's mean is over images
        assert loss == pytest.approx(np.sum(own * each) / over, rel=1e-4)


def test_several_classes_are_measured_by_map(capsys: pytest.CaptureFixture[str]):
    job = several_job()
    progress.show()
    rows = run_phase(job, PHASE).history
    found, _, reached = measure(job, job.val)
    assert np.ptp(found.sum(axis=1)) > 0.01  # they do not add up to 1
    assert reached == mean_average_precision(found, job.labels[job.val])
    assert [(row["top1"], row["val_top1"]) for row in rows] == [(None, None)] * 4
    assert all(0 < row["val_map"] <= 1 for row in rows)
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert "val mAP" in capsys.readouterr().err


def test_one_class_an_image_has_no_map_in_its_history():
    assert "val_map" not in run_phase(make_job()[0], STILL).history[0]


class ResourceExhaustedError(Exception):
    """Named as TensorFlow's."""


def test_out_of_memory_halves_the_batch_and_goes_on_from_the_epoch(monkeypatch: pytest.MonkeyPatch, capsys):
    job, _ = make_job()
    progress.show()
    sizes: list[int] = []
    original = epochs.epoch_batches

    def batches(*arguments: Any, **options: Any) -> Any:
        sizes.append(options["batch_size"])
        if options["batch_size"] > 2 and options["epoch"] == 1:
            raise ResourceExhaustedError("OOM when allocating tensor")
        return original(*arguments, **options)

    monkeypatch.setattr(epochs, "epoch_batches", batches)
    rows = run_phase(job, PHASE).history
    assert sizes == [8, 8, 4, 2, 2, 2]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert "out of memory; going on with batches of 2" in capsys.readouterr().err


def test_memory_that_runs_out_within_an_epoch_takes_back_its_steps(monkeypatch: pytest.MonkeyPatch):
    job, _ = make_job()
    start = job.model.get_weights()
    seen: list[bool] = []
    fit = job.model.fit

    def failing(*arguments: Any, **options: Any) -> Any:
        if seen:
            same = [np.array_equal(a, b) for a, b in zip(job.model.get_weights(), start, strict=True)]
            seen.append(all(same))
            return fit(*arguments, **options)
        fit(*arguments, **options)
        seen.append(True)
        raise ResourceExhaustedError("OOM")

    monkeypatch.setattr(job.model, "fit", failing)
    run_phase(job, replace(PHASE, epochs=1))
    assert seen == [True, True]


def test_a_batch_of_one_that_does_not_fit_is_an_error(monkeypatch: pytest.MonkeyPatch):
    def batches(*arguments: Any, **options: Any) -> Any:
        raise ResourceExhaustedError("OOM")

    monkeypatch.setattr(epochs, "epoch_batches", batches)
    with pytest.raises(TrainingError, match="out of memory with a batch of one image"):
        run_phase(make_job()[0], PHASE)


def test_the_same_seed_gives_the_same_weights():
    runs = []
    for _ in range(2):
        global RANDOM
        RANDOM = np.random.default_rng(0)
        job, model = make_job()
        run_phase(job, PHASE)
        runs.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*runs, strict=True))


EVERYTHING = replace(
    PHASE, epochs=4, patience=9, learning_rate=1e-2,
    tuning=Tuning(
        stages=("stage2", "stage3"), rates=(0.3, 1.0), thaw_epochs=1, schedule="plateau", l2_sp=0.01,
        dropout=0.3, ema=0.6, label_smoothing=0.1,
    ),
)  # fmt: skip
PLAIN = replace(PHASE, tuning=Tuning(stages=("stage2", "stage3"), optimizer="sgd"))


def trained_alike(phase: Phase, states: StateFile | None = None) -> tuple[Any, list[np.ndarray]]:
    """A phase on the same start and images each time."""
    global RANDOM
    RANDOM = np.random.default_rng(0)
    job, model = make_job(dropout=phase.tuning.dropout if phase.tuning else 0.0)
    trained = run_phase(job, phase, states=states)
    return trained, model.get_weights()


def without_seconds(history: list[dict[str, Any]]) -> str:
    return str([{key: value for key, value in row.items() if key != "seconds"} for row in history])


@pytest.fixture(scope="module")
def unbroken() -> dict[str, tuple[Any, list[np.ndarray]]]:
    """Phases that were never killed."""
    found = {"everything": trained_alike(EVERYTHING), "explodes": trained_alike(EXPLODES)}
    assert found["everything"][0].best_epoch > 1
    assert "exploded" in found["explodes"][0].history[0]["phase"]
    return found


EXPLODES = replace(EVERYTHING, learning_rate=30.0, epochs=2)
DEATHS = [
    ("everything", os, "replace", 3, True),  # right after the third
    ("explodes", phases, "compiled", 2, False),  # between two attempts
]


@pytest.mark.parametrize(("what", "target", "name", "call", "after"), DEATHS)
def test_a_phase_that_dies_goes_on_to_the_same_history_and_weights(
    what: str, target: Any, name: str, call: int, after: bool, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, unbroken: dict[str, Any],
):  # fmt: skip
    phase = {"everything": EVERYTHING, "explodes": EXPLODES}[what]
    states = StateFile(tmp_path / "state.npz", "digest")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        die_at(patch, target, name, call, after)
        trained_alike(phase, states)
    trained, weights = trained_alike(phase, states)
    expected, right = unbroken[what]
    assert without_seconds(trained.history) == without_seconds(expected.history)
    assert (trained.notes, trained.best_epoch) == (expected.notes, expected.best_epoch)
    assert all(np.array_equal(a, b) for a, b in zip(weights, right, strict=True))


def test_stages_thaw_one_after_the_other(monkeypatch: pytest.MonkeyPatch):
    job, model = make_job()
    seen = [values(model)]
    judge = phases._judge
    monkeypatch.setattr(phases, "_judge", lambda loop, *a: [seen.append(values(model)), judge(loop, *a)][1])
    tuning = Tuning(stages=("stage2", "stage3"), thaw_epochs=1)
    run_phase(job, replace(PHASE, epochs=3, patience=1, tuning=tuning))
    for epoch, moved in enumerate([set(), {"conv3"}, {"conv2", "conv3"}]):
        before, after = seen[epoch], seen[epoch + 1]
        assert not np.array_equal(before["logits"][0], after["logits"][0])
        convs = {name for name in ("conv1", "conv2", "conv3") if (before[name][0] != after[name][0]).any()}
        assert convs == moved


def test_stages_that_join_get_their_time_to_do_good(monkeypatch: pytest.MonkeyPatch):
    # Nothing gets better after the first epoch; stages join after the second and the fourth.
    job, _ = make_job()
    fitted = losses(monkeypatch, [1.0] * 20)
    tuning = Tuning(stages=("stage2", "stage3"), thaw_epochs=2)
    run_phase(job, replace(PHASE, epochs=9, patience=2, tuning=tuning))
    assert fitted == [0, 1, 2, 3, 4, 5]


def test_a_plateau_divides_the_rate_by_ten(monkeypatch: pytest.MonkeyPatch):
    job, _ = make_job()
    losses(monkeypatch, [1.0] * 20)
    tuning = Tuning(stages=("stage3",), schedule="plateau", warmup_epochs=0)
    rows = run_phase(job, replace(PHASE, epochs=6, patience=9, tuning=tuning)).history
    # Two epochs without a lower loss after the first, then two more.
    rates = [1e-3, 1e-3, 1e-3, 1e-4, 1e-4, 1e-5]
    assert [row["learning_rate"] for row in rows] == pytest.approx(rates)


def test_a_plateau_before_a_stage_joins_does_not_cut_its_rate(monkeypatch: pytest.MonkeyPatch):
    job, _ = make_job()
    losses(monkeypatch, [1.0] * 20)
    tuning = Tuning(stages=("stage3",), schedule="plateau", warmup_epochs=0, thaw_epochs=4)
    rows = run_phase(job, replace(PHASE, epochs=8, patience=9, tuning=tuning)).history
    # The head alone waits, is cut after the third epoch; what joins after the fourth has the whole rate.
    rates = [1e-3, 1e-3, 1e-3, 1e-4, 1e-3, 1e-3, 1e-3, 1e-4]
    assert [row["learning_rate"] for row in rows] == pytest.approx(rates)


def test_the_average_of_weights_is_judged_and_kept_and_training_goes_on_from_the_last(
    monkeypatch: pytest.MonkeyPatch,
):
    job, _ = make_job()
    judged: list[np.ndarray] = []
    ends: list[np.ndarray] = []
    measured, fit = phases.measure, phases.fit_epoch

    def watched(job: Job, rows: np.ndarray) -> Any:
        judged.append(job.model.get_weights()[0])
        return measured(job, rows)

    def fitted(job: Job, *arguments: Any, **named: Any) -> Any:
        starts.append(job.model.get_weights()[0])
        found = fit(job, *arguments, **named)
        ends.append(job.model.get_weights()[0])
        return found

    starts: list[np.ndarray] = []
    monkeypatch.setattr(phases, "measure", watched)
    monkeypatch.setattr(phases, "fit_epoch", fitted)
    tuning = Tuning(stages=("stage2", "stage3"), ema=0.9)
    trained = run_phase(job, replace(PHASE, epochs=2, learning_rate=1e-2, tuning=tuning))
    assert np.array_equal(starts[1], ends[0])
    assert (judged[1] != ends[0]).any() and (judged[2] != ends[1]).any()
    assert np.array_equal(job.model.get_weights()[0], judged[trained.best_epoch])


def test_ctrl_c_ends_the_step_and_keeps_the_best_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where in an epoch it comes does not matter; the resumed run is the one that was never stopped."""
    states = StateFile(tmp_path / "state.npz", "digest")
    fit = phases.fit_epoch

    def pressed(job: Job, epoch: int, **named: Any) -> Any:
        if epoch == 2:
            bar = named["bar"]
            advance = bar.advance
            bar.advance = lambda *a: [advance(*a), named["interrupt"].asked or signal.raise_signal(2)]
        return fit(job, epoch, **named)

    expected, right = trained_alike(PLAIN)
    with monkeypatch.context() as patch:
        patch.setattr(phases, "fit_epoch", pressed)
        trained, weights = trained_alike(PLAIN, states)
    assert trained.interrupted and len(trained.history) == 2
    assert trained.notes == ["finetune: interrupted after epoch 2 of 4; kept is epoch 2"]
    assert without_seconds(trained.history) == without_seconds(expected.history[:2])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    trained, weights = trained_alike(PLAIN, states)
    assert not trained.interrupted
    assert without_seconds(trained.history) == without_seconds(expected.history)
    assert all(np.array_equal(a, b) for a, b in zip(weights, right, strict=True))


def test_ctrl_c_after_the_last_step_still_interrupts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    states = StateFile(tmp_path / "state.npz", "digest")
    measured, calls = phases.measure, []

    def pressed(job: Job, rows: np.ndarray) -> Any:
        calls.append(1)
        if len(calls) == 1 + PLAIN.epochs:
            signal.raise_signal(signal.SIGINT)
        return measured(job, rows)

    with monkeypatch.context() as patch:
        patch.setattr(phases, "measure", pressed)
        trained, _ = trained_alike(PLAIN, states)
    assert trained.interrupted and len(trained.history) == PLAIN.epochs
    assert not trained_alike(PLAIN, states)[0].interrupted


def test_a_range_test_without_memory_takes_half_the_batch(monkeypatch: pytest.MonkeyPatch):
    job, _ = make_job()
    tested: list[int] = []

    def tight(model: Any, batches: Any, interrupt: Any) -> Any:
        tested.append(len(next(iter(batches))[0]))
        if len(tested) == 1:
            raise MemoryError
        return SimpleNamespace(suggestion=None)

    monkeypatch.setattr(phases, "find_rate", tight)
    trained = run_phase(job, replace(PHASE, epochs=1, tuning=Tuning(stages=("stage3",), find_rate=True)))
    assert tested == [job.batch_size, job.batch_size // 2] and len(trained.history) == 1


def test_a_deadline_leaves_no_time_for_another_epoch(monkeypatch: pytest.MonkeyPatch):
    job, _ = make_job()
    fitted = losses(monkeypatch, [1.0, 0.9, 0.8, 0.7, 0.6])
    trained = run_phase(job, PHASE, deadline=Deadline(limit=0.0))
    assert fitted == [0]
    assert trained.notes == ["finetune: out of time after epoch 1 of 4; best epoch 1"]
    assert not trained.interrupted
