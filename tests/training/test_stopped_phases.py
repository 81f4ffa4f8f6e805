import os
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.dying import Killed, die_at
from tests.training import phase_jobs
from tests.training.phase_jobs import PHASE, losses, make_job, values
from transferkit import progress
from transferkit.errors import TrainingError
from transferkit.strategies import Phase, Tuning
from transferkit.timing import Deadline
from transferkit.training import blending, epochs, phases
from transferkit.training.job import Job
from transferkit.training.loop import Loop
from transferkit.training.phases import run_phase
from transferkit.training.state import Progress, StateFile


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
        phase_jobs.RANDOM = np.random.default_rng(0)
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
    phase_jobs.RANDOM = np.random.default_rng(0)
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
    ("everything", blending, "measure", 5, False),  # after the last epoch, among the blends
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
    assert trained.notes == [
        "finetune: out of time after epoch 1 of 4; the smoothed val loss was lowest after epoch 1"
    ]
    assert not trained.interrupted


@pytest.mark.parametrize(("judging", "why"), [(0.5, "out of time after"), (0.4, "")])
def test_time_is_left_for_the_blends_and_for_what_is_kept(judging: float, why: str):
    # An epoch of 1 s, then 9 looks at val: 5.5 s or 4.6 s, and some 5 s are left.
    nothing: Any = None
    row = {"seconds": 1.0, "val_loss": 1.0}
    loop = Loop(
        job=make_job()[0],
        phase=PHASE,
        progress=Progress(learning_rate=1.0, batch_size=8, start=(0.0, 1.0), rows=[row]),
        start=nothing,
        stage_of={},
        states=None,
        interrupt=nothing,
        deadline=Deadline(limit=12.0).less(7.0),
        judging=judging,
    )
    assert loop.ended() == why
