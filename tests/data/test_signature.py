from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image, UnidentifiedImageError, features

from tests.bad_files import encoded, picture
from transferkit.data.signature import SUFFIXES, check_size, complete, diagnosis, kind

FORMATS = {"JPEG": "JPEG", "PNG": "PNG", "GIF": "GIF", "WEBP": "WebP", "BMP": "BMP", "TIFF": "TIFF"}
FORMATS |= {"PPM": "PPM", "ICO": "ICO", "JPEG2000": "JPEG 2000", "AVIF": "AVIF"}
MISSING = {"WEBP": not features.check("webp"), "AVIF": "avif" not in features.get_supported()}
WITH_END = ("JPEG", "PNG", "GIF", "WEBP")
CANNOT = UnidentifiedImageError("cannot identify image file <...>")


def file(format: str) -> bytes:
    if MISSING.get(format):
        pytest.skip(f"this Pillow writes no {format}")
    options: dict[str, Any] = {"sizes": [(32, 32)]} if format == "ICO" else {}
    return encoded(Image.fromarray(picture(format, 32, 32)), format, **options)


@pytest.mark.parametrize("format", FORMATS)
def test_a_format_is_known_by_its_first_bytes(format: str) -> None:
    assert kind(file(format)[:16]) == FORMATS[format]
    assert format in SUFFIXES


@pytest.mark.parametrize(
    "start", [b"", b"\xff", b"RIFF\0\0\0\0WAVE", b"\0\0\0\x18ftypmp42", b"<!DOCTYPE html>"]
)
def test_other_bytes_are_no_image(start: bytes) -> None:
    assert kind(start) == ""


@pytest.mark.parametrize("format", FORMATS)
def test_a_whole_file_is_complete(format: str) -> None:
    assert complete(file(format))


@pytest.mark.parametrize("format", WITH_END)
def test_bytes_behind_the_end_are_no_fault(format: str) -> None:
    assert complete(file(format) + b"\0" * 40)


@pytest.mark.parametrize("format", WITH_END)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_file_without_its_end_is_not_complete(format: str, share: float) -> None:
    whole = file(format)
    assert not complete(whole[: int(share * len(whole))])


def test_a_picture_as_large_as_the_decoder_takes_is_not_refused() -> None:
    check_size(SimpleNamespace(size=(178_956_970, 1)))
    with pytest.raises(ValueError, match="178956971x1 pixels are more than the limit of 178,956,970"):
        check_size(SimpleNamespace(size=(178_956_971, 1)))


@pytest.mark.parametrize(
    ("data", "error", "expected"),
    [
        (b"", CANNOT, ("unreadable", "the file is empty")),
        (b"<html>gone</html>", CANNOT, ("not-an-image", "not an image: it begins with b'<html>gone</html>'")),
        (b"\n %PDF-1.4", CANNOT, ("not-an-image", "not an image: it begins with b'%PDF-1.4'")),
        (b"\1\2\3 no", CANNOT, ("not-an-image", "not an image: its first bytes are 01 02 03 20 6e 6f")),
        (b"\0\0\0\x18ftypheic", CANNOT, ("unreadable", "a HEIC picture, which Pillow does not read: ")),
        (b"\0\0\0\x0cJXL \r\n", CANNOT, ("unreadable", "a JPEG XL picture, which Pillow does not read: ")),
        (b"\xff\xd8\xff\xe0", CANNOT, ("truncated", "JPEG that ends too early (4 bytes)")),
        (b"BM" + b"\0" * 1200, CANNOT, ("truncated", "BMP that ends too early (1,202 bytes)")),
        (b"BM\0\0", OSError("image file is truncated"), ("truncated", "BMP that ends too early (4 bytes)")),
        (b"BM\0\0", OSError("bad header"), ("unreadable", "BMP that is broken inside: bad header")),
        (b"BM\0\0", KeyError(), ("unreadable", "BMP that is broken inside: KeyError")),
        (b"BM\0\0", Image.DecompressionBombError("huge"), ("too-large", "its pixels are more")),
    ],
)
def test_what_is_wrong_is_told_by_bytes_and_error(
    data: bytes, error: Exception, expected: tuple[str, str]
) -> None:
    problem, reason = diagnosis(data, error)
    assert problem == expected[0]
    assert reason.startswith(expected[1])


@pytest.mark.parametrize("format", WITH_END)
def test_a_file_that_has_its_end_is_broken_not_cut(format: str) -> None:
    assert diagnosis(file(format), CANNOT)[0] == "unreadable"


def test_what_the_decoder_refuses_for_its_size_is_too_large() -> None:
    with pytest.raises(ValueError) as caught:
        check_size(SimpleNamespace(size=(12_000, 15_000)))
    told = ("too-large", "12000x15000 pixels are more than 178,956,970")
    assert diagnosis(file("PNG"), caught.value) == told
