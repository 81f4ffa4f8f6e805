"""Files to pixels: the one decoder of training, evaluation and prediction.

Pillow reads by content, whatever the file's name says. Orientation is applied, transparency laid on a
stated colour, deep and unusual modes brought to 8-bit RGB, and of an animation the first frame taken.
"""

import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from transferkit.data.depth import is_deep_colour, read_deep_colour, to_8_bit
from transferkit.data.signature import check_size, diagnosis
from transferkit.errors import DataError, UnreadableImage

# Part of the key of every feature bank: raise it when a change here changes pixels.
POLICY_VERSION = 2
# Evaluation crop of the ImageNet networks: short side to 256 for an input of 224.
CROP_RATIO = 256 / 224
READ_BYTES = 64_000_000  # of a file that failed, to say what it is
THREADS = min(32, max(4, os.cpu_count() or 1))


@dataclass(frozen=True, kw_only=True)
class DecodePolicy:
    """How a file becomes an array.

    Attributes:
        size_px: side S of the result.
        resize: `crop` (short side to 256/224 of S, middle cut out), `pad` (long side to S, bars in
            the background colour) or `stretch` (aspect ratio given up).
        background: RGB 0..255 under transparency and beside padded images.
        margin: for `crop`: side of what is cut out, as a multiple of the middle that evaluation sees; at
            256/224 the whole short side.
        resample: `bicubic`, or `bilinear` of what is resized once more; Pillow's names, both averaging.
    """

    size_px: int
    resize: str = "crop"
    background: tuple[int, int, int] = (255, 255, 255)
    margin: float = 1.0
    resample: str = "bicubic"

    @property
    def canvas(self) -> "DecodePolicy":
        """The policy of images that crops are cut out of: 256/224 as large, and as much more to see.

        Padded and stretched images are whole already, so theirs is the policy itself.
        """
        return self.whole_at(round(self.size_px * CROP_RATIO)) if self.resize == "crop" else self

    def crops_from(self, side: int) -> "DecodePolicy":
        """The policy of images of that side that crops are cut out of.

        Where they are larger than `canvas`, crops are resized once more: bicubic took longer than decoding.
        """
        larger = side > self.canvas.size_px
        return replace(self.whole_at(side), resample="bilinear") if larger else self.whole_at(side)

    @property
    def seen(self) -> float:
        """Share of the side of a canvas that evaluation sees."""
        return 1 / CROP_RATIO if self.resize == "crop" else 1.0

    def whole_at(self, side: int) -> "DecodePolicy":
        """The policy of images with the whole short side (padded or stretched: the whole image) at `side`."""
        return replace(self, size_px=side, margin=CROP_RATIO if self.resize == "crop" else 1.0)


@dataclass(frozen=True)
class Chunk:
    """Some decoded images: `images` uint8 `(n, S, S, 3)`, `rows` their places in the list asked for."""

    rows: np.ndarray
    images: np.ndarray
    failed: dict[int, str]


