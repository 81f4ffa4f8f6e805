from typing import Any

import numpy as np
import pytest

from tests.training.phase_jobs import PHASE, make_job
from transferkit.training import blending
from transferkit.training.blending import SHARES, best_blend, between
from transferkit.training.phases import run_phase
from transferkit.training.stopping import Standing

FIRST = [np.array([0.1, 0.7], np.float32), np.array([[1.0]], np.float32), np.array([3, 4], np.uint32)]
LAST = [FIRST[0], np.array([[3.0]], np.float32), FIRST[2]]


def told(monkeypatch: pytest.MonkeyPatch, *standings: tuple[float, float]) -> None:
    """Say how the blends do on val, the smallest share first."""
    left = list(standings)

    def measure(*_: Any) -> Any:
        reached, loss = left.pop(0)
        return None, loss, reached

    monkeypatch.setattr(blending, "measure", measure)


def test_what_did_not_move_stays_to_the_byte_and_the_end_is_the_end():
    # .3 of a number and .7 of it need not add up to it.
    half = between(FIRST, LAST, 0.3)
    assert half[0].tobytes() == FIRST[0].tobytes() and half[2].tobytes() == FIRST[2].tobytes()
    assert half[1] == pytest.approx(1.6) and half[1].dtype == np.float32
    assert between(FIRST, LAST, 1.0)[1].tobytes() == LAST[1].tobytes()


def test_the_lowest_loss_of_those_that_beat_the_start_is_taken(monkeypatch: pytest.MonkeyPatch):
    job, _ = make_job()
    first = [np.array(weight) for weight in job.model.get_weights()]
    last = [weight + 1 for weight in first]
    worse, lower = (0.4, 0.1), (0.5, 0.5)
    told(monkeypatch, lower, (0.5, 0.4), worse, worse, (0.6, 0.3), worse, (0.5, 0.35), (0.5, 0.9))
    found = best_blend(job, first, last, Standing(0.5, 0.7))
    assert found is not None and found.share == SHARES[4] and found.standing == Standing(0.6, 0.3)
    assert all(np.allclose(one - old, SHARES[4]) for one, old in zip(found.weights, first, strict=True))
    told(monkeypatch, *[worse] * 8)
    assert best_blend(job, first, last, Standing(0.5, 0.7)) is None


@pytest.mark.parametrize(("loss", "share"), [(1e-3, 0.5), (9.0, None)])
def test_a_phase_keeps_the_best_blend_that_beats_its_start(
    loss: float, share: float | None, monkeypatch: pytest.MonkeyPatch
):
    job, _ = make_job()
    told(monkeypatch, *([(0.0, 9.0)] * 3), (1.0 if share else 0.0, loss), *([(0.0, 9.0)] * 4))
    seen: list[Any] = []
    real = blending.between

    def watched(first: Any, last: Any, part: float) -> Any:
        seen.append((first, last))
        return real(first, last, part)

    monkeypatch.setattr(blending, "between", watched)
    trained = run_phase(job, PHASE)
    blended = [note for note in trained.notes if "blend" in note]
    if share is None:
        assert not blended
        return
    expected = "finetune: its candidate is a blend of 50% of epoch 4 and 50% of the start, val loss 0.001"
    assert blended == [expected]
    assert trained.best_epoch == 4
    # Half-way between what the phase began with and what it ended with.
    first, last = seen[0]
    kept = job.model.get_weights()
    assert all(np.allclose(one, (a + b) / 2) for one, a, b in zip(kept, first, last, strict=True))
    frozen = [np.array_equal(a, b) for a, b in zip(first, last, strict=True)]
    assert all(one.tobytes() == a.tobytes() for one, a, same in zip(kept, first, frozen, strict=True) if same)
    assert any(frozen) and not all(frozen)
