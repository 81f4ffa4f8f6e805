import pytest

from transferkit.evaluation.growth import grow

# Error .4 at ten images, halved with each fourfold: b = .5.
CURVE = tuple((n, 1 - 0.4 * (n / 10) ** -0.5) for n in (10, 20, 40, 80))


def test_a_power_law_is_carried_on():
    found = grow(CURVE, images=100_000, classes=2, more=480)
    assert found is not None
    # 80 per class become 320: the error halves once more.
    assert found.now == pytest.approx(1 - 0.4 * 8**-0.5, abs=1e-3)
    assert found.then == pytest.approx(1 - 0.2 * 8**-0.5, abs=1e-3)
    assert found.low <= found.then <= found.high
    assert "480 more images of all classes together bring +7.1 points" in found.sentence
    assert found.sentence.endswith("worth it.")


def test_few_images_make_the_forecast_uncertain():
    sure, unsure = (grow(CURVE, images=n, classes=2) for n in (5000, 50))
    assert sure is not None and unsure is not None
    assert unsure.high - unsure.low > 3 * (sure.high - sure.low)


def test_what_does_not_get_better_is_not_carried_down():
    found = grow(((10, 0.8), (20, 0.79), (40, 0.78)), images=1000, classes=2)
    assert found is not None and found.then == pytest.approx(found.now)
    assert found.sentence.endswith("little, or not certain.")


def test_nothing_is_said_where_nothing_can_be():
    assert grow(CURVE[:2], images=100, classes=2) is None
    assert grow(((10, 1.0), (20, 1.0), (40, 1.0)), images=100, classes=2) is None
