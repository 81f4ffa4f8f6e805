from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from transferkit.data import decode as module
from transferkit.data import signature
from transferkit.data.decode import DecodePolicy, decode, decode_chunks
from transferkit.errors import UnreadableImage

SIDE = 16
EXACT = DecodePolicy(size_px=SIDE, resize="stretch")  # of a 16x16 file: pixel for pixel
BEIGE = DecodePolicy(size_px=SIDE, resize="stretch", background=(200, 180, 160))


def noise(height: int = SIDE, width: int = SIDE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def plain(image: np.ndarray) -> list[int]:
    """The one colour of an image."""
    colours = np.unique(image.reshape(-1, 3), axis=0)
    assert len(colours) == 1
    return [int(value) for value in colours[0]]


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "gif", "ppm"])
def test_lossless_formats_give_their_pixels(tmp_path: Path, suffix: str) -> None:
    if suffix == "webp" and not features.check("webp"):
        pytest.skip("this Pillow has no WebP")
    pixels = noise()  # 256 colours at most, so that a GIF holds them too
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}", **options)
    found = decode(tmp_path / f"a.{suffix}", EXACT)
    assert found.dtype == np.uint8
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize("suffix", ["jpg", "avif"])
def test_lossy_formats_give_their_pixels_but_for_their_losses(tmp_path: Path, suffix: str) -> None:
    if suffix == "avif" and "avif" not in features.get_supported():
        pytest.skip("this Pillow has no AVIF")
    pixels = np.full((SIDE, SIDE, 3), (200, 100, 50), np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}", quality=95)
    assert np.abs(decode(tmp_path / f"a.{suffix}", EXACT).astype(int) - pixels).max() <= 3


def test_what_follows_a_jpeg_in_its_file_does_not_matter(tmp_path: Path) -> None:
    Image.fromarray(noise()).save(tmp_path / "a.jpg")
    clean = decode(tmp_path / "a.jpg", EXACT)
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes() + b"\0garbage\xff\xd8" * 100)
    assert np.array_equal(decode(tmp_path / "a.jpg", EXACT), clean)


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path, suffix: str) -> None:
    if suffix == "webp" and not features.check("webp"):
        pytest.skip("this Pillow has no WebP")
    red, blue = (Image.new("RGB", (SIDE, SIDE), colour) for colour in ("red", "blue"))
    options = {"lossless": True} if suffix == "webp" else {}
    red.save(tmp_path / f"a.{suffix}", save_all=True, append_images=[blue], **options)
    assert plain(decode(tmp_path / f"a.{suffix}", EXACT)) == [255, 0, 0]


def test_the_content_counts_and_not_the_suffix(tmp_path: Path) -> None:
    pixels = noise()
    Image.fromarray(pixels).save(tmp_path / "a.jpg", "PNG")
    assert np.array_equal(decode(tmp_path / "a.jpg", EXACT), pixels)


# What a camera stores so that the viewer's turn (EXIF 2.3, tag 0x0112) gives the upright image.
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),  # shown turned by 90 degrees clockwise
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_every_orientation_gives_the_same_upright_image(tmp_path: Path, orientation: int) -> None:
    upright = noise(height=8, width=SIDE)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](upright))
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    found = decode(tmp_path / "a.png", DecodePolicy(size_px=SIDE, resize="pad"))
    assert np.array_equal(found[4:12], upright)


def test_a_turned_jpeg_comes_upright_from_a_reduced_decode(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.zeros((640, 960, 3), np.uint8)
    stored[:, :480] = 255  # left half, which 90 degrees clockwise bring to the top
    Image.fromarray(stored).save(tmp_path / "a.jpg", exif=exif)
    found = decode(tmp_path / "a.jpg", EXACT)
    assert plain(found[:6]) == [255, 255, 255]
    assert plain(found[-6:]) == [0, 0, 0]


def test_broken_exif_costs_no_image(tmp_path: Path) -> None:
    pixels = noise()
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=b"not what it should be")
    assert np.array_equal(decode(tmp_path / "a.png", EXACT), pixels)


@pytest.mark.parametrize(("mode", "colour"), [("RGBA", (100, 100, 100, 51)), ("LA", (100, 51))])
def test_alpha_mixes_with_the_background(tmp_path: Path, mode: str, colour: tuple[int, ...]) -> None:
    Image.new(mode, (SIDE, SIDE), colour).save(tmp_path / "a.png")
    # 51/255 = 1/5 of 100 and 4/5 of 200, 180, 160
    assert plain(decode(tmp_path / "a.png", BEIGE)) == [180, 164, 148]


