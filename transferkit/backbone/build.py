"""A backbone of keras.applications as one flat network that takes RGB images 0..255.

The preprocessing that its weights were trained with is the first part of the network, made of stock
layers, so that it can never differ between training, evaluation and a saved model.
"""

from typing import Any

from transferkit.backbone.catalogue import BackboneSpec

# keras.applications.imagenet_utils.preprocess_input, mode "caffe": BGR, means subtracted.
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
# The same, mode "torch": RGB scaled to 0..1, then these means and deviations.
TORCH_MEAN_RGB = (0.485, 0.456, 0.406)
TORCH_DEVIATION_RGB = (0.229, 0.224, 0.225)


def preprocess(images: Any, convention: str) -> Any:
    """Images `(N, H, W, 3)` RGB 0..255 as the backbone's weights expect them.

    Args:
        images: a symbolic or real tensor.
        convention: `caffe`, `tf`, `torch` or `in-model` (the network does it itself).
    """
    import keras

    layers = keras.layers
    if convention == "caffe":
        flipped = keras.ops.flip(images, axis=-1)
        return layers.Normalization(mean=CAFFE_MEAN_BGR, variance=(1.0,) * 3, dtype="float32")(flipped)
    if convention == "tf":
        return layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32")(images)
    if convention == "torch":
        scaled = layers.Rescaling(1 / 255.0, dtype="float32")(images)
        variance = tuple(deviation**2 for deviation in TORCH_DEVIATION_RGB)
        return layers.Normalization(mean=TORCH_MEAN_RGB, variance=variance, dtype="float32")(scaled)
    return images


def build(spec: BackboneSpec, image_size: int | None = None, *, classifier: bool = False) -> Any:
    """The network with random weights: `(N, S, S, 3)` RGB 0..255 to its last feature map.

    Args:
        spec: an entry of the catalogue.
        image_size: S in pixels; None takes the size of the catalogue.
        classifier: keep the 1000-way ImageNet classifier.
    """
    import keras

    size = image_size or spec.image_size
    inputs = keras.Input((size, size, 3), name="image")
    builder = getattr(keras.applications, spec.builder)
    network = builder(
        include_top=classifier,
        weights=None,
        input_tensor=preprocess(inputs, spec.preprocessing),
        **dict(spec.arguments),
    )
    return keras.Model(inputs, network.output, name=spec.name.replace(".", "_"))
