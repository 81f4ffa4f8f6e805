import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transferkit.data.decode import DecodePolicy, decode
from transferkit.data.depth import bits
from transferkit.errors import UnreadableImage

SIDE = 16
BEIGE = (200, 180, 160)
EXACT = DecodePolicy(size_px=SIDE, resize="stretch", background=BEIGE)  # of a 16x16 file: pixel for pixel
PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(values: np.ndarray, interlaced: bool = False, before: bytes = b"") -> bytes:
    """A PNG of 16-bit values `(H, W, C)`, unfiltered, with chunks before the pixels."""
    height, width, channels = values.shape
    steps = PASSES if interlaced else ((0, 0, 1, 1),)
    parts = [values[top::down, left::right].astype(">u2") for top, left, down, right in steps]
    rows = b"".join(b"\0" + row.tobytes() for part in parts for row in part)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, interlaced))
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + before + pixels + chunk(b"IEND", b"")


def lzw(content: bytes) -> bytes:
    """TIFF's LZW without repetitions: the table is cleared before codes need a tenth bit."""
    codes = [code for n in range(0, len(content), 250) for code in (256, *content[n : n + 250])]
    text = "".join(f"{code:09b}" for code in [*codes, 257])
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


PACKERS: dict[int, Callable[[bytes], bytes]] = {1: bytes, 5: lzw, 8: zlib.compress}


def tiff(values: np.ndarray, order: str = "<", packing: int = 1, planes: int = 1, extra: int = 2) -> bytes:
    """A TIFF 6.0 of 16-bit values `(H, W, C)` in one strip: RGB, or RGBA with alpha of kind `extra`."""
    height, width, channels = values.shape
    strip = PACKERS[packing](values.astype(order + "u2").tobytes())
    entries = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, channels, 8 + len(strip))]
    entries += [(259, 3, 1, packing), (262, 3, 1, 2), (273, 4, 1, 8), (277, 3, 1, channels)]
    entries += [(278, 3, 1, height), (279, 4, 1, len(strip)), (284, 3, 1, planes)]
    entries += [(338, 3, 1, extra)] if channels == 4 else []
    depths = struct.pack(f"{order}{channels}H", *[16] * channels)
    table = struct.pack(f"{order}H", len(entries))
    for tag, kind, count, value in entries:
        table += struct.pack(f"{order}HHI", tag, kind, count)
        table += (
            struct.pack(f"{order}HH", value, 0)
            if kind == 3 and count == 1
            else struct.pack(order + "I", value)
        )
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(f"{order}I", 8 + len(strip) + len(depths)) + strip + depths + table + bytes(4)


def deep(top: int, channels: int) -> np.ndarray:
    """Random 16-bit colours of which one is `top`; alpha, if any, over its whole range."""
    random = np.random.default_rng(top + channels)
    values = random.integers(0, top + 1, (SIDE, SIDE, channels))
    values[0, 0, 0] = top
    if channels in (2, 4):
        values[..., -1] = random.integers(0, 65536, (SIDE, SIDE))
    return values.astype(np.uint16)


def shown(values: np.ndarray, top: int) -> np.ndarray:
    """What such values look like on beige: 0..255."""
    colours = values[..., : 3 if values.shape[2] > 2 else 1] * (255 / top)
    alpha = values[..., -1:] / 65535 if values.shape[2] in (2, 4) else 1.0
    return np.rint(colours * alpha + np.array(BEIGE) * (1 - alpha)).astype(int)


def decoded(path: Path, content: bytes) -> np.ndarray:
    path.write_bytes(content)
    return decode(path, EXACT).astype(int)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("top", [65535, 16383, 4095, 1023, 255])
def test_a_deep_png_is_scaled_by_its_depth(tmp_path: Path, top: int, channels: int, interlaced: bool) -> None:
    values = deep(top, channels)
    found = decoded(tmp_path / "a.png", png(values, interlaced))
    assert np.abs(found - shown(values, top)).max() <= 1


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("top", [65535, 4095])
def test_a_deep_tiff_is_scaled_by_its_depth(
    tmp_path: Path, top: int, channels: int, order: str, packing: int
) -> None:
    values = deep(top, channels)
    found = decoded(tmp_path / "a.tiff", tiff(values, order, packing))
    assert np.abs(found - shown(values, top)).max() <= 1


def test_colours_that_a_tiff_holds_multiplied_by_alpha_are_divided_first(tmp_path: Path) -> None:
    values = deep(4095, 4)
    values[0, 0, 3] = 1001  # 4095 is stored as 62.55, rounded to 63, which stands for 4125
    stored = values.copy()
    stored[..., :3] = np.rint(values[..., :3] * (values[..., 3:] / 65535))
    found = decoded(tmp_path / "a.tiff", tiff(stored, extra=1))
    assert np.abs(found - shown(values, 4095)).max() <= 1