def test_the_background_is_white_unless_stated(tmp_path: Path) -> None:
    Image.new("RGBA", (SIDE, SIDE), (1, 2, 3, 0)).save(tmp_path / "a.png")
    assert plain(decode(tmp_path / "a.png", EXACT)) == [255, 255, 255]


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_transparent_colour_of_a_palette_is_laid_on_the_background(tmp_path: Path, suffix: str) -> None:
    image = Image.new("P", (SIDE, SIDE), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 8, SIDE))
    image.save(tmp_path / f"a.{suffix}", transparency=0)
    found = decode(tmp_path / f"a.{suffix}", BEIGE)
    assert plain(found[:, :8]) == [200, 180, 160]
    assert plain(found[:, 8:]) == [0, 0, 255]


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 77, [77, 77, 77]),
        ("LA", (77, 255), [77, 77, 77]),
        ("LA", (77, 0), [200, 180, 160]),
        ("1", 1, [255, 255, 255]),
        ("P", 0, [0, 0, 0]),
    ],
)
def test_grey_becomes_three_equal_channels(
    tmp_path: Path, mode: str, colour: int | tuple[int, int], expected: list[int]
) -> None:
    Image.new(mode, (SIDE, SIDE), colour).save(tmp_path / "a.png")
    assert plain(decode(tmp_path / "a.png", BEIGE)) == expected


@pytest.mark.parametrize("suffix", ["jpg", "tiff"])
def test_cmyk_becomes_rgb(tmp_path: Path, suffix: str) -> None:
    Image.new("CMYK", (SIDE, SIDE), (255, 0, 0, 0)).save(tmp_path / f"a.{suffix}")
    assert plain(decode(tmp_path / f"a.{suffix}", EXACT)) == [0, 255, 255]


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_a_single_pixel_fills_the_image(tmp_path: Path, resize: str) -> None:
    Image.new("RGB", (1, 1), (10, 20, 30)).save(tmp_path / "a.png")
    found = decode(tmp_path / "a.png", DecodePolicy(size_px=SIDE, resize=resize))
    assert found.shape == (SIDE, SIDE, 3)
    assert plain(found) == [10, 20, 30]


@pytest.mark.parametrize("size", [(20_000, 10), (10, 20_000)])
@pytest.mark.parametrize("resize", ["crop", "stretch"])
def test_a_ribbon_fills_the_image(tmp_path: Path, size: tuple[int, int], resize: str) -> None:
    Image.new("RGB", size, (10, 20, 30)).save(tmp_path / "a.png")
    found = decode(tmp_path / "a.png", DecodePolicy(size_px=224, resize=resize))
    assert found.shape == (224, 224, 3)
    assert plain(found) == [10, 20, 30]


def test_a_padded_ribbon_is_a_line_between_bars(tmp_path: Path) -> None:
    Image.new("RGB", (2000, 10), (10, 20, 30)).save(tmp_path / "a.png")
    found = decode(tmp_path / "a.png", DecodePolicy(size_px=224, resize="pad"))
    lines = np.flatnonzero((found == (10, 20, 30)).all(axis=(1, 2)))
    assert len(lines) == 1  # 224 * 10 / 2000 = 1.12
    assert abs(lines[0] - 111.5) <= 1


@pytest.mark.parametrize("turned", [False, True])
def test_crop_is_the_middle_224_of_an_image_whose_short_side_is_256(tmp_path: Path, turned: bool) -> None:
    pixels = noise(height=256, width=512)
    middle = pixels[16:240, 144:368]  # (256 - 224) / 2 = 16, (512 - 224) / 2 = 144
    if turned:
        pixels, middle = pixels.transpose(1, 0, 2), middle.transpose(1, 0, 2)
    Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / "a.png")
    assert np.array_equal(decode(tmp_path / "a.png", DecodePolicy(size_px=224)), middle)


def test_crop_keeps_a_marked_centre_in_the_centre(tmp_path: Path) -> None:
    pixels = np.zeros((300, 900, 3), np.uint8)
    pixels[120:180, 420:480] = 255  # the middle 60x60
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = decode(tmp_path / "a.png", DecodePolicy(size_px=224))[..., 0].astype(float)
    # 60 of 300 are 51.2 of the 256 that the short side becomes; cropping leaves that as it is
    assert found.sum() / 255 == pytest.approx(51.2**2, rel=0.01)
    rows, columns = np.average(np.indices(found.shape), axis=(1, 2), weights=found)
    assert (rows, columns) == pytest.approx((111.5, 111.5), abs=0.1)


@pytest.mark.parametrize("turned", [False, True])
def test_pad_keeps_the_whole_image_between_bars_of_the_background(tmp_path: Path, turned: bool) -> None:
    pixels = noise(height=8, width=SIDE)
    policy = DecodePolicy(size_px=SIDE, resize="pad", background=(200, 180, 160))
    Image.fromarray(np.rot90(pixels) if turned else pixels).save(tmp_path / "a.png")
    found = decode(tmp_path / "a.png", policy)
    found = np.rot90(found, -1) if turned else found
    assert np.array_equal(found[4:12], pixels)
    assert plain(found[[0, 1, 2, 3, 12, 13, 14, 15]]) == [200, 180, 160]


