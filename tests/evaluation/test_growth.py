import pytest

from transferkit.evaluation.growth import grow

# Error .4 at twenty images, halved with each fourfold: b = .5.
CURVE = tuple((n, 1 - 0.4 * (n / 20) ** -0.5) for n in (20, 40, 80, 160))
TRAINED = 200  # the last fold's images are in train too


def test_a_power_law_is_carried_on_from_all_of_train():
    found = grow(CURVE, judged=100_000, trained=TRAINED, classes=2, more=600)
    assert found is not None
    # 200 images become 800: the error halves once more.
    assert found.now == pytest.approx(1 - 0.4 * 10**-0.5, abs=1e-3)
    assert found.then == pytest.approx(1 - 0.2 * 10**-0.5, abs=1e-3)
    assert found.low <= found.then <= found.high
    assert "on the 200 training images should be right on 87.4%" in found.sentence
    assert "600 more images of all classes together bring +6.3 points" in found.sentence
    assert found.sentence.endswith("worth it.")


def test_few_of_many_classes_are_a_small_step():
    # Of 20,000 images two thousand were looked at; 200 more are one in a hundred.
    found = grow(CURVE, judged=2000, trained=20_000, classes=10)
    assert found is not None
    assert found.then - found.now == pytest.approx((1 - found.now) * (1 - 1.01**-0.5), rel=0.01)
    assert found.sentence.endswith("little, or not certain.")


def test_few_images_make_the_forecast_uncertain():
    sure, unsure = (grow(CURVE, judged=n, trained=TRAINED, classes=2) for n in (5000, 50))
    assert sure is not None and unsure is not None
    assert unsure.high - unsure.low > 3 * (sure.high - sure.low)


def test_what_does_not_get_better_is_not_carried_down():
    found = grow(((10, 0.8), (20, 0.79), (40, 0.78)), judged=1000, trained=50, classes=2)
    assert found is not None and found.then == pytest.approx(found.now)
    assert found.sentence.endswith("little, or not certain.")


def test_nothing_is_said_where_nothing_can_be():
    assert grow(CURVE[:2], judged=100, trained=50, classes=2) is None
    assert grow(((10, 1.0), (20, 1.0), (40, 1.0)), judged=100, trained=50, classes=2) is None
