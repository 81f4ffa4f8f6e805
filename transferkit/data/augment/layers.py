"""Steps that are layers of Keras or keras-cv, drawing for each image apart."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from transferkit.data.augment.catalogue import PACKAGES
from transferkit.data.augment.drawing import Draws, draw_from, keras_cv_draws
from transferkit.data.augment.policy import Step
from transferkit.errors import UsageError, unknown_name

# An image float32 `(H, W, 3)`, 0..255, and its draws, to an image of the same shape and range.
Change: TypeAlias = Callable[[Any, Draws], Any]
GREY = 127.5
Values: TypeAlias = Mapping[str, Any]


def _around(strength: float) -> tuple[float, float]:
    """Factors of layers for which .5 changes nothing."""
    return 0.5 - strength / 2, 0.5 + strength / 2


def _filled(values: Values) -> dict[str, Any]:
    return {"fill_mode": values["fill"], "fill_value": GREY}


def _blur(values: Values) -> Any:
    # Wide enough for three deviations of the widest Gaussian.
    size = 2 * math.ceil(3 * values["sigma"][1]) + 1
    return keras.layers.RandomGaussianBlur(factor=(1.0, 1.0), kernel_size=size, sigma=values["sigma"])


def _zoom(values: Values) -> Any:
    # Keras counts from 0, and zooms out for what is above.
    low, high = values["scale"]
    return keras.layers.RandomZoom((1 / high - 1, 1 / low - 1), **_filled(values))


def _erasing(sides: tuple[float, float], fill: float | None) -> Any:
    # It takes the root of what it draws for each side.
    return keras.layers.RandomErasing((1.0, 1.0), scale=(sides[0] ** 2, sides[1] ** 2), fill_value=fill)


# RandomErasing, -GaussianBlur and -Perspective draw their factor from 0 to a
# single number; a pair says both ends.
LAYERS: Mapping[str, Callable[[Values], Any]] = {
    "translation": lambda v: keras.layers.RandomTranslation(v["y"], v["x"], **_filled(v)),
    "rotation": lambda v: keras.layers.RandomRotation(v["degrees"] / 360, **_filled(v)),
    "shear": lambda v: keras.layers.RandomShear(v["x"], v["y"], **_filled(v)),
    "zoom": _zoom,
    "perspective": lambda v: keras.layers.RandomPerspective((1.0, 1.0), v["strength"], fill_value=GREY),
    "brightness": lambda v: keras.layers.RandomBrightness(v["strength"]),
    "hue": lambda v: keras.layers.RandomHue((0.0, v["strength"])),
    "grayscale": lambda v: keras.layers.RandomGrayscale(1.0),
    "invert": lambda v: keras.layers.RandomInvert((1.0, 1.0)),
    "blur": _blur,
    "sharpness": lambda v: keras.layers.RandomSharpness(_around(v["strength"])),
    "posterize": lambda v: keras.layers.RandomPosterization((v["bits"], v["bits"])),
    "equalize": lambda v: keras.layers.Equalization(),
    "autocontrast": lambda v: keras.layers.AutoContrast(),
    "random_erasing": lambda v: _erasing(v["scale"], None),
    "cutout": lambda v: _erasing((v["size"], v["size"]), GREY),
    "mixup": lambda v: keras.layers.MixUp(v["alpha"]),
    "cutmix": lambda v: keras.layers.CutMix((v["alpha"], v["alpha"])),
}


def in_float32(layer: Any) -> Any:
    """The layer, in float32 whatever the network computes in: bfloat16 tells 256 values apart no more."""
    for one in layer._flatten_layers():
        one.dtype_policy = keras.DTypePolicy("float32")
    return layer


def layer_change(name: str, values: Values) -> Change:
    """A step that is a layer of Keras."""
    layer = in_float32(LAYERS[name](values))

    def change(image: Any, draws: Draws) -> Any:
        draw_from(layer, draws)
        return layer(image[None], training=True)[0]

    return change


def named_layer(step: Step) -> Any:
    """The layer that a step such as `keras_cv.GridMask` names.

    Raises:
        UsageError: its package is not installed, or does not have it; or its arguments are not allowed.
    """
    layers = _package(step.package)
    kind = getattr(layers, step.layer, None)
    if not isinstance(kind, type):
        names = [name for name in dir(layers) if isinstance(getattr(layers, name), type)]
        raise unknown_name("layer", step.name, [f"{step.package}.{n}" for n in names], "See its package.")
    values = {key: _inner(value) for key, value in step.parameters}
    _check_names(step.name, kind, values)
    try:
        return in_float32(kind(**values))
    except (TypeError, ValueError, NotImplementedError) as error:
        raise UsageError(f"step {step.name}: its layer does not take {values}: {error}") from error


def _check_names(name: str, kind: type, values: Values) -> None:
    """Refuse an argument that neither the layer nor what it is derived from has.

    Raises:
        UsageError: names the nearest.
    """
    known = {
        key
        for one in kind.__mro__
        if "__init__" in vars(one)
        for key, each in inspect.signature(one.__init__).parameters.items()  # type: ignore[misc]
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY) and key != "self"
    }
    for key in values:
        if key not in known:
            raise unknown_name(f"parameter of {name}", str(key), sorted(known), "See its package.")


def _package(name: str) -> Any:
    if name == "keras":
        return keras.layers
    assert name in PACKAGES
    try:
        import keras_cv.layers
    except ImportError as error:
        raise UsageError(
            "steps named keras_cv.* need the package keras-cv, which is not installed: "
            "pip install 'transferkit[kerascv]'."
        ) from error
    return keras_cv.layers


def _inner(value: Any) -> Any:
    """Layers within arguments, such as the `augmenters` of RepeatedAugmentation: `{keras_cv.NAME: {...}}`."""
    if isinstance(value, (list, tuple)):
        found = [_inner(each) for each in value]
        # YAML knows no pairs, and some layers take nothing else.
        return tuple(found) if all(isinstance(each, (int, float)) for each in found) else found
    if isinstance(value, Mapping) and len(value) == 1:
        name, values = next(iter(value.items()))
        if str(name).partition(".")[0] in PACKAGES:
            return named_layer(Step(str(name), tuple((values or {}).items()), 1.0))
    return value


def named_change(step: Step, size: int) -> Change:
    """A step that names a layer which changes one image.

    Its shape is kept, or it is cut to the input's `size`, as crops do.
    """
    layer = named_layer(step)

    def change(image: Any, draws: Draws) -> Any:
        found = called(layer, image[None], draws)[0]
        for shape in (image.shape, tf.TensorShape((size, size, 3))):
            if found.shape.is_compatible_with(shape):
                # Some layers lose the shape on their way through NumPy.
                return tf.ensure_shape(found, shape)
        told = tuple(found.shape), tuple(image.shape)
        allowed = "" if image.shape[0] == size else f", or become {(size, size, 3)}"
        raise ValueError(f"it makes images {told[0]} of {told[1]}; the shape must be kept{allowed}")

    return change


def called(layer: Any, inputs: Any, draws: Draws) -> Any:
    """What a layer of either package makes of a batch, drawing from `draws`."""
    # A layer of one package may hold layers of the other.
    layers = list(layer._flatten_layers())
    draw_from(layer, draws)
    if any(type(one).__module__.startswith("keras_cv") for one in layers):
        with keras_cv_draws(layers, draws):
            found = layer(inputs, training=True)
    else:
        found = layer(inputs, training=True)
    return tf.nest.map_structure(lambda value: tf.cast(value, tf.float32), found)
