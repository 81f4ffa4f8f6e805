import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.conftest import draw_classes, indexed
from transferkit.data.augment.keys import image_numbers, keys_of
from transferkit.data.augment.pipeline import pipeline
from transferkit.data.augment.policy import load_policy, policy_from
from transferkit.data.decode import decode
from transferkit.data.index import Index
from transferkit.data.loader import ImageSource
from transferkit.timing import Stopwatch
from transferkit.training import feeding, views
from transferkit.training.bank import Extractor, pooled_bank
from transferkit.training.feeding import augmented_feed, plain_feed
from transferkit.training.maps import Limits, MapBank, map_bank
from transferkit.training.views import SEED, Viewed, ViewMaps, view_bank, view_maps, views_within, with_views

N, TRAIN = 15, np.array([0, 1, 3, 4, 6, 8, 9, 12])
ROOMY = Limits(1.0, 10**9)


@pytest.fixture
def index(tmp_path: Path, own_cache: Path) -> Index:
    return indexed(draw_classes(tmp_path / "photos", 5), own_cache)


def viewed(index: Index, count: int = 2, steps: Any = "standard", side: int = 60) -> Viewed:
    policy = load_policy(steps) if isinstance(steps, str) else policy_from(steps)
    return Viewed(index=index, rows=TRAIN, pipeline=pipeline(policy, 32, side=side), count=count)


def expected_view(extractor: Extractor, one: Viewed, row: int, number: int) -> np.ndarray:
    """The image `(32, 32, 3)` that a view is made of, from its file."""
    path, sha = one.index.root / one.index.files["path"].iloc[row], one.index.files["sha256"].iloc[row]
    larger = decode(path, extractor.policy.crops_from(one.pipeline.side))[None]
    return one.pipeline.changed(larger, keys_of(image_numbers([sha]), SEED, number))[0]


def test_view_maps_are_the_activations_of_changed_images(extractor: Extractor, index: Index):
    one = viewed(index)
    plain = map_bank(extractor, index, 1, ROOMY, Stopwatch())
    assert plain is not None
    found = view_maps(extractor, one, plain, 1, ROOMY, Stopwatch())
    stem = keras.Model(extractor.network.input, extractor.network.get_layer(extractor.stages[0].cut).output)
    for row, number in ((3, 1), (12, 2)):
        expected = np.asarray(stem.predict_on_batch(expected_view(extractor, one, row, number)[None]))[0]
        assert np.allclose(found.take(np.array([row + number * N]))[0], expected, atol=1e-4)
    both = found.take(np.array([2, 3 + N, 14]))
    assert np.array_equal(both[[0, 2]], plain.take(np.array([2, 14])))


def test_the_view_bank_has_the_features_of_changed_images(extractor: Extractor, index: Index):
    one = viewed(index)
    plain = pooled_bank(extractor, index, Stopwatch())
    found = view_bank(extractor, one, plain, Stopwatch())
    assert np.array_equal(found.at(["stage3"], np.arange(N)), plain.at(["stage3"]))
    whole = keras.Model(extractor.network.input, extractor.network.output)
    image = expected_view(extractor, one, 4, 2)
    expected = np.asarray(whole.predict_on_batch(image[None])).mean(axis=(1, 2))[0]
    assert np.allclose(found.at(["stage3"], np.array([4 + 2 * N]))[0], expected, atol=1e-4)
    # What does not train has no views.
    assert not found.at(["stage3"], np.array([2 + N, 14 + 2 * N])).any()


def test_views_are_computed_once_and_more_of_them_only_what_is_new(
    extractor: Extractor, index: Index, monkeypatch: pytest.MonkeyPatch
):
    plain = pooled_bank(extractor, index, Stopwatch())
    first = view_bank(extractor, viewed(index), plain, Stopwatch())
    asked: list[dict[int, int]] = []
    real = views._outputs

    def outputs(extractor: Extractor, one: Viewed, missing: dict[int, np.ndarray], *rest: Any) -> Any:
        asked.append({view: int(which.sum()) for view, which in missing.items()})
        return real(extractor, one, missing, *rest)

    monkeypatch.setattr(views, "_outputs", outputs)
    again = view_bank(extractor, viewed(index), plain, Stopwatch())
    more = view_bank(extractor, viewed(index, 3), plain, Stopwatch())
    others = view_bank(extractor, replace(viewed(index), rows=np.array([0, 2, 5])), plain, Stopwatch())
    assert asked == [{1: 0, 2: 0, 3: 8}, {1: 2, 2: 2}]
    assert np.array_equal(others.at(["stage1"], np.array([N])), first.at(["stage1"], np.array([N])))
    assert np.array_equal(again.at(["stage1"]), first.at(["stage1"]))
    assert np.array_equal(more.at(["stage1"])[: 3 * N], first.at(["stage1"]))


def test_another_policy_or_decoding_has_views_of_its_own(extractor: Extractor, index: Index):
    plain = pooled_bank(extractor, index, Stopwatch())
    standard = view_bank(extractor, viewed(index), plain, Stopwatch())
    light = view_bank(extractor, viewed(index, 2, "light"), plain, Stopwatch())
    assert not np.array_equal(standard.at(["stage1"]), light.at(["stage1"]))
    smaller = view_bank(extractor, viewed(index, side=40), plain, Stopwatch())
    assert not np.array_equal(standard.at(["stage1"]), smaller.at(["stage1"]))
    padded = replace(extractor, policy=replace(extractor.policy, resize="stretch"))
    assert view_bank(padded, viewed(index), plain, Stopwatch()).places.shards != standard.places.shards