def test_stretch_keeps_the_whole_image_and_gives_up_its_shape(tmp_path: Path) -> None:
    pixels = np.repeat(noise(), 2, axis=1)  # 16x32, columns in pairs: half of it is the noise again
    Image.fromarray(pixels).save(tmp_path / "a.png")
    nearest = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    assert np.array_equal(decode(tmp_path / "a.png", EXACT), np.asarray(nearest))


def test_a_reduced_jpeg_decode_looks_like_the_full_one(tmp_path: Path) -> None:
    y, x = np.mgrid[0:300, 0:450]
    waves = 128 + 100 * np.sin(x / 3.5) * np.sin(y / 3.5)  # 22 px long: lost at a reduction to 1/8
    pixels = np.repeat(waves.astype(np.uint8)[..., None], 3, axis=2)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95)
    policy = DecodePolicy(size_px=64)
    difference = decode(tmp_path / "a.jpg", policy).astype(int) - decode(tmp_path / "a.png", policy)
    assert np.abs(difference).mean() <= 20  # 35 at 1/8, 11 at the 1/4 that is enough


def reason(path: Path) -> str:
    with pytest.raises(UnreadableImage) as caught:
        decode(path, EXACT)
    assert caught.value.path == str(path)
    assert str(caught.value) == f"{path}: cannot be read as an image: {caught.value.reason}"
    return caught.value.reason


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (b"<html>404</html>", "not an image: it begins with b'<html>404</html>'"),
        (b"\xff\xd8\xff", "JPEG that ends too early (3 bytes)"),
        (b"\xff\x0a" + b"\0" * 40, "a JPEG XL picture, which Pillow does not read: save it as JPEG"),
    ],
)
def test_what_is_no_image_is_named_with_its_reason(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    assert reason(tmp_path / "a.jpg") == told


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_truncated_file_is_named_with_its_reason(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise(64, 64)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    size = path.stat().st_size
    assert reason(path) == f"{'JPEG' if suffix == 'jpg' else 'PNG'} that ends too early ({size:,} bytes)"


def test_a_file_that_is_gone_is_named_with_its_reason(tmp_path: Path) -> None:
    assert "No such file" in reason(tmp_path / "a.jpg")


def test_too_many_pixels_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signature, "MAX_PIXELS", 255)
    Image.fromarray(noise()).save(tmp_path / "a.png")
    assert reason(tmp_path / "a.png") == "16x16 pixels are more than 255"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Eleven pictures, the fourth and the last broken."""
    paths = [tmp_path / f"{n}.png" for n in range(11)]
    for n, path in enumerate(paths):
        Image.fromarray(noise(seed=n)).save(path)
    for broken in (paths[3], paths[10]):
        broken.write_bytes(b"")
    return paths


@pytest.mark.parametrize(("chunk", "ahead"), [(4, 3), (1, 1), (5, 2), (64, 3)])
def test_chunks_hold_what_one_by_one_gives_in_order(files: list[Path], chunk: int, ahead: int) -> None:
    chunks = list(decode_chunks(files, EXACT, chunk, ahead))
    rows = np.concatenate([part.rows for part in chunks])
    images = np.concatenate([part.images for part in chunks])
    assert rows.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert np.array_equal(images, np.stack([decode(files[row], EXACT) for row in rows]))


def test_chunks_report_failures_by_row(files: list[Path]) -> None:
    found = [part.failed for part in decode_chunks(files, EXACT, chunk=4)]
    why = "the file is empty"
    assert found == [{3: why}, {}, {10: why}]


def test_a_chunk_of_failures_alone_is_empty(files: list[Path]) -> None:
    (part,) = decode_chunks([files[3], files[10]], EXACT)
    assert part.images.shape == (0, SIDE, SIDE, 3)
    assert part.rows.tolist() == []
    assert sorted(part.failed) == [0, 1]


def test_no_files_give_no_chunks() -> None:
    assert list(decode_chunks([], EXACT)) == []


def test_chunks_look_ahead_no_further_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Path] = []

    def fake(path: Path, policy: DecodePolicy) -> np.ndarray:
        started.append(path)
        return np.zeros((SIDE, SIDE, 3), np.uint8)

    monkeypatch.setattr(module, "decode", fake)
    chunks = decode_chunks([Path(str(n)) for n in range(100)], EXACT, chunk=5, ahead=3)
    assert started == []
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]  # waits for what was started
    assert len(started) == 5 + 3 * 5  # the chunk taken and three that wait
