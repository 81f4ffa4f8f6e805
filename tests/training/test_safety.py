from typing import Any

import numpy as np
import pytest

from transferkit.strategies.augmenting import CHANGES
from transferkit.training.bank import Extractor
from transferkit.training.safety import measure_safety


def pictures(left: bool) -> np.ndarray:
    """Two classes, uint8 `(40, 32, 32, 3)`: bright left or right, or left and redder."""
    random = np.random.default_rng(0)
    images = random.integers(60, 90, (40, 32, 32, 3)).astype(np.uint8)
    images[::2, :, :12] += 120
    if left:
        images[1::2, :, 20:] += 120
    else:
        images[1::2, :, :12, 0] += 40
    return images


@pytest.fixture
def sided(extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> Extractor:
    """An extractor whose features tell left from right, as the toy's means do not."""
    import keras

    from transferkit.training import safety

    def halves(maps: Any, kind: str) -> Any:
        side = maps.shape[2] // 2
        both = [keras.ops.mean(half, axis=(1, 2)) for half in (maps[:, :, :side], maps[:, :, side:])]
        return keras.ops.concatenate(both, axis=-1)

    monkeypatch.setattr(safety, "pool", halves)
    return extractor


def test_mirroring_is_unsafe_where_sides_tell_the_classes(sided: Extractor):
    labels, folds = np.arange(40) % 2, np.arange(40) // 2 % 5
    found = measure_safety(sided, pictures(left=True), labels, folds)
    assert set(found) == set(CHANGES)
    assert found["mirror"].plain > 0.95 and found["mirror"].changed < 0.2
    assert not found["mirror"].safe
    assert found["upside-down"].safe and found["rotation"].safe and found["colour"].safe


def test_mirroring_is_safe_where_something_else_tells_them(extractor: Extractor):
    # Means over all places do not know the sides.
    labels, folds = np.arange(40) % 2, np.arange(40) // 2 % 5
    found = measure_safety(extractor, pictures(left=False), labels, folds)
    assert found["mirror"].plain > 0.95 and found["mirror"].safe
