from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import TOY, draw_classes, indexed
from transferkit.errors import TrainingError
from transferkit.timing import Stopwatch
from transferkit.training.bank import Extractor, pooled_bank
from transferkit.training.evidence import Looked, Source, measure_evidence, probe, sample_images, subsample


class Rows:
    """A bank in memory: a stage that tells nothing, one that tells much, and a last one between."""

    widths = {"stage1": 6, "stage2": 8, "stage3": 10}

    def __init__(self, labels: np.ndarray, apart: tuple[float, ...] = (0.0, 1.2, 0.3)) -> None:
        random = np.random.default_rng(0)
        self.parts = {
            name: random.normal(size=(len(labels), width))
            + reach * random.normal(size=(labels.max() + 1, width))[labels]
            for (name, width), reach in zip(self.widths.items(), apart, strict=True)
        }

    def at(self, stages: list[str], rows: np.ndarray) -> np.ndarray:
        return np.concatenate([self.parts[name][rows] for name in stages], axis=1).astype(np.float32)


LABELS = np.arange(150) % 3
NOTHING = np.zeros((0, 32, 32, 3), np.uint8)


@pytest.fixture
def source(extractor: Extractor) -> Source:
    return Source(spec=TOY, extractor=extractor, weights_file=None)


def measured(bank: Any, source: Source, labels: np.ndarray = LABELS, **more: Any) -> Any:
    given = {"rows": np.arange(len(labels)), "images": NOTHING, "seed": 0} | more
    looked = looking(labels, given["rows"])
    return measure_evidence(bank, looked, source=source, images=given["images"], seed=given["seed"])


def looking(labels: np.ndarray, rows: np.ndarray | None = None, units: np.ndarray | None = None) -> Looked:
    chosen = np.arange(len(labels)) if rows is None else rows
    return Looked(rows=chosen, labels=labels[chosen], units=chosen if units is None else units)


def test_the_gap_is_the_best_of_the_others_less_the_last_stage(source: Source):
    found = measured(Rows(LABELS), source)
    others = (found.stages["stage1"], found.stages["stage2"], found.together)
    assert 0 < found.gap <= max(others) - found.stages["stage3"] + 1e-9
    assert found.gap > 3 * found.gap_error > 0
    assert list(found.stages) == list(found.logme) == list(found.h_score) == ["stage1", "stage2", "stage3"]
    assert found.logme["stage2"] == max(found.logme.values())


def test_the_last_stage_may_be_the_best(source: Source):
    found = measured(Rows(LABELS, (0.0, 0.1, 1.2)), source)
    assert found.gap < 2 * found.gap_error


def test_the_error_of_the_gap_is_that_of_images_judged_twice():
    bank = Rows(LABELS)
    whole = bank.at(list(bank.widths), np.arange(150))
    # The same features twice: they are right and wrong on the same images, whatever they reach.
    found = probe({"a": whole, "b": whole}, whole, looking(LABELS), seed=0)
    assert (found.gap, found.gap_error) == (0.0, 0.0)


def test_copies_do_not_judge_each_other():
    noise = np.repeat(np.random.default_rng(0).normal(size=(30, 60)), 5, axis=0)
    labels = np.repeat(np.arange(30) % 3, 5)
    each = {"a": noise, "b": noise}
    apart, whole = looking(labels), looking(labels, units=np.repeat(np.arange(30), 5))
    assert probe(each, noise, apart, seed=0).together > 0.9  # each picture five times, known by heart
    found = probe(each, noise, whole, seed=0)
    assert found.together < 0.6 and all(reached < 0.6 for _, reached in found.curve)


def test_a_single_group_is_compared_within_itself():
    bank = Rows(LABELS)
    whole = bank.at(list(bank.widths), np.arange(150))
    one = looking(LABELS, units=np.zeros(150, int))
    assert probe({"a": whole, "b": whole}, whole, one, seed=0) == probe(
        {"a": whole, "b": whole}, whole, looking(LABELS), seed=0
    )


def test_nothing_but_train_is_looked_at(source: Source):
    bank = Rows(LABELS)
    clean = measured(bank, source, rows=np.arange(30, 150))
    for part in bank.parts.values():
        part[:30] = np.nan
    assert measured(bank, source, rows=np.arange(30, 150)) == clean
    with pytest.raises(TrainingError, match="features that are not finite"):
        measured(bank, source)


def test_the_curve_tells_how_many_images_of_a_class_taught_what(source: Source):
    found = measured(Rows(LABELS), source)
    assert [images for images, _ in found.curve] == [12.5, 25.0, 40.0]
    assert found.curve[-1][1] == found.together


def test_several_labels_an_image_have_no_h_score(source: Source):
    labels = np.eye(3)[LABELS]
    labels[::7, 0] = 1
    found = measured(Rows(LABELS), source, labels=labels)
    assert found.h_score == {} and found.multilabel
    assert 0.5 < found.stages["stage3"] < found.stages["stage2"] <= 1
    assert np.isfinite(list(found.logme.values())).all()


def test_many_images_are_sampled_class_by_class():
    labels = np.repeat([0, 1, 2], [700, 200, 100])
    taken = subsample(labels, 50, seed=0)
    assert np.bincount(labels[taken]).tolist() == [35, 10, 5]
    assert len(set(taken)) == 50 and (np.diff(taken) > 0).all()
    assert not np.array_equal(taken, subsample(labels, 50, seed=1))
    assert np.array_equal(subsample(labels, 1000, seed=0), np.arange(1000))


def test_pretrained_weights_remember_and_random_ones_do_not(
    extractor: Extractor, source: Source, tmp_path: Path
):
    index = indexed(draw_classes(tmp_path / "photos", 6), extractor.cache)
    bank = pooled_bank(extractor, index, Stopwatch())
    rows = np.arange(len(index.files))
    images = sample_images(extractor, index, rows, seed=0)
    assert images.shape == (18, 32, 32, 3) and images.dtype == np.uint8
    labels = np.repeat([0, 1, 2], 6)
    before = extractor.network.get_weights()
    known = replace(source, weights_file=tmp_path / "toy.h5")
    found = measured(bank, known, labels=labels, rows=rows, images=images)
    assert list(found.batchnorm_layers) == ["bn1", "bn2", "bn3"]
    assert found.batchnorm == pytest.approx(np.mean(list(found.batchnorm_layers.values())))
    assert found.confidence is None and found.size_ratio == 1.0
    random = measured(bank, source, labels=labels, rows=rows, images=images)
    assert random.batchnorm is None and random.batchnorm_layers == {}
    assert random.stages == found.stages
    assert all(np.array_equal(a, b) for a, b in zip(before, extractor.network.get_weights(), strict=True))