def decode(path: Path, policy: DecodePolicy) -> np.ndarray:
    """An image file as uint8 RGB `(S, S, 3)`.

    Raises:
        UnreadableImage: it cannot be decoded; has the path and the reason.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            check_size(image)
            side = math.ceil(policy.size_px * CROP_RATIO / policy.margin)
            image.draft("RGB", (side, side))  # JPEG only: decodes at 1/2, 1/4 or 1/8 where enough
            deep = is_deep_colour(image)
            picture = read_deep_colour(image, path, upright) if deep else upright(image)
            return np.asarray(_fit(to_rgb(picture, policy.background), policy))
    except Exception as error:  # Pillow and its plug-ins raise many kinds for broken files
        raise UnreadableImage(str(path), _reason(path, error)) from error


def from_array(image: np.ndarray, policy: DecodePolicy) -> np.ndarray:
    """An image that is in memory as uint8 RGB `(S, S, 3)`, made square as a file is.

    Args:
        image: grey `(H, W)` or `(H, W, 1)`, RGB `(H, W, 3)` or RGBA `(H, W, 4)`; values 0..255 of any type.
        policy: how it is made square.

    Raises:
        DataError: another shape, or values that are no pixels.
    """
    return np.asarray(_fit(to_rgb(picture_of(image), policy.background), policy))


def picture_of(image: np.ndarray) -> Any:
    """An array as a Pillow image of 8 bits; see `from_array`."""
    from PIL import Image

    pixels = np.asarray(image)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))) or not pixels.size:
        raise DataError(
            f"an array of shape {np.shape(image)} is no image: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) is "
            "needed, values 0..255."
        )
    if pixels.dtype != np.uint8:
        pixels = _whole_values(pixels)
    return Image.fromarray(np.ascontiguousarray(pixels))


def _whole_values(pixels: np.ndarray) -> np.ndarray:
    """Numbers 0..255 as bytes; shares 0..1 are refused, for nearly black pictures look like them."""
    if pixels.dtype.kind not in "iuf" or not np.isfinite(pixels).all():
        raise DataError(f"pixels of type {pixels.dtype} that are not finite numbers; 0..255 is needed.")
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0 or high > 255:
        raise DataError(f"pixels from {low:g} to {high:g}; 0..255 is needed.")
    if pixels.dtype.kind == "f" and 0 < high <= 1:
        raise DataError(f"pixels from {low:g} to {high:g} look like shares of 1: multiply them by 255.")
    return np.asarray(pixels.round(), np.uint8)


def _reason(path: Path, error: Exception) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(READ_BYTES)
    except OSError as unread:
        return unread.strerror or str(unread)
    return diagnosis(data, error)[1]


def upright(image: Any) -> Any:
    """The image turned as its EXIF says; as it is where the EXIF is broken, which costs no pixel."""
    from PIL import ImageOps

    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # many kinds, by format
        return image


def to_rgb(image: Any, background: tuple[int, int, int]) -> Any:
    """A loaded image as 8-bit RGB, transparency laid on a colour (RGB 0..255)."""
    from PIL import Image

    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        image = _grey(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (*background, 255))
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")


def _grey(image: Any) -> Any:
    """A deep grey picture with 8 bits, its transparent value (PNG) as alpha."""
    from PIL import Image

    values = np.asarray(image)
    grey = Image.fromarray(to_8_bit(values))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey.putalpha(Image.fromarray(255 * (values != transparent).astype(np.uint8)))
    return grey


def _fit(image: Any, policy: DecodePolicy) -> Any:
    from PIL import Image, ImageOps

    size, resample = (policy.size_px, policy.size_px), Image.Resampling[policy.resample.upper()]
    if policy.resize == "pad":
        long = max(image.size)
        # A ribbon keeps at least one row of pixels.
        inner = [max(1, round(side * policy.size_px / long)) for side in image.size]
        small = image.resize(inner, resample, reducing_gap=3.0)
        return ImageOps.pad(small, size, resample, color=policy.background)
    box = _middle(image.size, policy.margin) if policy.resize == "crop" else None
    return image.resize(size, resample, box=box, reducing_gap=3.0)


def _middle(size: tuple[int, int], margin: float) -> tuple[float, float, float, float]:
    """The square of an image that is left after short side to 256/224 and middle crop, or `margin` of it."""
    width, height = size
    side = min(size) * min(1.0, margin / CROP_RATIO)  # rounding may not go beyond the image
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def decode_chunks(
    paths: Sequence[Path], policy: DecodePolicy, chunk: int = 64, ahead: int = 3
) -> Iterator[Chunk]:
    """Decode files in threads, in order, a few chunks ahead of whoever takes them.

    Args:
        paths: the files.
        policy: how they are decoded.
        chunk: images in a chunk; files that fail leave it shorter.
        ahead: chunks that may wait in memory; the bound of what this holds.
    """
    starts = range(0, len(paths), chunk)
    with ThreadPoolExecutor(THREADS) as pool:
        waiting = [[pool.submit(_try, path, policy) for path in paths[s : s + chunk]] for s in starts[:ahead]]
        for n, start in enumerate(starts):
            results = [future.result() for future in waiting.pop(0)]
            if (later := n + ahead) < len(starts):
                more = paths[starts[later] : starts[later] + chunk]
                waiting.append([pool.submit(_try, path, policy) for path in more])
            yield _chunk(start, results, policy)


def decode_batch(paths: Sequence[Path], policy: DecodePolicy) -> np.ndarray:
    """Some files as uint8 RGB `(n, S, S, 3)`, in threads.

    Raises:
        UnreadableImage: the first of them that cannot be decoded.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        return np.stack(list(pool.map(lambda path: decode(path, policy), paths)))


def _try(path: Path, policy: DecodePolicy) -> np.ndarray | str:
    try:
        return decode(path, policy)
    except UnreadableImage as error:
        return error.reason


def _chunk(start: int, results: list[np.ndarray | str], policy: DecodePolicy) -> Chunk:
    good = [(start + i, r) for i, r in enumerate(results) if not isinstance(r, str)]
    failed = {start + i: r for i, r in enumerate(results) if isinstance(r, str)}
    shape = (0, policy.size_px, policy.size_px, 3)
    images = np.stack([image for _, image in good]) if good else np.empty(shape, np.uint8)
    return Chunk(np.array([row for row, _ in good], dtype=np.int64), images, failed)
