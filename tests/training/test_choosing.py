from dataclasses import replace

import numpy as np
import pytest

from tests.training.test_linear import several
from transferkit.strategies import FeatureSet
from transferkit.training import choosing
from transferkit.training import sample as sample_module
from transferkit.training.bank import PooledBank
from transferkit.training.choosing import Grams, choose_classifier, scaling_of
from transferkit.training.discriminant import fit_discriminant, out_of_fold
from transferkit.training.sample import Sample, drawn_rows
from transferkit.training.shards import KINDS, places_of, write_shard

BOTH = ("logistic", "discriminant")


def sets(**kinds: tuple[str, ...]) -> tuple[FeatureSet, ...]:
    return tuple(FeatureSet(stages=(stage,), kinds=kind, normalised=True) for stage, kind in kinds.items())


@pytest.fixture
def labels() -> np.ndarray:
    return np.arange(60) % 3


@pytest.fixture
def bank(tmp_path, labels: np.ndarray) -> PooledBank:
    """Two stages of 6 channels: the means of stage1 and the deviations of stage2 know the classes."""
    random = np.random.default_rng(0)
    noise = {kind: random.normal(4, 1, (60, 12 * (4 if kind == "grids" else 1))) for kind in KINDS}
    centres = 4 * np.eye(3, 6)
    noise["means"][:, :6] += centres[labels]
    noise["deviations"][:, 6:] += centres[labels]
    shas = [f"{n:064d}" for n in range(60)]
    shard = write_shard(tmp_path, shas, noise)
    places = places_of(shas, {sha: (shard, row) for row, sha in enumerate(shas)})
    return PooledBank(places, {"stage1": 6, "stage2": 6}, {}, 60)