@pytest.mark.parametrize("resize", ["pad", "stretch"])
def test_padded_images_are_seen_as_large_as_evaluation_sees_them(
    extractor: Extractor, index: Index, resize: str
):
    whole = replace(extractor.policy, resize=resize)
    assert whole.canvas == whole and whole.seen == 1
    image = decode(index.root / index.files["path"].iloc[0], whole.canvas)[None]
    light = pipeline(policy_from([{"random_crop": {"scale": [8 / 7, 8 / 7]}}]), 32, seen=whole.seen)
    assert np.allclose(light.changed(image, keys_of(np.arange(1), 0, 0)), image, atol=0.6)


def test_an_epoch_draws_each_view_about_as_often_and_the_image_too():
    order = np.tile(np.arange(N), 400)
    drawn = with_views(order, 3, N, seed=1, epoch=2)
    assert np.array_equal(drawn % N, order)
    assert np.allclose(np.bincount(drawn // N) / len(order), 0.25, atol=0.03)
    assert np.array_equal(with_views(order, 3, N, seed=1, epoch=2), drawn)
    assert not np.array_equal(with_views(order, 3, N, seed=1, epoch=3), drawn)


def test_two_arrays_are_held_beside_each_other_or_one_is_not(extractor: Extractor, index: Index):
    trained, judged = len(TRAIN) * 60 * 60 * 3, (N - len(TRAIN)) * 32 * 32 * 3

    def kept(memory: int, disk_gb: float = 0.0) -> list[int | None]:
        limits = Limits(disk_gb, memory)
        feed = augmented_feed(extractor, viewed(index), 0, 3, limits, Stopwatch())
        assert isinstance(feed.drawn, ImageSource) and isinstance(feed.source, ImageSource)
        assert feed.source.take(np.array([2])).shape == (1, 32, 32, 3)
        sources = (feed.drawn.kept, feed.source.kept)
        return [one.held if isinstance(one, MapBank) else None for one in sources]

    assert kept(trained + judged) == [trained, judged]
    assert kept(trained + judged - 1) == [trained, None]  # what trains comes first
    assert kept(trained - 1) == [None, judged]
    assert kept(trained + judged - 1, 1.0) == [trained, 0]  # on disk, and read from there


def test_what_views_would_have_stood_beside_is_not_held_beside_images(
    extractor: Extractor, index: Index, monkeypatch: pytest.MonkeyPatch
):
    plain: list[weakref.ref[MapBank]] = []

    def none(extractor: Extractor, one: Viewed, bank: MapBank, *rest: Any) -> None:
        plain.append(weakref.ref(bank))

    def images(*_: Any) -> Any:
        assert [one() for one in plain] == [None]
        return "images"

    monkeypatch.setattr(feeding, "view_maps", none)
    monkeypatch.setattr(feeding, "_image_feed", images)
    assert augmented_feed(extractor, viewed(index), 1, 3, ROOMY, Stopwatch()) == "images"


def test_views_are_held_beside_the_activations(extractor: Extractor, index: Index):
    plain, views_too = N * 16 * 16 * 8 * 4, 2 * len(TRAIN) * 16 * 16 * 8 * 4

    def held(memory: int) -> list[bool]:
        feed = augmented_feed(extractor, viewed(index), 1, 3, Limits(1.0, memory), Stopwatch())
        assert isinstance(feed.source, ViewMaps)
        return [not isinstance(array, np.memmap) for array in (feed.source.plain.maps, *feed.source.views)]

    assert held(plain + views_too) == [True] * 3
    assert held(plain + views_too - 1) == [True, False, False]


def test_views_fit_into_a_budget():
    assert [views_within(10, 8, budget, 4.0) for budget in (0, 39, 40, 130, 1e9)] == [0, 0, 1, 3, 8]


def test_above_a_cut_views_are_drawn_and_at_most_so_many_as_asked(extractor: Extractor, index: Index):
    feed = augmented_feed(extractor, viewed(index, 3), 1, 3, ROOMY, Stopwatch())
    assert (feed.depth, feed.views, feed.drawn, feed.augment) == (1, 3, None, None)


@pytest.mark.parametrize(
    ("steps", "depth", "limits"),
    [
        ("standard", 0, ROOMY),
        (["horizontal_flip", "cutmix"], 1, ROOMY),
        ("standard", 1, Limits(0.0, 30_000)),  # a view of 8 images takes 65,536 bytes
        ("standard", 1, Limits(6.6e-5, 0)),  # room for one view, but not beside the activations
    ],
)
def test_elsewhere_images_are_changed_anew(
    extractor: Extractor, index: Index, steps: Any, depth: int, limits: Limits
):
    feed = augmented_feed(extractor, viewed(index, 3, steps), depth, 3, limits, Stopwatch())
    assert (feed.depth, feed.views) == (0, 0)
    assert feed.drawn is not None and feed.augment is not None
    assert feed.drawn.take(TRAIN[:2]).shape == (2, 60, 60, 3)
    judged = np.array([2, 5])
    plain = plain_feed(extractor, index, 0, ROOMY, Stopwatch()).source
    assert np.array_equal(feed.source.take(judged), plain.take(judged))
