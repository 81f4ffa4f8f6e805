"""How the activations of a stage become features, in the bank and in the model that is saved.

One definition for both, of stock layers and `keras.ops`, so that the features agree and the model loads
without transferkit.
"""

from typing import Any

# How many features of each kind a channel gives.
WIDTHS = {"means": 1, "deviations": 1, "grids": 4}
# Under the root of a deviation: the slope of a root at 0, where dead channels are, is infinite.
LEAST_VARIANCE = 1e-10


def pool(maps: Any, kind: str, name: str | None = None) -> Any:
    """Features `(N, C)`, or `(N, 4 C)` for grids, float32, of maps `(N, H, W, C)`.

    Args:
        maps: output of a stage; H = W.
        kind: `means` over all places; `deviations`, the standard deviations over them; `grids`: the means
            of four overlapping quarters, windows of ceil(H / 2) at steps of floor(H / 2), upper left,
            upper right, lower left, lower right. At H = 1 all four are the one place.
        name: of the layer, for `means` and `grids`.
    """
    import keras

    if kind == "means":
        return keras.layers.GlobalAveragePooling2D(dtype="float32", name=name)(maps)
    if kind == "deviations":
        return _deviations(maps, _averaged(maps, int(maps.shape[1])))
    return _flat_grids(_quarters(maps, name))


def pool_all(maps: Any) -> dict[str, Any]:
    """Each kind of features of maps `(N, H, W, C)`, as `pool` gives them but for rounding.

    The maps are read as seldom as possible: where H is even the mean over all places is that over quarters.
    """
    from keras import ops

    side, quarters = int(maps.shape[1]), _quarters(maps, None)
    whole = _averaged(maps, side) if side % 2 else ops.mean(quarters, axis=(1, 2), keepdims=True)
    means = ops.reshape(whole, (-1, int(maps.shape[-1])))
    return {"means": means, "deviations": _deviations(maps, whole), "grids": _flat_grids(quarters)}


def _averaged(maps: Any, window: int, step: int | None = None, name: str | None = None) -> Any:
    """Means of windows; a pooling layer takes half the time of `ops.mean` on a CPU."""
    import keras

    return keras.layers.AveragePooling2D(window, strides=step, dtype="float32", name=name)(maps)


def _quarters(maps: Any, name: str | None) -> Any:
    side = int(maps.shape[1])
    return _averaged(maps, (side + 1) // 2, max(1, side // 2), name)


def _flat_grids(quarters: Any) -> Any:
    import keras

    flat = keras.layers.Flatten(dtype="float32")(quarters)
    return flat if int(quarters.shape[1]) > 1 else keras.ops.concatenate([flat] * 4, axis=-1)


def _deviations(maps: Any, whole: Any) -> Any:
    """About the mean `(N, 1, 1, C)`: the mean of squares less its square loses a flat channel's digits."""
    import keras
    from keras import ops

    apart = ops.square(ops.cast(maps, "float32") - whole)
    averaged = keras.layers.Flatten(dtype="float32")(_averaged(apart, int(maps.shape[1])))
    return ops.sqrt(averaged + LEAST_VARIANCE)
