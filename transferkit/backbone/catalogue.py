"""The catalogue of backbones: one entry for each network of keras.applications."""

from dataclasses import dataclass

from transferkit.errors import unknown_name


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A file of ImageNet weights as keras.applications publishes it."""

    name: str
    url: str
    md5: str | None  # None where Keras itself has no checksum (MobileNet, MobileNetV2)


@dataclass(frozen=True, kw_only=True)
class BackboneSpec:
    """What is known of a backbone without building it.

    Attributes:
        name: as users write it, such as `mobilenet_v2_0.35`.
        family: the networks it is shown with.
        builder: the function of `keras.applications`.
        arguments: what the builder is called with, as pairs.
        image_size: side of the input in pixels that the weights are best at.
        preprocessing: convention of its input: `caffe`, `tf`, `torch` or `in-model`.
        width: channels of the last feature map.
        stages: (layer that ends the stage, side in pixels, channels), nearest the input first.
        parameters: without the classifier; `parameters_top` with it.
        macs: multiply-adds of one image at `image_size`, without the classifier.
        top1: ImageNet validation accuracy 0..1 (keras.io/api/applications); None if unpublished.
        top5: likewise.
        weights: file without the classifier; `weights_top` with it.
        licence: of the weights; `source` where they come from.
    """

    name: str
    family: str
    builder: str
    arguments: tuple[tuple[str, object], ...]
    image_size: int
    preprocessing: str
    width: int
    stages: tuple[tuple[str, int, int], ...]
    parameters: int
    parameters_top: int
    macs: int
    top1: float | None
    top5: float | None
    weights: WeightsFile
    weights_top: WeightsFile
    licence: str
    source: str


def names() -> list[str]:
    """Names of all backbones, family by family."""
    return [spec.name for spec in every()]


def every() -> tuple[BackboneSpec, ...]:
    """All entries, family by family."""
    from transferkit.backbone.table import TABLE

    return TABLE


def lookup(name: str) -> BackboneSpec:
    """The entry of that name.

    Raises:
        UnknownName: there is none; the message has the nearest names.
    """
    for spec in every():
        if spec.name == name:
            return spec
    raise unknown_name("backbone", name, names(), "'transferkit backbones' lists all of them.")
