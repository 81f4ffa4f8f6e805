from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.conftest import toy_network
from tests.training.phase_jobs import PHASE, kept, losses, make_job, values
from transferkit import progress
from transferkit.backbone.graph import find_stages, stage_layers
from transferkit.strategies import schedules
from transferkit.training import epochs
from transferkit.training.job import measure
from transferkit.training.phases import run_phase


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
    ended: list[list[np.ndarray]] = []
    run_phase(job, replace(PHASE, patience=3), ended=lambda: ended.append(job.model.get_weights()))
    # Where training ended the freeze proof looks too, before the start is put back.
    assert len(ended) == 1 and not all(map(np.array_equal, ended[0], start))
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


@pytest.mark.parametrize(("views", "attempts"), [(0, 4), (1, 1)])
def test_a_high_loss_on_changed_images_is_no_explosion(
    monkeypatch: pytest.MonkeyPatch, views: int, attempts: int
):
    # The start's loss is that of images as they are: changed ones are harder, whatever the rate.
    fitted = losses(monkeypatch, val=[0.1] * 12, train=[5.0] * 12)
    run_phase(replace(make_job()[0], views=views), replace(PHASE, epochs=1))
    assert len(fitted) == attempts
