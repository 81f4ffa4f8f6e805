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


def predict(run: Run, paths: Sequence[str | Path]) -> "tuple[pd.DataFrame, dict[str, str]]":
    """Predictions for files, and for all images in folders.

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
    probabilities, failed = probabilities_of(run, files)
    read = [str(path) for path in files if str(path) not in failed]
    if not read:
        return pd.DataFrame(columns=["path", "pred", "p", "top5"]), failed
    unknown = np.zeros(len(read), np.int64)
    frame = predictions_frame(read, unknown, "", probabilities=probabilities, class_names=names)
    return frame[["path", "pred", "p", "top5"]], failed


def probabilities_of(run: Run, files: Sequence[Path]) -> tuple[np.ndarray, dict[str, str]]:
    """Float `(n, C)` for the files that can be read, and path -> reason for the rest."""
    recipe = run.recipe
    prepare(recipe.device, recipe.precision)
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
    """The run's model, safe mode on."""
    import keras

    return keras.models.load_model(run.folder / "model.keras", compile=False)


def _expanded(paths: Sequence[str | Path]) -> list[Path]:
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            files += sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        elif path.exists():
            files.append(path)
        else:
            raise UsageError(f"no such file or folder: {path}")
    if not files:
        raise UsageError(f"no files in {', '.join(map(str, paths))}")
    return files
