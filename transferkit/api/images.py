"""Images as a notebook has them: paths, arrays in memory, or a table."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transferkit.api.prediction import answers, check_views, in_place, judged
from transferkit.data.decode import Chunk, DecodePolicy, decode_chunks, from_array, picture_of
from transferkit.errors import DataError, UsageError
from transferkit.runs import Run
from transferkit.training.state import write_whole

if TYPE_CHECKING:
    import pandas as pd


def predict_images(run: Run, images: Any, *, views: str, device: str) -> "tuple[pd.DataFrame, np.ndarray]":
    """`path,pred,p,top5,error`, a row for each image in its order; the probabilities of those without error.

    See `api.run.Run.predict`.
    """
    check_views(views)
    batch = run.recipe.batch_size
    table = images if hasattr(images, "columns") else None
    if table is None and not isinstance(images, (str, Path, np.ndarray)):
        images = list(images)  # a generator can be looked at once
    if table is not None:
        given = [(str(path), "") for path in paths_of(table)]
    elif arrays := arrays_of(images):
        source = partial(_from_arrays, arrays, chunk=batch)
        probabilities, failed = judged(run, source, len(arrays), device, views)
        return _in_order(run, [""] * len(arrays), probabilities, failed), probabilities
    else:
        given = in_place(images)
    places = [place for place, (_, reason) in enumerate(given) if not reason]
    paths = [Path(given[place][0]) for place in places]
    probabilities, failed = judged(
        run, lambda policy: decode_chunks(paths, policy, batch), len(paths), device, views
    )
    failed = {places[row]: reason for row, reason in failed.items()}
    failed |= {place: reason for place, (_, reason) in enumerate(given) if reason}
    found = _in_order(run, [path for path, _ in given], probabilities, failed)
    return (found if table is None else found.set_index(table.index)), probabilities


def paths_of(table: "pd.DataFrame") -> list[Path]:
    """The column `path` of a table.

    Raises:
        UsageError: there is none.
    """
    if "path" not in table.columns:
        has = ", ".join(map(str, table.columns))
        raise UsageError(f"the table has no column 'path', but {has}.")
    return [Path(str(path)) for path in table["path"]]


def arrays_of(images: Any) -> list[np.ndarray]:
    """The arrays among what may be paths too; none where it is paths.

    Args:
        images: an array `(N, H, W)` or `(N, H, W, C)`, or a sequence of arrays `(H, W)` or `(H, W, C)`.

    Raises:
        DataError: an array that cannot be many images.
    """
    if isinstance(images, (str, Path)):
        return []
    if isinstance(images, np.ndarray) and images.dtype.kind not in "OUS":
        if images.ndim not in (3, 4):
            raise DataError(
                f"an array of shape {images.shape} is not many images: (N, H, W) or (N, H, W, 3) is needed, "
                "values 0..255; one image alone is image[None]."
            )
        if images.ndim == 3 and images.shape[2] in (3, 4):
            raise DataError(
                f"an array of shape {images.shape} looks like one image; give image[None]. Many grey images "
                "are (N, H, W)."
            )
        return list(images)
    found = [one for one in images if isinstance(one, np.ndarray)]
    if found and len(found) < len(images):
        raise DataError("paths and arrays are mixed; give all images as paths, or all as arrays.")
    return found


def kept_as_files(arrays: Sequence[np.ndarray], folder: Path) -> list[Path]:
    """Arrays as PNG files, named by their pixels, so that the same image is written (and seen) once.

    Args:
        arrays: see `data.decode.from_array`.
        folder: that they lie in; it is made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for image in map(picture_of, arrays):
        name = hashlib.sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).hexdigest()
        path = folder / f"{name}.png"
        if not path.is_file():
            write_whole(path, partial(image.save, format="PNG", compress_level=1))
        paths.append(path)
    return paths


def _from_arrays(arrays: Sequence[np.ndarray], policy: DecodePolicy, chunk: int) -> Iterator[Chunk]:
    for start in range(0, len(arrays), chunk):
        part = arrays[start : start + chunk]
        yield Chunk(
            np.arange(start, start + len(part)), np.stack([from_array(one, policy) for one in part]), {}
        )


def _in_order(
    run: Run, paths: list[str], probabilities: np.ndarray, failed: dict[int, str]
) -> "pd.DataFrame":
    import pandas as pd

    rows = [row for row in range(len(paths)) if row not in failed]
    found = answers(run, [paths[row] for row in rows], probabilities)
    found.index = pd.Index(rows)
    found = found.reindex(range(len(paths)))
    found["path"] = paths
    found["error"] = [failed.get(row, "") for row in range(len(paths))]
    return found
