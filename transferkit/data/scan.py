"""One pass over image files: what each is, whether it can be decoded, and a mark to find copies by.

A file is read once. From its bytes come the SHA-256, the format, the decoded pixels (JPEGs at the
smallest scale that serves) and from those a thumbnail; everything else is computed from thumbnails,
many at a time. What a file gave is kept in the cache and taken from there while path, size and times
of the file are the same.
"""

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from warnings import catch_warnings, filterwarnings

import numpy as np

from transferkit.data import signature
from transferkit.data.decode import THREADS, to_rgb, upright
from transferkit.data.depth import bits, is_deep_colour, read_deep_colour
from transferkit.data.scan_cache import ScanCache
from transferkit.progress import Task, task

if TYPE_CHECKING:
    import pandas as pd

THUMB_PX = 32  # side of the thumbnail that copies are found by
SIDES = (96, 64, 32)  # pictures are squeezed to the largest of these that is no enlargement
CHUNK = 256  # files whose thumbnails are in memory at once
WHITE = (255, 255, 255)
JOB = 16  # files a thread takes at once
TINY_BYTES = 8_000  # mean size of files below which one thread reads them faster than several
MAX_BYTES = 2_000_000_000  # of a file that is read at all; 179 million pixels of 16 bits take 1.4 GB
BATCH = 4096  # files asked of the cache at once


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What one file is.

    Attributes:
        sha256: of its bytes; "" when it could not be read.
        problem: `unreadable`, `truncated`, `not-an-image`, `too-large`, or "" when it can be decoded.
        reason: of the problem, in words.
        complete: whether the file has the end that its format asks for.
        format: Pillow's name, such as JPEG.
        mode: Pillow's, before conversion.
        bits: per channel.
        width: upright, in pixels; `height` likewise; 0 when unknown.
        orientation: EXIF's, 1 to 8.
        alpha: whether it has transparency.
        frames: of an animation or of pages; 1 otherwise.
        bright: 95th percentile of the luma, 0..255.
        contrast: standard deviation of the luma, 0..127.
        smoothness: energy of the luma's differences over two pixels against one, at 96 px; 4 is the
            limit of a picture without detail, noise gives 1/4.
    """

    sha256: str = ""
    problem: str = ""
    reason: str = ""
    complete: bool = True
    format: str = ""
    mode: str = ""
    bits: int = 8
    width: int = 0
    height: int = 0
    orientation: int = 1
    alpha: bool = False
    frames: int = 1
    bright: float = 0.0
    contrast: float = 0.0
    smoothness: float = 0.0


COLUMNS = list(Facts.__dataclass_fields__)


@dataclass(frozen=True)
class Scan:
    """What a pass over files found; rows in the order of the files.

    Attributes:
        facts: a column for each attribute of `Facts`.
        marks: int16 `(N, MARK_BYTES / 2)`, see `data.duplicates`; zeros for files with a problem.
        scanned: files that were read; the rest came from the cache.
    """

    facts: "pd.DataFrame"
    marks: np.ndarray
    scanned: int


class _Seen(NamedTuple):
    """A decoded file before its numbers are computed; pixels as bytes, for speed."""

    facts: dict[str, Any]  # of `Facts`
    thumbnail: bytes = b""  # 32 x 32 RGB
    grey: bytes = b""  # s x s, s of SIDES


def scan(paths: Sequence[Path], cache: Path) -> Scan:
    """The facts and marks of files.

    Memory: some hundred bytes and a mark for each file, and the thumbnails of `CHUNK` files.

    Args:
        paths: the files; one that cannot be opened is a row with its problem.
        cache: the folder of all caches.
    """
    import pandas as pd

    from transferkit.data.duplicates import MARK_BYTES

    tables = [pd.DataFrame(columns=COLUMNS)]
    marks = np.zeros((len(paths), MARK_BYTES // 2), np.int16)
    scanned = 0
    with catch_warnings(), ScanCache(cache) as kept, task("scan", len(paths), "files") as bar:
        # What Pillow warns of is a finding, or costs no pixel, such as broken EXIF.
        filterwarnings("ignore", module="PIL")
        for start in range(0, len(paths), BATCH):
            part = paths[start : start + BATCH]
            found, new = _batch(part, kept, marks[start : start + BATCH], bar)
            tables.append(pd.DataFrame(map(vars, found), columns=COLUMNS))
            scanned += new
    facts = pd.concat(tables[1:] or tables, ignore_index=True)
    return Scan(facts, marks, scanned)


def _batch(paths: Sequence[Path], kept: ScanCache, marks: np.ndarray, bar: Task) -> tuple[list[Facts], int]:
    """The facts of some files and how many had to be read; fills their marks."""
    stamps = [_stamp(path) for path in paths]
    rows = [Facts()] * len(paths)
    missing = []
    for row, entry in enumerate(kept.known(stamps)):
        if entry is None:
            missing.append(row)
        else:
            rows[row], marks[row] = Facts(**entry[0]), np.frombuffer(entry[1], np.int16)
    bar.advance(len(paths) - len(missing))
    sizes = [stamp[1] for row in missing if (stamp := stamps[row])]
    # The threads of tiny pictures do nothing but take turns at the interpreter.
    tiny = sum(sizes) < TINY_BYTES * len(sizes)
    for part, facts, found in _looked_at(paths, missing, 1 if tiny else THREADS):
        for row, fact, mark in zip(part, facts, found, strict=True):
            rows[row], marks[row] = fact, mark
        # Not what could not be read: a disk or network that fails once may serve the next time.
        whole = [row for row in part if rows[row].sha256]
        kept.keep((stamps[row], vars(rows[row]), marks[row].tobytes()) for row in whole)
        bar.advance(len(part))
    return rows, len(missing)


def _stamp(path: Path) -> tuple[str, int, int, int] | None:
    """What tells whether a file is still the same; None if it cannot be asked."""
    try:
        told = path.stat()
    except OSError:
        return None
    name = os.fsencode(os.path.abspath(path)).decode("utf-8", "backslashreplace")
    return name, told.st_size, told.st_mtime_ns, told.st_ctime_ns


def _looked_at(
    paths: Sequence[Path], rows: Sequence[int], threads: int
) -> Iterator[tuple[Sequence[int], list[Facts], np.ndarray]]:
    """(rows, facts, marks) of files, a chunk at a time; the next chunk decodes meanwhile."""
    parts = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    with ThreadPoolExecutor(threads) as pool:

        def begin(part: Sequence[int]) -> list[Future[list[_Seen]]]:
            jobs = [part[start : start + JOB] for start in range(0, len(part), JOB)]
            return [pool.submit(_look_at_each, [paths[row] for row in job]) for job in jobs]

        ahead = [begin(part) for part in parts[:2]]
        for number, part in enumerate(parts):
            seen = [one for future in ahead.pop(0) for one in future.result()]
            if number + 2 < len(parts):
                ahead.append(begin(parts[number + 2]))
            yield part, *_numbers(seen)


def _look_at_each(paths: Sequence[Path]) -> list[_Seen]:
    return [_look(path) for path in paths]


def _look(path: Path) -> _Seen:
    """Read and decode one file."""
    from PIL import Image

    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            return _Seen({"problem": "too-large", "reason": f"{size:,} bytes are more than {MAX_BYTES:,}"})
        data = path.read_bytes()
    except OSError as error:
        return _Seen({"problem": "unreadable", "reason": error.strerror or str(error)})
    facts: dict[str, Any] = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "complete": signature.complete(data),
    }
    try:
        with Image.open(io.BytesIO(data)) as image:
            facts |= _of_header(image)
            return _decoded(facts, image, data)
    except MemoryError:
        # Without its hash it is not kept: with more memory it may be read the next time.
        return _Seen({"problem": "too-large", "reason": "there is not enough memory to decode it"})
    except Exception as error:  # Pillow and its plug-ins raise many kinds for broken files
        facts["problem"], facts["reason"] = signature.diagnosis(data, error)
        return _Seen(facts)


def _of_header(image: Any) -> dict[str, Any]:
    return {
        "format": image.format or "",
        "mode": image.mode,
        "bits": bits(image),
        "width": image.width,
        "height": image.height,
        "alpha": image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info,
        # A phone's MPO holds a preview or a second eye behind the photograph.
        "frames": 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1)),
    }


def _decoded(facts: dict[str, Any], image: Any, data: bytes) -> _Seen:
    """The file with its picture squeezed to a square."""
    from PIL import Image

    signature.check_size(image)
    image.draft("RGB", (SIDES[0], SIDES[0]))
    deep = is_deep_colour(image)  # asked first: a PNG's EXIF lies behind its pixels
    orientation = facts["orientation"] = _orientation(image)
    if deep:
        with Image.open(io.BytesIO(data)) as again:
            image = read_deep_colour(again, io.BytesIO(data), upright)
    elif orientation != 1:
        image = upright(image)
    if orientation >= 5:
        facts["width"], facts["height"] = facts["height"], facts["width"]
    short = min(facts["width"], facts["height"])
    side = next((px for px in SIDES if px <= short), SIDES[-1])
    # A triangle: a box is uneven where the sides do not divide, and copies would differ more.
    small = to_rgb(image, WHITE).resize((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    thumbnail = small if side == THUMB_PX else small.resize((THUMB_PX, THUMB_PX), Image.Resampling.BILINEAR)
    return _Seen(facts, thumbnail.tobytes(), small.convert("L").tobytes())


def _orientation(image: Any) -> int:
    if image.format == "JPEG" and not image.info.keys() & {"exif", "xmp"}:
        return 1  # as below, a little sooner
    try:
        value = int(image.getexif().get(0x0112, 1))
    except Exception:  # a broken EXIF block raises many kinds, and costs no pixel
        return 1
    return value if 1 <= value <= 8 else 1


def _numbers(seen: Sequence[_Seen]) -> tuple[list[Facts], np.ndarray]:
    """The facts with the numbers that come from pixels, and the marks, for many files at once."""
    from transferkit.data.duplicates import MARK_BYTES, describe

    marks = np.zeros((len(seen), MARK_BYTES // 2), np.int16)
    for side in SIDES:
        rows = [row for row, one in enumerate(seen) if len(one.grey) == side * side]
        if not rows:
            continue
        pixels = b"".join(seen[row].thumbnail for row in rows)
        marks[rows] = describe(np.frombuffer(pixels, np.uint8).reshape(-1, THUMB_PX, THUMB_PX, 3))
        pixels = b"".join(seen[row].grey for row in rows)
        grey = np.frombuffer(pixels, np.uint8).reshape(-1, side, side).astype(np.float32)
        coarse = _halved(grey)
        # Every fifth: five divides no side, so that no column is passed over.
        flat = np.sort(coarse.reshape(len(rows), -1)[:, ::5], axis=1)
        bright, contrast = flat[:, int(0.95 * flat.shape[1])], flat.std(axis=1)
        smooth = _energy(coarse) / np.maximum(_energy(grey), 1e-6)
        columns = zip(rows, bright.tolist(), contrast.tolist(), smooth.tolist(), strict=True)
        for row, light, spread, ratio in columns:
            seen[row].facts.update(bright=light, contrast=spread, smoothness=ratio)
    return [Facts(**one.facts) for one in seen], marks


def _halved(pictures: np.ndarray) -> np.ndarray:
    """Pictures `(n, s, s)` at half their side."""
    rows = pictures[:, ::2] + pictures[:, 1::2]
    return np.asarray((rows[:, :, ::2] + rows[:, :, 1::2]) / 4)


def _energy(pictures: np.ndarray) -> np.ndarray:
    """Mean squared difference of neighbours in pictures `(n, s, s)`."""
    across, down = np.diff(pictures, axis=2), np.diff(pictures, axis=1)
    sums = np.einsum("nij,nij->n", across, across) + np.einsum("nij,nij->n", down, down)
    return np.asarray(sums / across[0].size)
