"""What the bytes of a file say it is, and what is wrong with one that Pillow cannot decode."""

import re
from typing import Any

MAX_PIXELS = 178_956_970  # where Pillow itself refuses, as a decompression bomb

# Suffixes that a format may bear; a format not listed here may bear any.
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".mpo"),
    "PNG": (".png", ".apng"),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif", ".avifs"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "JPEG2000": (".jp2", ".j2k", ".jpf", ".jpx"),
    "ICO": (".ico",),
}
_STARTS = {
    b"\xff\xd8": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"P5\n": "PPM",
    b"P6\n": "PPM",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\0\0\0\x0cjP": "JPEG 2000",
    b"\0\0\1\0": "ICO",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC"}
_TEXTS = (b"<!doctype html", b"<html", b"<?xml", b"<svg", b"%pdf", b"pk\x03\x04", b"{")


def kind(data: bytes) -> str:
    """The image format whose signature the bytes begin with, or ""."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "")
    return next((name for start, name in _STARTS.items() if data.startswith(start)), "")


def complete(data: bytes) -> bool:
    """Whether the file has the end that its format asks for; True where the format asks for none.

    Bytes behind that end are no fault.
    """
    if data.startswith(b"\xff\xd8"):
        return data.rfind(b"\xff\xd9") > 2
    if data.startswith(b"\x89PNG"):
        return data.rfind(b"IEND") > 0
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return len(data) >= 8 + int.from_bytes(data[4:8], "little")
    return not data.startswith(b"GIF8") or b"\0;" in data[-64:]


def check_size(image: Any) -> None:
    """Refuse an opened image of more pixels than the decoder takes.

    Raises:
        ValueError: it has more; names both numbers.
    """
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width}x{height} pixels are more than the limit of {MAX_PIXELS:,}")


def diagnosis(data: bytes, error: Exception) -> tuple[str, str]:
    """(problem, reason) of a file that could not be decoded; problems as in `data.scan.Facts`.

    Args:
        data: the file's bytes.
        error: what Pillow or `check_size` raised.
    """
    text = str(error) or type(error).__name__
    if not data:
        return "unreadable", "the file is empty"
    if "DecompressionBomb" in type(error).__name__ or "more than the limit" in text:
        pixels = re.search(r"\d+x\d+|\d{6,}", text)
        return "too-large", f"{pixels[0] if pixels else 'its'} pixels are more than {MAX_PIXELS:,}"
    found = kind(data)
    if not found:
        return "not-an-image", f"not an image: {_looks_like(data)}"
    if found in ("HEIC", "JPEG XL"):
        return "unreadable", f"a {found} picture, which Pillow does not read: save it as JPEG"
    open_ended = found not in ("JPEG", "PNG", "WebP", "GIF")  # `complete` knows nothing of these
    if not complete(data) or "truncated" in text or (open_ended and "cannot identify" in text):
        return "truncated", f"{found} that ends too early ({len(data):,} bytes)"
    return "unreadable", f"{found} that is broken inside: {text}"


def _looks_like(data: bytes) -> str:
    start = data[:64].lstrip().lower()
    for text in _TEXTS:
        if start.startswith(text):
            return f"it begins with {data[:24].lstrip()!r}"
    return f"its first bytes are {data[:8].hex(' ')}"