def sample(labels: np.ndarray, rows: np.ndarray | None = None) -> Sample:
    rows = np.arange(len(labels)) if rows is None else rows
    return Sample(rows=rows, labels=labels[rows], folds=np.arange(len(rows)) // 3 % 5)


def test_the_features_that_know_the_classes_are_chosen(bank: PooledBank, labels: np.ndarray):
    choices = (
        *sets(stage2=("means",), stage1=("means",)),
        FeatureSet(stages=("stage2",), kinds=("means", "deviations"), normalised=True),
    )
    tried = choose_classifier(bank, sample(labels), choices[:2], BOTH)
    assert tried[0].features == choices[1] and tried[0].score > 0.95
    assert [one.features for one in tried].count(choices[0]) == 1  # no logistic regression on the worse
    # Without the means of stage1, deviations of stage2 are what is left to know.
    tried = choose_classifier(bank, sample(labels), (choices[0], choices[2]), ("discriminant",))
    assert [one.method for one in tried] == ["discriminant"] * 2 and tried[0].features == choices[2]
    assert tried[0].nll < tried[1].nll


def test_only_what_is_allowed_is_chosen(bank: PooledBank, labels: np.ndarray):
    for method in BOTH:
        taken = choose_classifier(bank, sample(labels), sets(stage1=("means",)), (method,))[0]
        assert taken.method == method


def test_blocks_add_up_to_the_scaled_features(bank: PooledBank):
    both = FeatureSet(stages=("stage2", "stage1"), kinds=("means", "grids"), normalised=True)
    rows = np.arange(5, 40)
    gram, width = Grams(bank, rows).of(both)
    taken = bank.at(both, rows)
    scaled = scaling_of(taken, bank.block_widths(both), both).apply(taken)
    assert width == 60 and np.allclose(gram, scaled @ scaled.T, rtol=1e-4, atol=1e-3)


def test_the_temperature_and_the_scores_are_of_images_not_seen(bank: PooledBank, labels: np.ndarray):
    (features,) = sets(stage1=("means",))
    one = sample(labels)
    (tried,) = choose_classifier(bank, one, (features,), ("discriminant",))
    logits = out_of_fold(*_inner(bank, one, features), intensities=(tried.strength,))[0]
    assert tried.score == pytest.approx(np.mean(logits.argmax(1) == labels))
    assert tried.nll == pytest.approx(choosing._scored(one, tried.temperature * logits)[1])


def _inner(
    bank: PooledBank, one: Sample, features: FeatureSet
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    gram, width = Grams(bank, one.rows).of(features)
    return gram, one.labels, one.folds, width


def test_each_fold_selects_for_itself(bank: PooledBank, labels: np.ndarray, monkeypatch: pytest.MonkeyPatch):
    asked: list[int] = []
    real = choosing.row_norms
    monkeypatch.setattr(choosing, "row_norms", lambda x, y: asked.append(len(x)) or real(x, y))
    whole = FeatureSet(stages=("stage1",), kinds=("means", "grids"), normalised=True)
    selected = FeatureSet(stages=whole.stages, kinds=whole.kinds, normalised=True, selected=(0.1, 1.0))
    tried = choose_classifier(bank, sample(labels), (selected,), ("discriminant",))
    assert asked == [48] * 10  # five folds, two shares: never all 60
    shares = {one.share: one for one in tried}
    (plain,) = choose_classifier(bank, sample(labels), (whole,), ("discriminant",))
    assert shares[1.0].nll == pytest.approx(plain.nll, rel=1e-3)
    assert shares[0.1].nll < plain.nll  # 3 of 30 features know the classes


def test_images_of_several_classes_are_for_logistic_regression_alone(bank: PooledBank):
    _, several_labels = several(60, 6)
    several_labels[:, 0] = np.arange(60) % 3 == 0
    tried = choose_classifier(
        bank, sample(several_labels), sets(stage1=("means",), stage2=("means",)), ("logistic",)
    )
    assert tried[0].method == "logistic" and 0 < tried[0].score <= 1
    assert {one.method for one in tried[1:]} == {"least squares"}


def test_a_large_train_is_drawn_from_with_every_class_in_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sample_module, "MOST_IMAGES", 50)
    labels = np.where(np.arange(1000) < 8, 1, 0)
    rows = np.arange(1000) + 5
    drawn = drawn_rows(rows, labels, seed=0)
    assert len(drawn) == 50 and (np.diff(drawn) > 0).all()
    assert 5 <= np.count_nonzero(drawn < 13) <= 8
    assert np.array_equal(drawn, drawn_rows(rows, labels, seed=0))
    assert not np.array_equal(drawn, drawn_rows(rows, labels, seed=1))
    assert np.array_equal(drawn_rows(rows[:50], labels[:50], seed=0), rows[:50])
    assert set(labels[drawn - 5]) == {0, 1}
    matrix = np.eye(2)[labels]
    assert np.array_equal(drawn_rows(rows, matrix, seed=0), drawn)


def test_logistic_regression_wins_where_its_loss_is_lower(
    bank: PooledBank, labels: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    tried = choose_classifier(bank, sample(labels), sets(stage1=("means",)), BOTH)
    assert {one.method for one in tried} == set(BOTH)
    assert tried[0].nll == min(one.nll for one in tried)
    monkeypatch.setattr(choosing, "MOST_NUMBERS", 0)
    tried = choose_classifier(bank, sample(labels), sets(stage1=("means",)), BOTH)
    assert {one.method for one in tried} == {"discriminant"}


def test_a_discriminant_fitted_as_chosen_knows_its_images(bank: PooledBank, labels: np.ndarray):
    (features,) = sets(stage1=("means",))
    taken = bank.at(features)
    scaling = scaling_of(taken, bank.block_widths(features), features)
    fitted = fit_discriminant(taken, labels, 3, scaling=scaling)
    assert np.mean(fitted.probabilities(taken).argmax(1) == labels) > 0.95


def test_views_lie_in_the_fold_of_their_image(labels: np.ndarray):
    one = replace(sample(labels), images=100).with_views(2)
    assert one.rows.tolist() == [*range(60), *range(100, 160), *range(200, 260)]
    assert np.array_equal(one.folds.reshape(3, 60), np.tile(sample(labels).folds, (3, 1)))
    assert np.array_equal(one.labels.reshape(3, 60), np.tile(labels, (3, 1)))
    assert np.array_equal(one.own_labels, labels)


def test_images_alone_are_judged(labels: np.ndarray):
    one = replace(sample(labels), images=60).with_views(1)
    right, wrong = np.eye(3)[labels] * 9, np.eye(3)[(labels + 1) % 3] * 9
    (features,) = sets(stage1=("means",))
    for known, score in ((right, 1.0), (wrong, 0.0)):
        other = wrong if known is right else right
        logits = np.concatenate([known, other])[None].repeat(len(choosing.INTENSITIES), axis=0)
        assert choosing._judged(one, features, None, logits).score == score


def test_views_are_tried_on_the_best_features_and_taken_if_their_log_loss_is_lower(
    bank: PooledBank, labels: np.ndarray
):
    # The other half of the bank stands in for views: of other classes, so they cannot help.
    one = Sample(rows=np.arange(30), labels=labels[:30], folds=np.arange(30) // 3 % 5, images=30)
    tried = choose_classifier(bank, one, sets(stage1=("means",), stage2=("means",)), ("discriminant",), 1)
    assert [one.views for one in tried].count(1) == 1
    assert tried[0].nll == min(one.nll for one in tried)
    with_views = next(one for one in tried if one.views)
    assert with_views.features == min((one for one in tried if not one.views), key=lambda t: t.nll).features
