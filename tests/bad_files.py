"""A folder of what people's folders of photos hold beside photos, with what an audit should find in it.

    python tests/bad_files.py FOLDER

Every picture is drawn from its own path, so no two are alike unless they are meant to be, and two
calls write the same bytes.
"""

import io
import json
import os
import struct
import sys
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageFilter, features

CLASSES = ("cats", "dogs")
ORIENTATION = 0x0112
BOMB_SIDE = 13_400  # squared: just over the 178,956,970 pixels that Pillow refuses


class File(NamedTuple):
    """A file to write: `path` below the folder with /, and the names of the findings expected."""

    path: str
    content: bytes
    findings: str = ""


def make(folder: Path) -> dict[str, set[str]]:
    """Write the tree into a folder that is empty or not there yet.

    Of a duplicate the finding is on the later path, of a label conflict on both. Left out is what
    the system cannot hold: names that are not UTF-8, names that differ in case alone, links, pipes.

    Returns:
        The findings expected, by path below the folder; paths of folders end in /. Good images have
        an empty set. Names that are not text are given with backslash escapes.
    """
    parts = (_ordinary, _broken, _misnamed, _modes, _turned, _animated, _extremes, _copies, _names)
    expected: dict[str, set[str]] = {}
    for part in (*parts, _clutter, _harmless):
        for file in part():
            expected[file.path] = _put(folder, file)
    return expected | _classes(folder) | _no_plain_files(folder)


def make_split(folder: Path) -> dict[str, set[str]]:
    """Write `train/` and `test/` folders that share a picture and a near duplicate, as `make` does.

    A leak is on both files.
    """
    folders = [(f"{split}/{label}", n) for split, n in (("train", 16), ("test", 8)) for label in CLASSES]
    files = [photo(f"{below}/{number:03d}.jpg") for below, n in folders for number in range(n)]
    near = picture("near leak", 128, 128, cells=8)
    for split, quality in (("train", 92), ("test", 60)):
        files.append(File(f"{split}/cats/same.jpg", jpeg(picture("leak")), "leak"))
        files.append(File(f"{split}/dogs/near.jpg", jpeg(near, quality), "leak"))
    return {file.path: _put(folder, file) for file in files}


def photo(path: str, findings: str = "", **options: Any) -> File:
    """A JPEG file of the picture that follows from its path."""
    return File(path, jpeg(picture(path), **options), findings)