def test_one_scale_serves_all_colours(tmp_path: Path) -> None:
    values = np.full((SIDE, SIDE, 3), (4095, 819, 0), np.uint16)  # 819 is a fifth of 4095
    assert (decoded(tmp_path / "a.png", png(values)) == (255, 51, 0)).all()


@pytest.mark.parametrize("colour", [(300,), (300, 301, 302)])
def test_a_transparent_deep_colour_is_the_one_equal_in_all_bits(
    tmp_path: Path, colour: tuple[int, ...]
) -> None:
    values = np.full((SIDE, SIDE, len(colour)), colour, np.uint16)
    values[0, 0, 0] = 303  # equal in the high byte
    values[1, 1] = 4095
    transparent = chunk(b"tRNS", struct.pack(f">{len(colour)}H", *colour))
    found = decoded(tmp_path / "a.png", png(values, before=transparent))
    assert found[5, 5].tolist() == list(BEIGE)
    assert found[0, 0, 0] == 19  # 303 * 255 / 4095 = 18.9
    assert found[1, 1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_deep_png_comes_upright(tmp_path: Path, channels: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    values = deep(4095, channels)
    turned = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    found = decoded(tmp_path / "a.png", png(values, before=turned))
    assert np.abs(found - shown(np.rot90(values, -1), 4095)).max() <= 1


def test_separate_planes_are_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="separate planes: save them together"):
        decoded(tmp_path / "a.tiff", tiff(deep(4095, 3), planes=2))


@pytest.mark.parametrize("content", [png, tiff])
def test_a_truncated_deep_picture_is_refused(tmp_path: Path, content: Callable[..., bytes]) -> None:
    whole = content(np.tile(deep(4095, 3), (8, 8, 1)))
    with pytest.raises(UnreadableImage):
        decoded(tmp_path / "a", whole[: len(whole) // 2])


@pytest.mark.parametrize("suffix", ["png", "tiff", "jpg", "gif", "bmp"])
def test_an_8_bit_picture_is_opened_once(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (SIDE, SIDE)).save(tmp_path / f"a.{suffix}")
    opened: list[Any] = []
    original = Image.open
    monkeypatch.setattr(Image, "open", lambda path: opened.append(path) or original(path))
    decode(tmp_path / f"a.{suffix}", EXACT)
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("mode", "suffix", "expected"),
    [
        ("1", "png", 1),
        ("1", "tiff", 1),
        ("P", "png", 8),
        ("L", "png", 8),
        ("RGB", "tiff", 8),
        ("CMYK", "jpg", 8),
        ("I;16", "png", 16),
        ("I;16", "tiff", 16),
        ("I", "tiff", 32),
        ("F", "tiff", 32),
    ],
)
def test_bits_are_those_of_the_file(tmp_path: Path, mode: str, suffix: str, expected: int) -> None:
    Image.new(mode, (SIDE, SIDE)).save(tmp_path / f"a.{suffix}")
    with Image.open(tmp_path / f"a.{suffix}") as image:
        assert bits(image) == expected


def test_16_bits_a_pixel_are_no_deep_colour(tmp_path: Path) -> None:
    header = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 578, 0, 66, 40, SIDE, SIDE, 1, 16, 3, 512, 0, 0, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    red = struct.pack("<H", 0xF800) * SIDE * SIDE
    assert (decoded(tmp_path / "a.bmp", header + masks + red) == (255, 0, 0)).all()


@pytest.mark.parametrize("top", [4095, 65535])
def test_bits_of_a_deep_portable_greymap_are_16(tmp_path: Path, top: int) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 1 1 %d\n\0\0" % top)
    with Image.open(tmp_path / "a.pgm") as image:
        assert bits(image) == 16


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("content", [png, tiff])
def test_bits_of_deep_colour_are_16(tmp_path: Path, content: Callable[..., bytes], channels: int) -> None:
    (tmp_path / "a").write_bytes(content(deep(4095, channels)))
    with Image.open(tmp_path / "a") as image:
        assert bits(image) == 16


@pytest.mark.parametrize(("value", "expected"), [(0.0, 0), (0.5, 128), (1.0, 255), (128.0, 128), (-3.0, 0)])
def test_floats_are_taken_as_0_to_1_or_as_0_to_255(tmp_path: Path, value: float, expected: int) -> None:
    Image.fromarray(np.full((SIDE, SIDE), value, np.float32)).save(tmp_path / "a.tiff")
    assert (decode(tmp_path / "a.tiff", EXACT) == expected).all()


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_a_float_that_is_no_number_is_black_and_spoils_nothing(tmp_path: Path, strange: float) -> None:
    values = np.ones((SIDE, SIDE), np.float32)
    values[:, :8] = strange
    Image.fromarray(values).save(tmp_path / "a.tiff")
    found = decode(tmp_path / "a.tiff", EXACT)
    assert (found[:, :6] == 0).all()
    assert (found[:, 10:] == 255).all()
