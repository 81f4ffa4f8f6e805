"""Write transferkit/backbone/table.py from keras.applications: `python benchmarks/catalogue.py`.

Everything that Keras knows (stages, parameters, weight files and their checksums) is read from it;
accuracies are those of keras.io/api/applications. The table is checked against Keras by the tests.
"""

import contextlib
import importlib
import pathlib
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

import keras

from transferkit.backbone import build, cost, graph
from transferkit.backbone.catalogue import BackboneSpec, WeightsFile

APACHE, MIT = "Apache-2.0", "MIT"
SLIM = "TensorFlow-Slim, Google"
MOBILE_ALPHAS = {
    "mobilenet": (0.25, 0.5, 0.75, 1.0),
    "mobilenet_v2": (0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
}
# name, family, builder, _, arguments, image size, preprocessing, top-1, top-5, licence, source
ROWS: list[tuple[Any, ...]] = [
    ("vgg16", "VGG", "VGG16", "vgg16", {}, 224, "caffe", 0.713, 0.901, "CC-BY-4.0", "VGG, Oxford"),
    ("vgg19", "VGG", "VGG19", "vgg19", {}, 224, "caffe", 0.713, 0.900, "CC-BY-4.0", "VGG, Oxford"),
]
for depth, v1, v2 in [
    (50, (0.749, 0.921), (0.760, 0.930)),
    (101, (0.764, 0.928), (0.772, 0.938)),
    (152, (0.766, 0.931), (0.780, 0.942)),
]:
    ROWS.append(
        (
            f"resnet{depth}",
            "ResNet",
            f"ResNet{depth}",
            "resnet",
            {},
            224,
            "caffe",
            *v1,
            MIT,
            "Kaiming He",
        )
    )
    ROWS.append(
        (
            f"resnet{depth}_v2",
            "ResNet",
            f"ResNet{depth}V2",
            "resnet_v2",
            {},
            299,
            "tf",
            *v2,
            APACHE,
            SLIM,
        )
    )
ROWS += [
    (
        "inception_v3",
        "Inception",
        "InceptionV3",
        "inception_v3",
        {},
        299,
        "tf",
        0.779,
        0.937,
        APACHE,
        SLIM,
    ),
    (
        "inception_resnet_v2",
        "Inception",
        "InceptionResNetV2",
        "inception_resnet_v2",
        {},
        299,
        "tf",
        0.803,
        0.953,
        APACHE,
        SLIM,
    ),
]
# Top-1 and top-5 of the narrower MobileNets: the tables of TensorFlow-Slim that Keras' files come from.
MOBILE_ACCURACY = {
    ("mobilenet", 0.25): (0.498, 0.742),
    ("mobilenet", 0.5): (0.633, 0.849),
    ("mobilenet", 0.75): (0.684, 0.882),
    ("mobilenet", 1.0): (0.704, 0.895),
    ("mobilenet_v2", 0.35): (0.603, 0.829),
    ("mobilenet_v2", 0.5): (0.654, 0.864),
    ("mobilenet_v2", 0.75): (0.698, 0.896),
    ("mobilenet_v2", 1.0): (0.713, 0.901),
    ("mobilenet_v2", 1.3): (0.744, 0.921),
    ("mobilenet_v2", 1.4): (0.750, 0.925),
}
for net, alphas in MOBILE_ALPHAS.items():
    builder = "MobileNet" if net == "mobilenet" else "MobileNetV2"
    for alpha in alphas:
        name = net if alpha == 1.0 else f"{net}_{alpha:g}"
        ROWS.append(
            (
                name,
                "MobileNet",
                builder,
                net,
                {"alpha": alpha},
                224,
                "tf",
                *MOBILE_ACCURACY[net, alpha],
                APACHE,
                SLIM,
            )
        )
for size in ("Small", "Large"):
    ROWS.append(
        (
            f"mobilenet_v3_{size.lower()}",
            "MobileNet",
            f"MobileNetV3{size}",
            "mobilenet_v3",
            {},
            224,
            "in-model",
            None,
            None,
            APACHE,
            SLIM,
        )
    )
for depth, accuracy in [(121, (0.750, 0.923)), (169, (0.762, 0.932)), (201, (0.773, 0.936))]:
    ROWS.append(
        (
            f"densenet{depth}",
            "DenseNet",
            f"DenseNet{depth}",
            "densenet",
            {},
            224,
            "torch",
            *accuracy,
            "BSD-3-Clause",
            "Zhuang Liu",
        )
    )
ROWS += [
    (
        "xception",
        "Xception",
        "Xception",
        "xception",
        {},
        299,
        "tf",
        0.790,
        0.945,
        MIT,
        "Francois Chollet",
    ),
    (
        "nasnet_mobile",
        "NASNet",
        "NASNetMobile",
        "nasnet",
        {},
        224,
        "tf",
        0.744,
        0.919,
        APACHE,
        SLIM,
    ),
    ("nasnet_large", "NASNet", "NASNetLarge", "nasnet", {}, 331, "tf", 0.825, 0.960, APACHE, SLIM),
]
EFFICIENT = [
    (224, 0.771, 0.933),
    (240, 0.791, 0.944),
    (260, 0.801, 0.949),
    (300, 0.816, 0.957),
    (380, 0.829, 0.964),
    (456, 0.836, 0.967),
    (528, 0.840, 0.968),
    (600, 0.843, 0.970),
]
for n, (size, top1, top5) in enumerate(EFFICIENT):
    ROWS.append(
        (
            f"efficientnet_b{n}",
            "EfficientNet",
            f"EfficientNetB{n}",
            "efficientnet",
            {},
            size,
            "in-model",
            top1,
            top5,
            APACHE,
            "Google Brain AutoML",
        )
    )
EFFICIENT_V2 = [
    ("b0", 224, 0.787, 0.943),
    ("b1", 240, 0.798, 0.950),
    ("b2", 260, 0.805, 0.951),
    ("b3", 300, 0.820, 0.958),
    ("s", 384, 0.839, 0.967),
    ("m", 480, 0.853, 0.974),
    ("l", 480, 0.857, 0.975),
]
for v, size, top1, top5 in EFFICIENT_V2:
    ROWS.append(
        (
            f"efficientnet_v2_{v}",
            "EfficientNetV2",
            f"EfficientNetV2{v.upper()}",
            "efficientnet_v2",
            {},
            size,
            "in-model",
            top1,
            top5,
            APACHE,
            "Google Brain AutoML",
        )
    )
for v, top1 in [
    ("tiny", 0.813),
    ("small", 0.823),
    ("base", 0.853),
    ("large", 0.863),
    ("xlarge", 0.867),
]:
    ROWS.append(
        (
            f"convnext_{v}",
            "ConvNeXt",
            f"ConvNeXt{'XLarge' if v == 'xlarge' else v.capitalize()}",
            "convnext",
            {},
            224,
            "in-model",
            top1,
            None,
            MIT,
            "Meta AI",
        )
    )


class Asked(Exception):
    """Raised in place of a download; holds what Keras would have fetched."""


@contextlib.contextmanager
def no_download() -> Iterator[None]:
    """Keras asks for a weights file and gets an exception that says which."""

    def get_file(fname: str | None = None, origin: str | None = None, **rest: Any) -> str:
        raise Asked(fname, origin, rest.get("file_hash") or rest.get("md5_hash"))

    file_utils = importlib.import_module("keras.src.utils.file_utils")
    with mock.patch.object(file_utils, "get_file", get_file):
        yield


def weights_file(row: tuple[Any, ...], classifier: bool) -> WeightsFile:
    name, _, builder, _, arguments, size, *_ = row
    # Keras publishes ResNetV2 under 224; the size does not matter to the file, but for the MobileNets.
    side = size if classifier else 224
    if builder == "NASNetMobile" or builder.startswith(("ResNet", "MobileNet")):
        side = 224
    with no_download():
        try:
            getattr(keras.applications, builder)(
                include_top=classifier, weights="imagenet", input_shape=(side, side, 3), **arguments
            )
        except Asked as asked:
            fname, url, md5 = asked.args
            return WeightsFile(name=fname, url=url, md5=md5)
    raise AssertionError(f"{name}: Keras asked for no file")


def measured(row: tuple[Any, ...]) -> BackboneSpec:
    name, family, builder, _, arguments, size, preprocessing, top1, top5, licence, source = row
    keras.utils.clear_session()
    empty = WeightsFile(name="", url="", md5=None)
    draft = BackboneSpec(
        name=name, family=family, builder=builder, arguments=tuple(arguments.items()), image_size=size,
        preprocessing=preprocessing, width=0, stages=(), parameters=0, parameters_top=0, macs=0,
        top1=top1, top5=top5, weights=empty, weights_top=empty, licence=licence, source=source,
    )  # fmt: skip
    network = build.build(draft)
    stages = tuple((s.cut, s.size_px, s.channels) for s in graph.find_stages(network))
    macs, parameters, width = (
        cost.total_macs(network),
        network.count_params(),
        network.output.shape[-1],
    )
    del network
    parameters_top = build.build(draft, classifier=True).count_params()
    return BackboneSpec(
        **{**vars(draft), "width": width, "stages": stages, "parameters": parameters, "parameters_top": parameters_top, "macs": macs,
           "weights": weights_file(row, False), "weights_top": weights_file(row, True)}
    )  # fmt: skip


def main() -> None:
    entries = []
    for row in ROWS:
        entries.append(measured(row))
        print(row[0], entries[-1].macs, entries[-1].weights.name, file=sys.stderr, flush=True)
    head = '"""Every backbone of keras.applications; written by benchmarks/catalogue.py, checked by the tests."""\n\n'
    imports = "from transferkit.backbone.catalogue import BackboneSpec, WeightsFile\n\n"
    body = (
        "TABLE: tuple[BackboneSpec, ...] = (\n"
        + "".join(f"    {entry!r},\n" for entry in entries)
        + ")\n"
    )
    target = pathlib.Path(__file__).parents[1] / "transferkit" / "backbones" / "table.py"
    target.write_text(head + imports + body)


if __name__ == "__main__":
    main()
