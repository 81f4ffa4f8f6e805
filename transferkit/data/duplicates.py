"""Near duplicates: pictures that are one picture re-encoded, resized or mirrored.

A picture is described by its low cosine frequencies. Frequency f has the factor sqrt(f), as pictures
have less of it, so that detail counts and not only where it is light and dark. Two pictures are the
same where what they have of detail points the same way, as far as compression leaves it. Pictures
without detail, sea or sky, are known by little more than noise: a copy of them at JPEG quality 60 may
be missed, and two of them are not called the same for being equally plain. Pictures under 32 px have
too little detail to be told apart (of 1797 digits of 8 px 158 have a pair): leave them out.
`benchmarks/duplicates.py` measures how many copies are found, and how many pairs are no copies.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from transferkit.errors import DataError

SIDE = 32  # px of a thumbnail
LUMA_FREQUENCIES = 12  # below this radius, in half waves a side
CHROMA_FREQUENCIES = 5
CHROMA_WEIGHT = 0.5
MEANS = 3
STEPS = 32  # of a mark's integers to a grey level

# Measured on satellite tiles, photographs and hands (benchmarks/results/duplicates.json).
DIFFERENCE = 0.03  # of pictures rich in detail; two photographs of a hand in one pose are above 0.06
NOISE = 5.0  # grey levels squared that compression at quality 60 adds to that
PLAIN_DIFFERENCE = 0.42  # above it two plain pictures agree by chance
SHIFT = (1.5, 0.75)  # grey levels between the mean colours, and that for each level of detail
DETAIL_RATIO = 0.5  # of the poorer in detail to the richer
NO_DETAIL = 0.25  # grey levels; less is rounding

BLOCK = 2048
SCREENED = 32  # frequencies of the first look
DESCRIBED_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rows of the marks that show one picture, `first < second`.

    Attributes:
        first: row.
        second: row.
        mirrored: one is the other with left and right exchanged.
        difference: one minus the correlation of their detail: 0 for equal, at most 0.42.
    """

    first: int
    second: int
    mirrored: bool
    difference: float


