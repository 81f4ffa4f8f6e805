from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.training.phase_jobs import PHASE, make_job
from transferkit.progress import task
from transferkit.strategies import Tuning
from transferkit.training import epochs
from transferkit.training.epochs import carry_over, compiled, fit_epoch, slots
from transferkit.training.interrupting import Interrupt
from transferkit.training.job import Job
from transferkit.training.optimizers import variables_by_stage
from transferkit.training.state import snapshot

TUNED = replace(PHASE, tuning=Tuning(stages=("stage2", "stage3"), ema=0.9))


def ready(job: Job, thawed: tuple[str, ...]) -> None:
    stage_of = variables_by_stage(job.network, tuple(job.stages), job.model)
    compiled(job, TUNED, thawed, stage_of=stage_of, joined={})


def fitted(job: Job, epoch: int = 0, rate: float = 1e-3, interrupt: Interrupt | None = None) -> epochs.Epoch:
    with task("test", 4) as bar:
        return fit_epoch(job, epoch, rate=lambda *_: rate, bar=bar, interrupt=interrupt or Interrupt())


def test_what_trains_on_keeps_its_moments_and_what_joins_begins_at_zero():
    job, _ = make_job()
    ready(job, ("stage3",))
    fitted(job)
    kept = slots(job.model.optimizer)
    ready(job, ("stage2", "stage3"))
    carry_over(job.model, kept)
    found = slots(job.model.optimizer)
    assert found["iteration"] == kept["iteration"] == 4
    for name in ("logits_kernel_momentum", "conv3_kernel_velocity", "conv3_kernel_average"):
        assert np.array_equal(found[name], kept[name]) and found[name].any()
    assert not found["conv2_kernel_momentum"].any()
    weights = {weight.path: weight.numpy() for weight in job.model.weights}
    assert np.array_equal(found["conv2_kernel_average"], weights["conv2/kernel"])


def test_an_epoch_that_ctrl_c_ends_is_not_whole():
    job, _ = make_job()
    ready(job, ("stage3",))
    assert fitted(job).whole
    assert not fitted(job, interrupt=Interrupt(asked=True)).whole
    assert int(job.model.optimizer.iterations) == 4 + 1


def test_a_loss_that_is_not_finite_ends_the_epoch_there():
    job, _ = make_job()
    ready(job, ("stage2", "stage3"))
    found = fitted(job, rate=1e30)
    assert not found.whole and not np.isfinite(found.logs["loss"])
    assert int(job.model.optimizer.iterations) < 4


class ResourceExhaustedError(Exception):
    """Named as TensorFlow's."""


def test_memory_that_runs_out_within_an_epoch_takes_back_steps_and_moments(monkeypatch: pytest.MonkeyPatch):
    job, _ = make_job()
    ready(job, ("stage3",))
    fitted(job)
    before = snapshot(job.model)
    fit, seen = job.model.fit, []

    def failing(*arguments: Any, **options: Any) -> Any:
        if not seen:
            fit(*arguments, **options)
            seen.append(None)
            raise ResourceExhaustedError("OOM")
        seen.append(snapshot(job.model))
        return fit(*arguments, **options)

    monkeypatch.setattr(job.model, "fit", failing)
    assert fitted(job, epoch=1).job.batch_size == 4
    pairs = zip([*before.model, *before.optimizer], [*seen[1].model, *seen[1].optimizer], strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