def picture(name: str, width: int = 96, height: int = 80, cells: int = 5) -> np.ndarray:
    """Four colours in random curved regions, shaded and grainy: uint8 `(height, width, 3)`.

    Other names give other pictures. `cells` is how many regions there are from side to side, about.
    """
    random = np.random.default_rng(zlib.crc32(name.encode("utf-8", "surrogateescape")))
    light = random.permutation([40, 95, 150, 205])[:, None]  # regions that differ in grey as well
    colours = light + random.uniform(-40, 40, (4, 3))
    first, second, shade = (_waves(random, width, height, cells) for _ in range(3))
    region = 2 * (first > np.median(first)) + (second > np.median(second))
    pixels = colours[region] + 12 * shade[..., None] + random.normal(0, 8, (height, width, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _waves(random: np.random.Generator, width: int, height: int, cells: int) -> np.ndarray:
    coarse = random.normal(size=(cells, cells)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def jpeg(pixels: np.ndarray, quality: int = 92, **options: Any) -> bytes:
    """Pixels as a JPEG file."""
    return encoded(Image.fromarray(pixels), "JPEG", quality=quality, **options)


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    """An image as a file's bytes."""
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG of big-endian rows without their filter bytes; Pillow writes no deep colour.

    `depth` is bits a channel; `colour` 0 for grey, 2 for RGB, 4 for grey and alpha, 6 for RGBA.
    """
    stride = len(rows) // height
    body = b"".join(b"\0" + rows[start : start + stride] for start in range(0, len(rows), stride))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(body)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _put(folder: Path, file: File) -> set[str]:
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.content)
    return set(file.findings.split())


def _ordinary() -> Iterator[File]:
    for label in CLASSES:
        yield from (photo(f"{label}/{n:03d}.jpg") for n in range(24))


def _broken() -> Iterator[File]:
    yield File("odd/empty.jpg", b"", "unreadable")
    whole = jpeg(picture("cut"))
    lengths = {"magic": 12, "header": 200, "30": len(whole) * 3 // 10, "70": len(whole) * 7 // 10}
    for name, length in (lengths | {"end": len(whole) - 2}).items():
        yield File(f"odd/cut-{name}.jpg", whole[:length], "truncated")
    whole = encoded(Image.fromarray(picture("cut.png")), "PNG")
    yield File("odd/cut.png", whole[: len(whole) // 2], "truncated")


def _misnamed() -> Iterator[File]:
    html = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>gone</body></html>\n"
    yield File("odd/not-found.jpg", html, "not-an-image")
    yield File("odd/text.png", b"this is a note, and no picture\n", "not-an-image")
    yield photo("odd/jpeg.png", "wrong-extension")
    yield File("odd/png.jpg", encoded(Image.fromarray(picture("png.jpg")), "PNG"), "wrong-extension")
    yield photo("odd/no-extension", "wrong-extension")
    yield photo("odd/photo.dat", "wrong-extension")


def _modes() -> Iterator[File]:
    cmyk = Image.fromarray(picture("cmyk")).convert("CMYK")
    yield File("odd/cmyk.jpg", encoded(cmyk, "JPEG", quality=92), "cmyk")
    yield File("odd/grey.jpg", jpeg(picture("grey")[..., 1]))
    deep = picture("deep")[..., 1].astype(np.uint16) * 16  # 12 bits of 16, as cameras write them
    yield File("odd/grey-16.png", encoded(Image.fromarray(deep), "PNG"), "16-bit")
    for name, scale in (("rgb-16", 16), ("rgb-16-full", 257)):
        rows = (picture(name).astype(np.uint16) * scale).astype(">u2").tobytes()
        yield File(f"odd/{name}.png", png(96, 80, 16, 2, rows), "16-bit")
    ramp = np.tile(np.arange(96).clip(0, 85) * 3, (80, 1)).astype(np.uint8)
    for name, mode in (("grey-alpha", "L"), ("rgba", "RGB")):
        image = Image.fromarray(picture(name)).convert(mode)
        image.putalpha(Image.fromarray(ramp))
        yield File(f"odd/{name}.png", encoded(image, "PNG"), "alpha")
    plain, holed = (Image.fromarray(picture(f"palette {n}")).quantize(64) for n in range(2))
    yield File("odd/palette.png", encoded(plain, "PNG"), "palette")
    yield File("odd/palette-transparent.png", encoded(holed, "PNG", transparency=3), "palette alpha")


def _turned() -> Iterator[File]:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        finding = "exif-rotated" if orientation > 1 else ""
        yield photo(f"odd/orientation-{orientation}.jpg", finding, exif=exif)


def _animated() -> Iterator[File]:
    for format, findings in (("GIF", "animated palette"), ("WEBP", "animated")):
        if format == "WEBP" and not features.check("webp"):
            continue
        first, *others = (Image.fromarray(picture(f"{format} {n}")) for n in range(3))
        content = encoded(first, format, save_all=True, append_images=others, duration=100)
        yield File(f"odd/animated.{format.lower()}", content, findings)
    # What many phones write: a JPEG whose second picture is a preview or the other eye's.
    phone, preview = (Image.fromarray(picture(f"phone {n}")) for n in range(2))
    yield File("odd/phone.jpg", encoded(phone, "MPO", save_all=True, append_images=[preview]))


def _extremes() -> Iterator[File]:
    yield File("odd/1x1.png", encoded(Image.new("RGB", (1, 1), (200, 60, 60)), "PNG"), "tiny uniform")
    yield File("odd/ribbon.jpg", jpeg(picture("ribbon", 20_000, 10, cells=200)), "extreme-aspect tiny")
    rows = bytes(-(-BOMB_SIDE // 8) * BOMB_SIDE)
    yield File("odd/bomb.png", png(BOMB_SIDE, BOMB_SIDE, 1, 0, rows), "too-large")
    yield File("odd/uniform.jpg", jpeg(np.full((80, 96, 3), (90, 120, 150), np.uint8)), "uniform")
    dark = picture("dark").astype(float)
    dark = 8 * dark**2 / (dark**2).mean()
    yield File("odd/dark.png", encoded(Image.fromarray(dark.round().astype(np.uint8)), "PNG"), "dark")
    sharp = Image.fromarray(picture("blurred", 128, 128, cells=8))
    yield File("odd/blurred.jpg", encoded(sharp.filter(ImageFilter.GaussianBlur(6)), "JPEG"), "blurred")


def _copies() -> Iterator[File]:
    same = jpeg(picture("same"))
    yield File("cats/same-1.jpg", same)
    yield File("cats/same-2.jpg", same, "duplicate")
    near = picture("near", 128, 128, cells=8)
    yield File("dogs/near-1.jpg", jpeg(near))
    yield File("dogs/near-2.jpg", jpeg(near, quality=60), "near-duplicate")
    for label in CLASSES:
        yield File(f"{label}/which.jpg", jpeg(picture("conflict")), "label-conflict")


def _names() -> Iterator[File]:
    names = ["ünïcödé 画像 🐈.jpg", "'single' and \"double\".jpg", "comma, semicolon; tab\t.jpg"]
    names += ["new\nline.jpg", "<b>bold<script>alert(1)<script>.jpg", "%s {0} $HOME `id`.jpg"]
    names += ["-rf.jpg", "=1+1.jpg", "back\\slash.jpg", "two..dots.tar.jpg", " spaces .jpg", "SHOUTED.JPG"]
    names += ["folder.jpg/inside.jpg", "deep/er/and/deeper.jpeg"]
    names.append("n" * 246 + ".jpg")  # 250 bytes; most file systems end at 255
    yield from (photo(f"odd/{name}") for name in names)


def _clutter() -> Iterator[File]:
    hidden = jpeg(picture("hidden"))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo("inside.jpg"), hidden)
    yield File("odd/photos.zip", stream.getvalue(), "ignored")
    yield File("odd/.hidden.jpg", hidden, "ignored")
    yield File("odd/Thumbs.db", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ignored")
    yield File("odd/notes.txt", b"remember the milk\n", "ignored")
    yield File("odd/paper.pdf", b"%PDF-1.4\n%%EOF\n", "ignored")
    yield photo("stray.jpg", "ignored")


def _harmless() -> Iterator[File]:
    """Other formats, and files with something wrong that costs no pixel."""
    missing = {"webp", "avif"} - set(features.get_supported())
    for suffix in sorted({"tiff", "bmp", "ppm", "webp", "avif", "ico"} - missing):
        image = Image.fromarray(picture(suffix, 64, 64))
        options: dict[str, Any] = {"sizes": [(64, 64)]} if suffix == "ico" else {}
        yield File(f"odd/plain.{suffix}", encoded(image, suffix.upper(), **options))
    yield File("odd/still.gif", encoded(Image.fromarray(picture("gif")), "GIF"), "palette")
    yield File("odd/trailing.jpg", jpeg(picture("trailing")) + b"\0garbage\xff\xd8" * 40)
    for name, exif in (("cut", b"II*\0\x08\0\0\0\xff\xff\x12\x01"), ("junk", b"neither II nor MM")):
        yield photo(f"odd/exif-{name}.jpg", exif=b"Exif\0\0" + exif)


def _classes(folder: Path) -> dict[str, set[str]]:
    """Classes too small, and classes whose names look alike."""
    (folder / "empty").mkdir()
    only = photo("single/000.jpg")
    expected = {only.path: _put(folder, only), "empty/": {"small-class"}, "single/": {"small-class"}}
    composed = unicodedata.normalize("NFC", "café")
    for pair in (("Birds", "birds"), (composed, unicodedata.normalize("NFD", composed))):
        (folder / pair[0]).mkdir()
        if (folder / pair[1]).exists():  # the file system takes both names for one
            (folder / pair[0]).rmdir()
            continue
        for label in pair:
            files = [photo(f"{label}/{n:03d}.jpg") for n in range(12)]
            expected |= {file.path: _put(folder, file) for file in files}
            expected[f"{label}/"] = {"name-collision"}
    return expected


def _no_plain_files(folder: Path) -> dict[str, set[str]]:
    """Hidden folders, a name that is not text, links, a pipe, and a file that may not be read."""
    for path in ("odd/.ipynb_checkpoints/x.jpg", "__MACOSX/._x.jpg"):
        _put(folder, photo(path))
    expected = {"odd/.ipynb_checkpoints/": {"ignored"}, "__MACOSX/": {"ignored"}}
    makers: tuple[tuple[str, str, Callable[[Path], object]], ...] = (
        ("cats/zz-link.jpg", "duplicate", lambda path: path.symlink_to("000.jpg")),
        ("cats/zz-up/", "ignored", lambda path: path.symlink_to("..")),
        ("odd/nowhere.jpg", "unreadable", lambda path: path.symlink_to("gone.jpg")),
        ("odd/pipe.jpg", "ignored", os.mkfifo),
        (os.fsdecode(b"odd/caf\xe9.jpg"), "ignored", lambda path: path.write_bytes(jpeg(picture("latin")))),
        ("odd/locked.jpg", "unreadable", _lock),
    )
    for relative, finding, write in makers:
        try:
            write(folder / relative)
        except (OSError, NotImplementedError):
            continue
        expected[relative.encode("utf-8", "backslashreplace").decode()] = {finding}
    return expected


def _lock(path: Path) -> None:
    path.write_bytes(jpeg(picture("locked")))
    path.chmod(0)
    if os.access(path, os.R_OK):
        path.unlink()
        raise PermissionError("root reads everything")


if __name__ == "__main__":
    found = make(Path(sys.argv[1]))
    print(json.dumps({path: sorted(names) for path, names in sorted(found.items())}, indent=1))