@cache
def _frequencies() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Channel, row and column of each stored cosine, coarse first; the means stand at the front."""
    down, across = np.indices((SIDE, SIDE))
    radius = np.hypot(down, across)
    kept = np.stack([radius < LUMA_FREQUENCIES, *(2 * [radius < CHROMA_FREQUENCIES])])
    channel, down, across = np.nonzero(kept)
    order = np.argsort(np.hypot(down, across), kind="stable")
    return channel[order], down[order], across[order]


@cache
def _weights() -> np.ndarray:
    channel, down, across = _frequencies()
    weights: np.ndarray = np.sqrt(np.hypot(down, across) * np.where(channel > 0, CHROMA_WEIGHT, 1.0))
    weights[:MEANS] = 1.0
    return weights


MARK_BYTES = 2 * len(_weights())


def describe(thumbnails: np.ndarray) -> np.ndarray:
    """The mark of each thumbnail, int16 `(n, MARK_BYTES / 2)`: what `find_pairs` compares.

    Args:
        thumbnails: uint8 `(n, 32, 32, 3)`, RGB: the whole image, squeezed with antialiasing. A
            triangle (`BILINEAR` of Pillow's `resize`) keeps a resized copy two to four times nearer
            to its original than `BOX` does, which is uneven where the sides do not divide.

    Raises:
        DataError: another shape or type; has both.
    """
    if thumbnails.shape[1:] != (SIDE, SIDE, 3) or thumbnails.dtype != np.uint8:
        raise DataError(
            f"thumbnails are {thumbnails.dtype} {thumbnails.shape}; uint8 (n, {SIDE}, {SIDE}, 3) is needed"
        )
    marks = np.empty((len(thumbnails), len(_weights())), np.int16)
    for start in range(0, len(thumbnails), DESCRIBED_AT_ONCE):
        rows = slice(start, start + DESCRIBED_AT_ONCE)
        marks[rows] = _marks(thumbnails[rows])
    return marks


def _marks(thumbnails: np.ndarray) -> np.ndarray:
    pixels = thumbnails.astype(np.float32)
    luma = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    channels = np.stack([luma, 0.564 * (pixels[..., 2] - luma), 0.713 * (pixels[..., 0] - luma)], axis=1)
    waves = _waves()
    cosines = np.swapaxes(np.swapaxes(channels @ waves, 2, 3) @ waves, 2, 3)
    channel, down, across = _frequencies()
    marks: np.ndarray = np.rint(cosines[:, channel, down, across] * _weights() * STEPS)
    return marks


@cache
def _waves() -> np.ndarray:
    """The cosines that are kept, float32 `(SIDE, LUMA_FREQUENCIES)`: the orthonormal DCT-II.

    Divided by the root of the side, so that a number of two of them is its root mean square in
    grey levels.
    """
    half_waves = np.outer(2 * np.arange(SIDE) + 1, np.arange(LUMA_FREQUENCIES))
    waves = np.cos(np.pi * half_waves / (2 * SIDE)) * np.sqrt(2)
    waves[:, 0] = 1.0
    return np.asarray(waves / SIDE, np.float32)


def find_pairs(marks: np.ndarray, *, mirrored: bool = True, most: int = 8) -> list[Pair]:
    """The pairs of rows that show one picture, in order of rows; each pair once.

    All are compared with all, in blocks: the time grows with the square of the number, the memory with
    the number. 100,000 pictures took half a minute on two busy cores, two minutes where all were plain
    (the coarse part then rules nothing out), and under 1 GB.

    Rows with equal marks are listed with the first of them alone. A picture is searched for, in order
    of detail, until it has `most` others after it, so that no set has more than `2 * most` pairs a
    picture; pictures that are all the same as each other stay in one cluster. A picture of one colour
    has no pair but those with an equal mark.

    Args:
        marks: int16, from `describe`.
        mirrored: look for mirrored pictures, too; it doubles the time.
        most: pairs, of either kind, in which a picture is the richer in detail.

    Raises:
        DataError: not marks; has their shape and type.
    """
    if marks.ndim != 2 or marks.shape[1] != len(_weights()) or marks.dtype != np.int16:
        raise DataError(
            f"marks are {marks.dtype} {marks.shape}; int16 (n, {len(_weights())}) from `describe` is needed"
        )
    rows, same = _distinct(marks)
    found = {(a, b): Pair(a, b, False, 0.0) for a, b in same}
    ranked = _rank(marks, rows)
    for flip in (False, True) if mirrored else (False,):
        for first, second, differences in _search(ranked, flip, most):
            ends = np.sort(np.stack([ranked.rows[first], ranked.rows[second]], axis=1), axis=1)
            for (a, b), difference in zip(ends.tolist(), differences.tolist(), strict=True):
                if (a, b) not in found or difference < found[a, b].difference:
                    found[a, b] = Pair(a, b, flip, difference)
    return [found[key] for key in sorted(found)]


def clusters(n: int, pairs: Iterable[Pair]) -> np.ndarray:
    """For each of n rows the smallest row that pairs lead to from it, int64 `(n,)`."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.array([(pair.first, pair.second) for pair in pairs], np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    _, smallest, place = np.unique(component, return_index=True, return_inverse=True)
    result: np.ndarray = smallest[place].astype(np.int64)
    return result


def _distinct(marks: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """The first row of each mark, in an order that is the marks' own; (first, other) of equal marks."""
    whole = np.ascontiguousarray(marks).view(np.dtype((np.void, MARK_BYTES))).ravel()
    _, first, place = np.unique(whole, return_index=True, return_inverse=True)
    others = np.setdiff1d(np.arange(len(marks)), first)
    return first, list(zip(first[place[others]].tolist(), others.tolist(), strict=True))


@dataclass(frozen=True)
class _Ranked:
    """Marks as unit vectors of detail, those with most detail first."""

    rows: np.ndarray
    detail: np.ndarray  # grey levels
    means: np.ndarray
    units: np.ndarray
    screen: np.ndarray  # the coarse part of `units`, and the length of the rest


def _rank(marks: np.ndarray, rows: np.ndarray) -> _Ranked:
    detail = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), BLOCK):
        part = marks[rows[start : start + BLOCK], MEANS:].astype(np.float32) / STEPS
        detail[start : start + BLOCK] = np.sqrt((part**2).sum(axis=1))
    order = np.argsort(-detail, kind="stable")
    order = order[detail[order] > NO_DETAIL]
    rows, detail = rows[order], detail[order]
    units = marks[rows, MEANS:].astype(np.float32)
    units /= STEPS * detail[:, None]
    fine = np.sqrt(np.einsum("ij,ij->i", units[:, SCREENED:], units[:, SCREENED:]))
    screen = np.concatenate([units[:, :SCREENED], fine[:, None]], axis=1)
    return _Ranked(rows, detail, marks[rows, :MEANS].astype(np.float32) / STEPS, units, screen)


