"""What the first convolution looks for: its filters, and the train images that excite each most."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transferkit.api.reference import Reference
from transferkit.backbone.graph import operations_in_order, output_of
from transferkit.data.decode import Chunk, DecodePolicy, decode_chunks
from transferkit.errors import UsageError
from transferkit.runs import Run
from transferkit.training.bank import predict

# Filters that are drawn, and images that excite each most.
CHANNELS, EXCITING = 16, 4
BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A channel of the first convolution.

    Attributes:
        number: of the channel.
        kernel: uint8 `(k, k, 3)`, its weights on red, green and blue of the image, grey is 0.
        images: paths of those that excite it most, the most first.
    """

    number: int
    kernel: np.ndarray
    images: tuple[str, ...]


def first_filters(
    model: Any, run: Run, reference: Reference, given: Sequence[str], images: np.ndarray
) -> tuple[tuple[Filter, ...], int]:
    """Filters of the first convolution on colours, those with the strongest weights first.

    Args:
        model: images to probabilities.
        run: whose train images are ranked.
        reference: which those are, a thousand at most.
        given: paths of images that are ranked where not one of these can be read any more.
        images: their pixels, uint8 `(n, S, S, 3)`.

    Returns:
        The filters, and how many train images were ranked; with 0 those given were.

    Raises:
        UsageError: the backbone has no such convolution.
    """
    layer = next(
        (
            one
            for one in operations_in_order(model)
            if type(one).__name__ == "Conv2D" and one.kernel.shape[2] == 3
        ),
        None,
    )
    if layer is None:
        raise UsageError("the backbone has no plain convolution on colours, so there are no filters to draw.")
    import keras

    kernel = np.array(layer.kernel.numpy(), np.float64)
    strength = np.abs(kernel).sum(axis=(0, 1, 2))
    strongest = [at for at in np.argsort(-strength, kind="stable")[:CHANNELS] if strength[at] > 0]
    peaks = keras.layers.GlobalMaxPooling2D(dtype="float32")(output_of(model, layer.name))
    exciting = keras.Model(model.input, peaks)
    on_colours = np.einsum("hwco,ic->hwio", kernel, colours_to(model, layer))
    paths: list[str] = []
    parts: list[np.ndarray] = []
    for chunk in _train_images(run, reference):
        paths += [reference.paths[row] for row in chunk.rows]
        parts.append(predict(exciting, chunk.images, BATCH))
    ranked = len(paths)
    if not ranked:
        paths, parts = list(given), [predict(exciting, images, BATCH)]
    excited = np.concatenate(parts)
    filters = tuple(
        Filter(
            number=int(channel),
            kernel=_shown(on_colours[..., channel]),
            images=tuple(paths[n] for n in np.argsort(-excited[:, channel], kind="stable")[:EXCITING]),
        )
        for channel in strongest
    )
    return filters, ranked


def colours_to(model: Any, layer: Any) -> np.ndarray:
    """How much each channel that a layer gets rises with red, green and blue of an image, `(3, 3)`.

    What stands before the first convolution may scale and swap channels: VGG and the first ResNets take BGR,
    and their weights drawn as they stand would show blue as red.

    Args:
        model: of images 0..255.
        layer: of three channels, behind nothing that mixes places.
    """
    import keras

    before = keras.Model(model.input, layer.input)
    pure = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)])
    images = np.broadcast_to(pure[:, None, None, :], (4, *model.input.shape[1:])).astype(np.float32)
    seen = predict(before, images, len(images))
    middle = seen[:, seen.shape[1] // 2, seen.shape[2] // 2].astype(np.float64)
    return np.asarray((middle[1:] - middle[:1]) / 255)


def filters_of(ranked: int, kept: int) -> str:
    """Of which images those are that excite a filter most, in words."""
    if not ranked:
        return f"the images given: not one of the {kept:,} train images of the run can be read where it was"
    if ranked < kept:
        return f"{ranked:,} train images: the others of the run's {kept:,} cannot be read where they were"
    return f"the {kept:,} train images that the run keeps for comparing"


def data_root(run: Run) -> Path:
    """Where the data of a run lay; the paths of its train images start there."""
    return Path(str(run.numbers.get("data", {}).get("root", "")))


def _train_images(run: Run, reference: Reference) -> Iterator[Chunk]:
    """Those that can still be read, some at a time."""
    root = data_root(run)
    policy = DecodePolicy(size_px=int(run.plan["image_size"]), resize=run.plan["resize"])
    chunks = decode_chunks([root / path for path in reference.paths], policy, BATCH)
    return (chunk for chunk in chunks if len(chunk.rows))


def _shown(kernel: np.ndarray) -> np.ndarray:
    scaled = 127.5 + 127.5 * kernel / max(float(np.abs(kernel).max()), 1e-12)
    return np.asarray(scaled.round().clip(0, 255), np.uint8)
