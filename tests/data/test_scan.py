import hashlib
import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.bad_files import ORIENTATION, encoded, jpeg, picture, png
from transferkit import progress
from transferkit.data import scan as module
from transferkit.data.scan import COLUMNS, Scan, scan

GREY = np.full((64, 64, 3), 128, np.uint8)


def written(folder: Path, **files: bytes) -> list[Path]:
    """Files by name, in the order given."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


def pictures(folder: Path, count: int) -> list[Path]:
    return written(folder, **{f"{n}.jpg": jpeg(picture(f"{n}", 40, 40)) for n in range(count)})


def facts(tmp_path: Path, content: bytes) -> dict[str, Any]:
    """What a scan says of one file."""
    (path,) = written(tmp_path / "one", file=content)
    return scan([path], tmp_path / "cache").facts.iloc[0].to_dict()


def same(first: Scan, second: Scan) -> bool:
    return first.facts.equals(second.facts) and np.array_equal(first.marks, second.marks)


def image(pixels: np.ndarray, mode: str = "RGB") -> Image.Image:
    return Image.fromarray(pixels).convert(mode)


def test_a_file_gives_its_hash_format_and_size(tmp_path: Path) -> None:
    content = jpeg(picture("x", 96, 80))
    found = facts(tmp_path, content)
    assert list(found) == COLUMNS
    assert found["sha256"] == hashlib.sha256(content).hexdigest()
    assert (found["format"], found["mode"], found["bits"]) == ("JPEG", "RGB", 8)
    assert (found["width"], found["height"], found["orientation"]) == (96, 80, 1)
    assert (found["problem"], found["reason"], found["complete"]) == ("", "", True)
    assert (found["alpha"], found["frames"]) == (False, 1)


@pytest.mark.parametrize(
    ("mode", "alpha"), [("L", False), ("RGBA", True), ("LA", True), ("P", False), ("1", False)]
)
def test_modes_are_told_as_they_are_in_the_file(tmp_path: Path, mode: str, alpha: bool) -> None:
    found = facts(tmp_path, encoded(image(GREY, mode), "PNG"))
    assert (found["mode"], found["alpha"], found["problem"]) == (mode, alpha, "")


def test_a_transparent_palette_entry_is_alpha(tmp_path: Path) -> None:
    palette = encoded(image(GREY).quantize(4), "PNG", transparency=0)
    assert facts(tmp_path, palette)["alpha"]


def test_frames_are_counted_but_a_phones_preview_is_none(tmp_path: Path) -> None:
    first, *others = (image(picture(f"frame {n}")) for n in range(3))
    assert facts(tmp_path, encoded(first, "GIF", save_all=True, append_images=others))["frames"] == 3
    assert facts(tmp_path, encoded(first, "MPO", save_all=True, append_images=others))["frames"] == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_width_and_height_are_those_of_the_upright_picture(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    found = facts(tmp_path, jpeg(picture("x", 96, 80), exif=exif))
    assert found["orientation"] == orientation
    assert (found["width"], found["height"]) == ((80, 96) if orientation >= 5 else (96, 80))


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_picture_turned_by_its_exif_has_the_mark_of_the_upright_one(
    tmp_path: Path, orientation: int
) -> None:
    turns: Any = Image.Transpose
    back = [turns.FLIP_LEFT_RIGHT, turns.ROTATE_180, turns.FLIP_TOP_BOTTOM, turns.TRANSPOSE]
    back += [turns.ROTATE_90, turns.TRANSVERSE, turns.ROTATE_270]
    upright = image(picture("x", 64, 64))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = upright.transpose(back[orientation - 2])
    paths = written(tmp_path, a=encoded(upright, "PNG"), b=encoded(stored, "PNG", exif=exif))
    marks = scan(paths, tmp_path / "cache").marks
    assert np.array_equal(marks[0], marks[1])
    assert marks.any()


def test_deep_colour_of_a_camera_is_not_dark(tmp_path: Path) -> None:
    pixels = picture("x", 64, 64)
    rows = (pixels.astype(np.uint16) * 16).astype(">u2").tobytes()  # 12 bits in 16
    deep, plain = facts(tmp_path, png(64, 64, 16, 2, rows)), facts(tmp_path, encoded(image(pixels), "PNG"))
    assert (deep["bits"], plain["bits"]) == (16, 8)
    assert abs(deep["bright"] - plain["bright"]) < 2
    assert plain["bright"] > 100


@pytest.mark.parametrize("level", [0, 90, 255])
def test_one_colour_is_as_bright_as_it_is_and_has_no_contrast(tmp_path: Path, level: int) -> None:
    found = facts(tmp_path, encoded(image(np.full((96, 96, 3), level, np.uint8)), "PNG"))
    assert (found["bright"], found["contrast"]) == (level, 0.0)


@pytest.mark.parametrize(("columns", "bright"), [(10, 255), (2, 0)])
def test_brightness_leaves_out_the_brightest_twentieth(tmp_path: Path, columns: int, bright: int) -> None:
    pixels = np.zeros((96, 96, 3), np.uint8)
    pixels[:, :columns] = 255
    assert facts(tmp_path, encoded(image(pixels), "PNG"))["bright"] == bright


def test_contrast_is_the_deviation_of_the_luma(tmp_path: Path) -> None:
    halves = np.zeros((96, 96, 3), np.uint8)
    halves[:, 48:] = 255
    found = facts(tmp_path, encoded(image(halves), "PNG"))
    assert found["contrast"] == pytest.approx(127.5, abs=1)
    assert found["bright"] == 255


def test_smoothness_is_a_quarter_for_noise_and_nears_four_when_blurred(tmp_path: Path) -> None:
    noise = image(np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8))
    assert facts(tmp_path, encoded(noise, "PNG"))["smoothness"] == pytest.approx(0.25, abs=0.03)
    blurred = image(picture("x", 96, 96)).filter(ImageFilter.GaussianBlur(6))
    assert 3.5 < facts(tmp_path, encoded(blurred, "PNG"))["smoothness"] <= 4


def test_transparent_parts_are_looked_at_on_white(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    assert facts(tmp_path, encoded(clear, "PNG"))["bright"] == 255


def test_rows_keep_the_order_of_the_files_over_batches_and_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = pictures(tmp_path / "p", 11)[::-1]
    whole = scan(paths, tmp_path / "whole")
    monkeypatch.setattr(module, "BATCH", 5)
    monkeypatch.setattr(module, "CHUNK", 2)
    parts = scan(paths, tmp_path / "parts")
    assert list(parts.facts["sha256"]) == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert same(parts, whole)
    assert parts.scanned == 11


def test_no_more_than_three_chunks_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    look, numbers, counts = module._look, module._numbers, {"begun": 0, "done": 0, "most": 0}

    def looking(path: Path) -> Any:
        counts["begun"] += 1
        return look(path)

    def computing(seen: Any) -> Any:
        time.sleep(0.05)  # long enough for the threads to run as far ahead as they may
        counts["most"] = max(counts["most"], counts["begun"] - counts["done"])
        counts["done"] += len(seen)
        return numbers(seen)

    monkeypatch.setattr(module, "_look", looking)
    monkeypatch.setattr(module, "_numbers", computing)
    assert scan(pictures(tmp_path / "p", 16), tmp_path / "cache").scanned == 16
    assert counts["most"] <= 6


def test_a_second_scan_reads_nothing_and_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [*pictures(tmp_path / "p", 5), *written(tmp_path / "p", bad=b"no image")]
    first = scan(paths, tmp_path / "cache")
    monkeypatch.setattr(module, "_look", None)
    second = scan(paths, tmp_path / "cache")
    assert (first.scanned, second.scanned) == (6, 0)
    assert same(first, second)


def test_a_scan_takes_the_known_files_and_reads_the_new_ones(tmp_path: Path) -> None:
    paths = pictures(tmp_path / "p", 7)
    scan(paths[1::2], tmp_path / "cache")
    later = scan(paths, tmp_path / "cache")
    assert later.scanned == 4
    assert same(later, scan(paths, tmp_path / "other"))


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    paths = pictures(tmp_path / "p", 3)
    scan(paths, tmp_path / "cache")
    paths[1].write_bytes(jpeg(picture("other", 50, 50)))
    later = scan(paths, tmp_path / "cache")
    assert later.scanned == 1
    assert later.facts["width"].tolist() == [40, 50, 40]


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path: Path) -> None:
    (path,) = pictures(tmp_path / "p", 1)
    content, told = path.read_bytes(), path.stat()
    scan([path], tmp_path / "cache")
    path.write_bytes(content[:-1] + b"\0")
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))
    later = scan([path], tmp_path / "cache")
    assert later.facts["sha256"][0] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_broken_cache_is_told_costs_only_time_and_is_begun_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = pictures(tmp_path / "p", 3)
    first = scan(paths, tmp_path / "cache")
    (base,) = (tmp_path / "cache" / "scan").iterdir()
    base.write_bytes(b"no database, " * 100)
    progress.show()
    again = scan(paths, tmp_path / "cache")
    assert f"scan: the cache {base} cannot be used" in capsys.readouterr().err
    assert again.scanned == 3
    assert same(first, again)
    assert [scan(paths, tmp_path / "cache").scanned for _ in range(2)] == [3, 0]


def test_a_cache_that_cannot_be_made_costs_only_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = pictures(tmp_path / "p", 2)
    (tmp_path / "cache").write_text("in the way")
    progress.show()
    assert [scan(paths, tmp_path / "cache").scanned for _ in range(2)] == [2, 2]
    assert "cannot be used" in capsys.readouterr().err
    assert (tmp_path / "cache").read_text() == "in the way"


def test_a_cache_that_another_program_holds_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = pictures(tmp_path / "p", 2)
    scan(paths[:1], tmp_path / "cache")
    (base,) = (tmp_path / "cache" / "scan").iterdir()
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda file, timeout: connect(file, timeout=0.01))
    with connect(base) as other:
        other.execute("begin exclusive")
        assert scan(paths, tmp_path / "cache").scanned == 2
    assert scan(paths, tmp_path / "cache").scanned == 1


def test_a_cache_over_its_limit_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = pictures(tmp_path / "p", 2)
    scan(paths, tmp_path / "cache")
    monkeypatch.setattr("transferkit.data.scan_cache.LIMIT_BYTES", 100)
    assert scan(paths, tmp_path / "cache").scanned == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "unreadable"),
        (b"<html>", "not-an-image"),
        (jpeg(GREY)[:300], "truncated"),
        (png(13_400, 13_400, 1, 0, bytes(1675 * 13_400)), "too-large"),
    ],
)
def test_a_file_that_cannot_be_decoded_is_a_row_with_its_problem(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    bad, good = written(tmp_path, bad=content, good=jpeg(GREY))
    found = scan([bad, good], tmp_path / "cache")
    assert found.facts["problem"].tolist() == [problem, ""]
    assert found.facts["reason"][0]
    assert found.facts["sha256"][0] == hashlib.sha256(content).hexdigest()
    assert not found.marks[0].any()


def test_a_file_of_too_many_bytes_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = written(tmp_path, large=jpeg(GREY) + b"\0" * 5000, exact=jpeg(GREY))
    monkeypatch.setattr(module, "MAX_BYTES", paths[1].stat().st_size)
    found = scan(paths, tmp_path / "cache").facts
    assert found["problem"].tolist() == ["too-large", ""]
    size = f"{paths[0].stat().st_size:,}"
    assert found["reason"][0] == f"{size} bytes are more than {paths[1].stat().st_size:,}"
    assert found["sha256"][0] == ""


def test_what_memory_did_not_suffice_for_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = pictures(tmp_path / "p", 1)

    def short(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(module, "_decoded", short)
        found = scan(paths, tmp_path / "cache").facts.iloc[0]
    assert (found["problem"], found["reason"]) == ("too-large", "there is not enough memory to decode it")
    assert scan(paths, tmp_path / "cache").facts["problem"][0] == ""


def test_a_file_that_is_not_there_is_a_row_and_is_read_once_it_is(tmp_path: Path) -> None:
    path = tmp_path / "later.jpg"
    found = scan([path], tmp_path / "cache").facts.iloc[0]
    assert (found["problem"], found["sha256"]) == ("unreadable", "")
    assert found["reason"] == "No such file or directory"
    path.write_bytes(jpeg(GREY))
    assert scan([path], tmp_path / "cache").facts["problem"][0] == ""


def test_a_file_that_fails_to_be_read_once_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = pictures(tmp_path / "p", 1)

    def failing(path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing)
        assert scan([path], tmp_path / "cache").facts["reason"][0] == "Input/output error"
    assert scan([path], tmp_path / "cache").facts["problem"][0] == ""


def test_pixels_that_are_all_there_without_an_end_are_told_but_used(tmp_path: Path) -> None:
    whole = encoded(image(GREY), "PNG")
    found = facts(tmp_path, whole[: whole.index(b"IEND") - 4])
    assert (found["problem"], found["complete"]) == ("", False)


def test_what_pillow_warns_of_breaks_no_file(tmp_path: Path) -> None:
    broken = b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"
    found = facts(tmp_path, jpeg(GREY, exif=broken))
    assert (found["problem"], found["orientation"]) == ("", 1)


def test_names_that_are_not_text_are_kept_too(tmp_path: Path) -> None:
    (path,) = pictures(tmp_path / "p", 1)
    odd = path.rename(os.fsdecode(os.fsencode(path.parent) + b"/\xff\xfe.jpg"))
    assert [scan([odd], tmp_path / "cache").scanned for _ in range(2)] == [1, 0]


def test_nothing_to_scan_is_an_empty_table(tmp_path: Path) -> None:
    found = scan([], tmp_path / "cache")
    assert list(found.facts.columns) == COLUMNS
    assert (len(found.facts), len(found.marks), found.scanned) == (0, 0, 0)


def test_a_moved_folder_is_read_again_and_says_the_same(tmp_path: Path) -> None:
    paths = pictures(tmp_path / "p", 2)
    first = scan(paths, tmp_path / "cache")
    shutil.move(tmp_path / "p", tmp_path / "q")
    later = scan([tmp_path / "q" / path.name for path in paths], tmp_path / "cache")
    assert later.scanned == 2
    assert same(first, later)
