from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.training.phase_jobs import PHASE, make_job
from transferkit import progress
from transferkit.data.balance import balanced_order, sample_weights
from transferkit.evaluation.multilabel import bce, mean_average_precision
from transferkit.training import epochs
from transferkit.training.job import Job, measure
from transferkit.training.phases import run_phase

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
