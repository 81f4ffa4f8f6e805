"""Deep pictures: how many bits a channel has, and all of them brought to 8."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

BITS_PER_SAMPLE, PLANES = 258, 284  # TIFF tags
OTHER_ORDER = {"B": "L", "L": "B", "N": "L" if sys.byteorder == "big" else "B"}
DEPTHS = (8, 10, 12, 14, 16, 32, 128)  # that cameras and microscopes have, and floats


def bits(image: Any) -> int:
    """Bits a channel in the file of a picture that Pillow has opened: 1, 8, 16 or 32.

    To be asked before the pixels are loaded: Pillow forgets then what a PNG's header says. Fewer
    than 8 bits of a palette or of grey count as 8. Of formats other than PNG and TIFF the mode
    decides, which is 8 bits for deep colour in JPEG 2000 and AVIF.
    """
    deepest = max(getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, ()), default=0)
    if deepest:
        return next((n for n in (1, 8, 16) if deepest <= n), 32)
    # With a letter for the byte order: the BGR;16 of a BMP has 16 bits a pixel.
    if _rawmode(image)[-4:] in (";16B", ";16L", ";16N") or image.mode.startswith("I;16"):
        return 16
    if image.mode in ("I", "F"):
        return 16 if image.format == "PPM" and image.mode == "I" else 32
    return 1 if image.mode == "1" else 8


def is_deep_colour(image: Any) -> bool:
    """Whether Pillow would keep the high byte of 16 alone: opened, but not loaded, as `bits` asks."""
    return not image.mode.startswith(("I", "F")) and bits(image) == 16


def read_deep_colour(image: Any, source: Path | IO[bytes], upright: Callable[[Any], Any]) -> Any:
    """A PNG or TIFF of 16 bits a channel as an 8-bit picture: RGB, RGBA or CMYK.

    One scale serves all colours, as `to_8_bit` chooses it for grey; alpha has full scale 65535.
    Pillow gives one byte of each value, so the file is read twice: as it is, and in the other byte
    order, where the low bytes stand for the high ones.

    Args:
        image: the picture as opened.
        source: its file, or a stream of its bytes.
        upright: how an opened picture is loaded and turned.

    Raises:
        ValueError: it is a TIFF whose colours lie in separate planes, which Pillow misreads.
    """
    from PIL import Image

    if getattr(image, "tag_v2", {}).get(PLANES) == 2:
        raise ValueError("its 16-bit colours lie in separate planes: save them together (PlanarConfig 1)")
    rawmode = _rawmode(image)
    grey = rawmode == "LA;16B"  # read as four bytes: grey's high and low one, alpha's high and low one
    with Image.open(source) as other:
        _unpack_as(other, "RGBA" if grey else _plain(rawmode)[:-1] + OTHER_ORDER[rawmode[-1]])
        low = np.asarray(upright(other))
    _unpack_as(image, _plain(rawmode))
    turned = upright(image)
    values = np.asarray(turned).astype(np.uint16) * 256 + (low[..., [1, 1, 1, 3]] if grey else low)
    if rawmode.startswith("RGBa"):
        # Half a step less, so that rounding lifts no value over the depth that it was stored with.
        whole = np.maximum(values[..., :3] - 0.5, 0) * (65535 / np.maximum(values[..., 3:], 1))
        values[..., :3] = np.minimum(whole, 65535)
    return _scaled(values, turned.mode, turned.info.get("transparency"))


def _rawmode(image: Any) -> str:
    """How the file's bytes are laid out, as Pillow names it, such as `RGB;16B`; "" once loaded."""
    arguments = image.tile[0][3] if getattr(image, "tile", None) else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _plain(rawmode: str) -> str:
    """Without Pillow's division by alpha, which is right for whole values and not for single bytes."""
    return rawmode.replace("RGBa", "RGBA")


def _unpack_as(image: Any, rawmode: str) -> None:
    image.tile = [_with_rawmode(tile, rawmode) for tile in image.tile]


def _with_rawmode(tile: Any, rawmode: str) -> Any:
    arguments = (rawmode, *tile[3][1:]) if isinstance(tile[3], tuple) else rawmode
    return tile._replace(args=arguments) if hasattr(tile, "_replace") else (*tile[:3], arguments)


def _scaled(values: np.ndarray, mode: str, transparent: Any) -> Any:
    """16-bit values `(H, W, C)` as a picture; `transparent` is the colour that a PNG names as such."""
    from PIL import Image

    every = np.arange(65536)
    alpha = np.rint(every * (255 / 65535)).astype(np.uint8)[values[..., 3]] if mode == "RGBA" else None
    colours = values[..., :3] if mode == "RGBA" else values
    if isinstance(transparent, tuple):
        mode, alpha = "RGBA", 255 * (colours != transparent).any(axis=2).astype(np.uint8)
    scale = _full_scale(int(colours.max(initial=0)))
    colours = np.clip(np.rint(every * (255 / scale)), 0, 255).astype(np.uint8)[colours]
    bands = [*np.moveaxis(colours, 2, 0), *([] if alpha is None else [alpha])]
    return Image.merge(mode, [Image.fromarray(np.ascontiguousarray(band)) for band in bands])


def to_8_bit(values: np.ndarray) -> np.ndarray:
    """Deep grey values `(H, W)` as 0..255.

    The full scale is that of the smallest common depth (8, 10, 12, 14, 16, 32 bit) that holds the
    largest value, so a 12-bit camera picture in a 16-bit file does not turn out near black. Floats
    up to 1 have full scale 1. What is not a finite number counts as 0.
    """
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    top = float(values.max(initial=0))
    scale = 1.0 if values.dtype.kind == "f" and top <= 1.0 else _full_scale(top)
    return np.clip(np.rint(values.astype(np.float64) * (255 / scale)), 0, 255).astype(np.uint8)


def _full_scale(top: float) -> float:
    return next(2.0**depth - 1 for depth in DEPTHS if top <= 2.0**depth - 1)
