from typing import Any

import numpy as np
import pytest

from transferkit.backbone.build import build
from transferkit.backbone.catalogue import lookup
from transferkit.errors import UsageError
from transferkit.training.stochastic_depth import StochasticDepth, branch_ends, check_has_branches


def branchy() -> Any:
    """Two residual branches that add 1 each."""
    import keras

    inputs = keras.Input((1, 1, 1))
    x = inputs
    for number in (1, 2):
        side = keras.layers.Rescaling(0.0, offset=1.0)(x)
        side = keras.layers.Dropout(0.2, noise_shape=(None, 1, 1, 1), name=f"drop{number}")(side)
        x = keras.layers.Add()([x, side])
    return keras.Model(inputs, x)


def outputs(network: Any, depth: StochasticDepth, training: bool, images: int = 4000) -> np.ndarray:
    import keras

    with depth.while_training(training):
        found = network(np.zeros((images, 1, 1, 1), np.float32), training=False)
    return np.asarray(keras.ops.convert_to_numpy(found))[:, 0, 0, 0]


def seeds() -> Any:
    import keras

    return keras.random.SeedGenerator(3)


def test_branches_are_left_out_per_image_the_later_the_more_often():
    network = branchy()
    depth = StochasticDepth(network, ["drop1", "drop2"], 0.4, seeds())
    found = outputs(network, depth, True)
    # Kept branches count 1 / (1 - rate): rates .2 and .4.
    first, second = 1 / 0.8, 1 / 0.6
    shares = [np.isclose(found, value).mean() for value in (0, first, second, first + second)]
    assert np.allclose(shares, [0.2 * 0.4, 0.8 * 0.4, 0.2 * 0.6, 0.8 * 0.6], atol=0.04)
    assert found.mean() == pytest.approx(2, abs=0.1)


def test_nothing_is_left_out_where_nothing_trains():
    network = branchy()
    depth = StochasticDepth(network, ["drop1", "drop2"], 0.4, seeds())
    assert np.array_equal(outputs(network, depth, False), np.full(4000, 2))


def test_a_frozen_branch_stays():
    network = branchy()
    found = outputs(network, StochasticDepth(network, ["drop2"], 0.4, seeds()), True)
    assert {round(float(value), 3) for value in np.unique(found)} == {1.0, round(1 + 1 / 0.6, 3)}


def test_the_layers_get_back_what_they_did():
    network = branchy()
    depth = StochasticDepth(network, ["drop1", "drop2"], 0.4, seeds())
    depth.remove()
    assert np.array_equal(outputs(network, depth, True), np.full(4000, 2))


@pytest.mark.parametrize(
    ("name", "branches"), [("efficientnet_b0", 9), ("efficientnet_v2_b0", 15), ("convnext_tiny", 18)]
)
def test_backbones_that_have_branches(name: str, branches: int):
    network = build(lookup(name), 64)
    assert len(branch_ends(network)) == branches
    check_has_branches(network, 0.5)


def test_a_backbone_without_branches_is_refused():
    network = build(lookup("mobilenet_0.25"), 64)
    check_has_branches(network, 0.0)
    with pytest.raises(UsageError, match="stochastic_depth 0.2: backbone mobilenet_0_25 has no branches"):
        check_has_branches(network, 0.2)
