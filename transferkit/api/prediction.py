"""What a run says of images, on new files."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transferkit.api.sureness import check_sureness, sureness
from transferkit.data.decode import Chunk, DecodePolicy, decode_chunks
from transferkit.errors import DataError, UsageError, nearest_first
from transferkit.evaluation import VIEWS
from transferkit.evaluation.views import averaged, scales_of
from transferkit.progress import task
from transferkit.runs import Run
from transferkit.training.bank import predict as forward
from transferkit.training.device import prepare

if TYPE_CHECKING:
    import pandas as pd


def predict(
    run: Run | str | Path,
    paths: str | Path | Iterable[str | Path],
    *,
    device: str = "auto",
    views: str = "none",
    sets: bool = False,
    reject: bool = False,
) -> "tuple[pd.DataFrame, dict[str, str]]":
    """Predictions for files, and for all images in folders.

    Args:
        run: a finished run, or its folder.
        paths: files and folders.
        device: `auto`, `cpu`, `gpu` or `gpu:N`, whatever the run was trained on.
        views: `none`, `flip`, `10crop` or `multiscale`, see `evaluation.views`.
        sets: name the set of classes too that holds the right one in the share of images that the run was
            asked for (`target_coverage`).
        reject: say of each answer whether it is as sure as the precision needs that the run was asked for
            (`target_precision`); with views the threshold is still that of plain images.

    Returns:
        A frame `path,pred,p,top5` (and `set`, classes joined by a vertical bar, and `accepted`) with a row
        for each file that could be read, and path -> reason for those that could not. For multi-label data
        `pred` joins the classes over the threshold.

    Raises:
        UsageError: not one of the paths exists; views that there are not, or sets or a threshold that the
            run has not.
    """
    check_views(views)
    run = Run.open(run)
    check_sureness(run, sets=sets, reject=reject)
    files, missing = expanded(paths)
    probabilities, failed = probabilities_of(run, files, device, views)
    read = [str(path) for path in files if str(path) not in failed]
    frame = answers(run, read, probabilities)
    for column, values in sureness(run, probabilities, sets=sets, reject=reject).items():
        frame[column] = values
    return frame, failed | missing


def answers(run: Run, paths: Sequence[str], probabilities: np.ndarray) -> "pd.DataFrame":
    """`path,pred,p,top5` for the probabilities `(n, C)` of some images."""
    import pandas as pd

    from transferkit.evaluation.multilabel import multilabel_predictions_frame
    from transferkit.evaluation.predictions import predictions_frame

    columns, names = ["path", "pred", "p", "top5"], run.labels
    if not len(paths):
        return pd.DataFrame(columns=columns)
    given: dict[str, Any] = {"probabilities": probabilities, "class_names": names}
    if run.multilabel:
        unknown = np.zeros((len(paths), len(names)), np.float32)
        frame = multilabel_predictions_frame(paths, unknown, "", threshold=run.threshold, **given)
    else:
        frame = predictions_frame(paths, np.zeros(len(paths), np.int64), "", **given)
    return frame[columns]


def check_views(views: str) -> None:
    """Refuse views that there are not.

    Raises:
        UsageError: says what there is.
    """
    if views not in VIEWS:
        allowed = ", ".join(nearest_first(views, VIEWS))
        raise UsageError(f"views {views!r} are not known. Allowed: {allowed}.")


def probabilities_of(
    run: Run, files: Sequence[Path], device: str, views: str = "none"
) -> tuple[np.ndarray, dict[str, str]]:
    """Float `(n, C)` for the files that can be read, and path -> reason for the rest.

    Args:
        run: a finished run.
        files: images.
        device: see `predict`.
        views: see `evaluation.views`.
    """
    found, failed = judged(run, lambda policy: _from_files(run, files, policy), len(files), device, views)
    return found, {str(files[row]): reason for row, reason in failed.items()}


def _from_files(run: Run, files: Sequence[Path], policy: DecodePolicy) -> Iterator[Chunk]:
    return decode_chunks(files, policy, run.recipe.batch_size)


def judged(
    run: Run, source: Callable[[DecodePolicy], Iterator[Chunk]], total: int, device: str, views: str = "none"
) -> tuple[np.ndarray, dict[int, str]]:
    """Float `(n, C)` for the images of a source that can be read, and row -> reason for the rest.

    Args:
        run: a finished run.
        source: gives the images as a policy makes them square, chunk by chunk; the same ones each time.
        total: how many images.
        device: see `predict`.
        views: see `evaluation.views`.

    Raises:
        DataError: an image could be read once and not again.
    """
    recipe, plan = run.recipe, run.plan
    prepare(device, "float32")  # the saved layers know their own precision
    model = kept_model(run, device)
    # Runs of before the plan decided this have it in the recipe.
    policy = DecodePolicy(size_px=int(plan["image_size"]), resize=plan.get("resize", recipe.resize))
    found: list[np.ndarray] = []
    failed: list[dict[int, str]] = []
    for scale in scales_of(views, policy.size_px):
        larger = policy if scale.side is None else policy.whole_at(scale.side)
        parts = [np.zeros((0, len(run.labels)), np.float32)]
        bad: dict[int, str] = {}
        size = f" at {scale.side} px" if scale.side else ""
        crops = f", {len(scale.windows)} crops of each" if len(scale.windows) > 1 else ""
        with task(f"predict{size}{crops}", total) as bar:
            for chunk in source(larger):
                bad |= chunk.failed
                if len(chunk.rows):
                    cuts = [window.cut(chunk.images, policy.size_px) for window in scale.windows]
                    seen = [forward(model, np.ascontiguousarray(cut), recipe.batch_size) for cut in cuts]
                    parts.append(seen[0] if len(seen) == 1 else averaged(np.stack(seen), run.multilabel))
                bar.advance(len(chunk.rows) + len(chunk.failed))
        failed.append(bad)
        found.append(np.concatenate(parts))
    if changed := sorted({row for one in failed for row in one if any(row not in each for each in failed)}):
        raise DataError(
            f"{len(changed)} files changed while they were used, such as the one of row {changed[0]}"
        )
    return found[0] if len(found) == 1 else averaged(np.stack(found), run.multilabel), failed[0]


def load_model(run: Run) -> Any:
    """The run's model, safe mode on.

    Raises:
        DataError: it cannot be loaded.
    """
    import keras

    try:
        return keras.models.load_model(run.folder / "model.keras", compile=False)
    except Exception as error:  # zip, HDF5, JSON and Keras each have their own
        raise run.damaged("model.keras", error) from error


def kept_model(run: Run, device: str) -> Any:
    """The run's model; the last one is at hand still, unless its file was changed. Not to be built upon.

    A notebook asks one classifier again and again, and a large one takes seconds to load and to trace.

    Raises:
        DataError: it cannot be loaded.
    """
    try:
        found = (run.folder / "model.keras").stat()
    except OSError as error:
        raise run.damaged("model.keras", error) from error
    key = (run.folder.resolve(), found.st_ino, found.st_mtime_ns, found.st_size, device)
    if key not in _KEPT:
        model = load_model(run)
        _KEPT.clear()
        _KEPT[key] = model
    return _KEPT[key]


_KEPT: dict[tuple[Any, ...], Any] = {}


def expanded(paths: str | Path | Iterable[str | Path]) -> tuple[list[Path], dict[str, str]]:
    """The files among paths and in folders, and path -> reason of what is no file to read.

    Args:
        paths: one, or several.

    Raises:
        UsageError: nothing is there.
    """
    found = in_place(paths)
    return [Path(path) for path, reason in found if not reason], {p: reason for p, reason in found if reason}


def in_place(paths: str | Path | Iterable[str | Path]) -> list[tuple[str, str]]:
    """As `expanded`, in the order given: a path, and "" or why it is no file to read.

    Raises:
        UsageError: nothing is there.
    """
    # A string is a sequence of strings too: "/" would be one of them.
    paths = [paths] if isinstance(paths, (str, Path)) else list(paths)
    found = [one for path in map(Path, paths) for one in _looked_at(path)]
    if all(reason for _, reason in found):
        told = f"{found[0][0]}: {found[0][1]}" if found else f"no files in {', '.join(map(str, paths))}"
        raise UsageError(told)
    return found


def _looked_at(path: Path) -> Iterator[tuple[str, str]]:
    """A file, or the files in a folder, each with "" or why it is none to read."""
    for file in sorted(_below(path)) if path.is_dir() else [path]:
        if file.name.startswith(".") and file != path:
            continue
        printable = str(file).encode("utf-8", "backslashreplace").decode()
        if printable != str(file):  # neither a table nor a terminal could show it
            yield printable, "its name is not UTF-8 text: rename it"
        elif file.is_file() or (file.is_symlink() and path.is_dir()):  # a broken link gets its error
            yield str(file), ""
        elif file.exists():
            yield str(file), "a pipe, socket or device; files are needed"
        else:
            yield str(file), "no such file"


def _below(folder: Path) -> Iterator[Path]:
    """Everything below a folder that is no folder; links are followed, no folder entered twice."""
    entered: set[Path] = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        real = Path(here).resolve()
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        yield from (Path(here, name) for name in files)
