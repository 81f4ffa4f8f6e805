"""What a run says of images, on new files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transferkit.data.decode import DecodePolicy, decode_chunks
from transferkit.errors import UsageError
from transferkit.progress import task
from transferkit.runs import Run
from transferkit.training.bank import predict as forward
from transferkit.training.device import prepare

if TYPE_CHECKING:
    import pandas as pd


def predict(
    run: Run, paths: Sequence[str | Path], *, device: str = "auto"
) -> "tuple[pd.DataFrame, dict[str, str]]":
    """Predictions for files, and for all images in folders.

    Args:
        run: a finished run.
        paths: files and folders.
        device: `auto`, `cpu`, `gpu` or `gpu:N`, whatever the run was trained on.

    Returns:
        A frame `path,pred,p,top5` with a row for each file that could be read, and path -> reason
        for those that could not.

    Raises:
        UsageError: a path that does not exist.
    """
    import pandas as pd

    from transferkit.evaluation.predictions import predictions_frame

    files = _expanded(paths)
    names = run.labels
    probabilities, failed = probabilities_of(run, files, device)
    read = [str(path) for path in files if str(path) not in failed]
    if not read:
        return pd.DataFrame(columns=["path", "pred", "p", "top5"]), failed
    unknown = np.zeros(len(read), np.int64)
    frame = predictions_frame(read, unknown, "", probabilities=probabilities, class_names=names)
    return frame[["path", "pred", "p", "top5"]], failed


def probabilities_of(run: Run, files: Sequence[Path], device: str) -> tuple[np.ndarray, dict[str, str]]:
    """Float `(n, C)` for the files that can be read, and path -> reason for the rest."""
    recipe = run.recipe
    prepare(device, "float32")  # the saved layers know their own precision
    model = load_model(run)
    policy = DecodePolicy(size_px=int(run.plan["image_size"]), resize=recipe.resize)
    parts = [np.zeros((0, len(run.labels)), np.float32)]
    failed: dict[str, str] = {}
    with task("predict", len(files)) as bar:
        for chunk in decode_chunks(files, policy, recipe.batch_size):
            failed |= {str(files[row]): reason for row, reason in chunk.failed.items()}
            if len(chunk.rows):
                parts.append(forward(model, chunk.images, recipe.batch_size))
            bar.advance(len(chunk.rows) + len(chunk.failed))
    return np.concatenate(parts), failed


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


def _expanded(paths: Sequence[str | Path]) -> list[Path]:
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if not p.is_dir() and not p.name.startswith("."))
            files += [p for p in inside if p.is_file() or p.is_symlink()]  # a broken link gets its error
        elif path.is_file():
            files.append(path)
        elif path.exists():
            raise UsageError(f"{path} is a pipe or device; files and folders are needed.")
        else:
            raise UsageError(f"no such file or folder: {path}")
    if not files:
        raise UsageError(f"no files in {', '.join(map(str, paths))}")
    return files