def _search(ranked: _Ranked, flip: bool, most: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Matches as (place, later place, difference), until a place has `most`."""
    total = len(ranked.rows)
    for start in range(0, total, BLOCK):
        left = np.arange(start, min(start + BLOCK, total))
        missing = np.full(len(left), most)
        for other in range(start, total, BLOCK):
            right = np.arange(other, min(other + BLOCK, total))
            left, missing = left[missing > 0], missing[missing > 0]
            if not len(left) or ranked.detail[other] < DETAIL_RATIO * ranked.detail[left[-1]]:
                break
            first, second, difference = _matches(ranked, left, right, flip)
            # Row-major order: the place of a match among those of its row.
            starts = np.searchsorted(first, left)
            rank = np.arange(len(first)) - starts[np.searchsorted(left, first)]
            kept = rank < missing[np.searchsorted(left, first)]
            missing = missing - np.bincount(np.searchsorted(left, first[kept]), minlength=len(left))
            yield first[kept], second[kept], difference[kept]


def _matches(
    ranked: _Ranked, left: np.ndarray, right: np.ndarray, flip: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places in `left`, in order, and later ones in `right` that match, with their difference."""
    least = 1 - _allowed(ranked.detail[left[-1]], ranked.detail[right[-1]])
    signs = _signs(flip)
    # No correlation is above that of the coarse part and the product of the lengths of the rest.
    coarse = np.append(signs[:SCREENED], np.float32(1))
    bound = ranked.screen[left] @ (ranked.screen[right] * coarse).T >= least
    left, right = left[bound.any(axis=1)], right[bound.any(axis=0)]
    close = ranked.units[left] @ (ranked.units[right] * signs).T
    row, column = np.nonzero(close >= least)
    difference = np.maximum(1 - close[row, column], 0)
    first, second = left[row], right[column]
    much, little = ranked.detail[first], ranked.detail[second]
    shift = np.abs(ranked.means[first] - ranked.means[second]).max(axis=1, initial=0)
    kept = (second > first) & (difference <= _allowed(much, little)) & (little >= DETAIL_RATIO * much)
    kept &= shift <= SHIFT[0] + SHIFT[1] * np.sqrt(much * little)
    return first[kept], second[kept], difference[kept]


def _allowed(much: np.ndarray, little: np.ndarray) -> np.ndarray:
    """The difference up to which pictures with so much detail may be copies."""
    allowed: np.ndarray = np.minimum(PLAIN_DIFFERENCE, DIFFERENCE + NOISE / (much * little))
    return allowed


def _signs(flip: bool) -> np.ndarray:
    """What exchanging left and right does to the cosines: those with odd half waves across turn."""
    across = _frequencies()[2][MEANS:]
    return np.where(flip & (across % 2 == 1), np.float32(-1), np.float32(1))
