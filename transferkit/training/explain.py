"""Where in an image a class is seen: Grad-CAM at a stage, on every backend of Keras."""

from typing import Any

import numpy as np

from transferkit.backbone.graph import output_of
from transferkit.training.recorder import recorder

# Images in a step; what is left over is filled up, so that one program serves all.
BATCH = 4
# Side in pixels of a stage that can show where something is.
LEAST_PLACES = 4


def gradcam(model: Any, cut: str, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """How much each place of a stage speaks for a class, `(n, h, w)` in 0..1, each image's highest 1.

    The channels of the activations at the cut, weighed by the mean slope of the class's logit along each,
    summed, and cut at 0. All zero where nothing speaks for the class. Source: Selvaraju et al. 2017
    (arXiv:1610.02391), equations 1 and 2.

    Args:
        model: images `(N, S, S, 3)` RGB 0..255 to probabilities, with a layer `logits`, such as
            `training.model.classifier` makes; also one that was loaded from its file.
        cut: name of the layer that ends the stage.
        images: uint8 or float `(n, S, S, 3)`.
        classes: the class number that is asked about, of each image `(n,)`.
    """
    import keras

    maps_of = keras.Model(model.input, output_of(model, cut))
    slopes_of = _Slopes(model, cut)
    found = []
    try:
        for start in range(0, len(images), BATCH):
            some = np.asarray(images[start : start + BATCH], np.float32)
            asked = np.asarray(classes[start : start + BATCH])
            short = BATCH - len(some)
            whole = np.concatenate([some, np.repeat(some[-1:], short, axis=0)])
            # Not compiled: a few images are done before a program is.
            maps = np.asarray(keras.ops.convert_to_numpy(maps_of(whole, training=False)), np.float64)
            slopes = slopes_of.at(whole, np.concatenate([asked, np.repeat(asked[-1:], short)]))
            heat = np.maximum((maps * slopes.mean(axis=(1, 2), keepdims=True)).sum(axis=-1), 0.0)
            found.append(heat[: len(some)])
    finally:
        slopes_of.close()
    heat = np.concatenate(found) if found else np.zeros((0, 1, 1))
    # However small: activations of random weights lie at 1e-8.
    peak = heat.max(axis=(1, 2), keepdims=True)
    return np.asarray(np.divide(heat, peak, out=np.zeros_like(heat), where=peak > 0))


class _Slopes:
    """Slopes of logits along the activations at a cut.

    A weight of zeros is added to the activations; its gradient is what is asked for. So it goes on all
    backends by a training step, which moves nothing.
    """

    def __init__(self, model: Any, cut: str) -> None:
        import keras

        self._recorder = recorder()
        shift, logits = _shifted(model, cut)
        self._weight = shift.weight

        class Asked(keras.Model):  # type: ignore[misc]  # keras has no types
            """In inference mode while it trains: `fit` would override a recorded `training=False`."""

            def __init__(self) -> None:
                super().__init__()
                self.body = logits

            def call(self, inputs: Any) -> Any:
                return self.body(inputs, training=False)

        # The model's layers are shared: what trained before trains again after.
        self._before = [(layer, layer.trainable) for layer in logits.layers]
        for layer in logits.layers:
            layer.trainable = layer is shift
        self._model = Asked()
        # TensorFlow has done a few images before it has traced a program; JAX compiles one sooner than
        # it does them operation by operation.
        eager = keras.backend.backend() == "tensorflow"
        self._model.compile(self._recorder, _minus_asked, run_eagerly=eager)
        self._classes = int(logits.output.shape[-1])

    def at(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """`(BATCH, h, w, channels)`, of `BATCH` images."""
        wanted = np.eye(self._classes, dtype=np.float32)[classes]
        self._model.train_on_batch(images, wanted)
        return -np.asarray(self._recorder.of(self._weight).numpy(), np.float64)

    def close(self) -> None:
        """Let what trained before train again."""
        for layer, trains in self._before:
            layer.trainable = trains


def _minus_asked(wanted: Any, logits: Any) -> Any:
    """Less the logit that is asked for, of each image; the slope of a sum is each image's own."""
    from keras import ops

    return -ops.sum(wanted * logits)


def _shifted(model: Any, cut: str) -> tuple[Any, Any]:
    """A layer that adds a weight of zeros, and the model up to its logits with that layer behind the cut."""
    import keras

    class Shift(keras.layers.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            sides = (BATCH, *(int(side) for side in shape[1:]))
            self.weight = self.add_weight(shape=sides, initializer="zeros", name="shift", dtype="float32")

        def compute_output_spec(self, maps: Any) -> Any:
            # JAX would try batches of other sizes, which the weight does not fit.
            return keras.KerasTensor(maps.shape, maps.dtype)

        def call(self, maps: Any) -> Any:
            return maps + keras.ops.cast(self.weight, maps.dtype)

    shift = Shift(name="shift")

    def calling(layer: Any, *inputs: Any, **named: Any) -> Any:
        found = layer(*inputs, **named)
        return shift(found) if layer.name == cut else found

    up_to_logits = keras.Model(model.input, model.get_layer("logits").output)
    made = keras.models.clone_model(up_to_logits, clone_function=lambda layer: layer, call_function=calling)
    return shift, made
