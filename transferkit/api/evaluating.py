"""How well a run does on another folder, joined by class name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transferkit.api.inputs import open_data
from transferkit.api.prediction import probabilities_of
from transferkit.errors import DataError, UsageError
from transferkit.progress import say
from transferkit.runs import Run

if TYPE_CHECKING:
    import pandas as pd

    from transferkit.evaluation.metrics import SplitMetrics


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        metrics: of all images that could be read.
        predictions: `path,label,split,pred,p,top5`, a row for each.
        failed: path -> reason of the rest.
        seen: how many of the images, by content, this run was trained or chosen on.
    """

    metrics: "SplitMetrics"
    predictions: "pd.DataFrame"
    failed: dict[str, str] = field(default_factory=dict)
    seen: int = 0


def evaluate(
    run: Run,
    data: str | Path,
    *,
    renames: Mapping[str, str] | None = None,
    allow_missing: bool = False,
    split: str | None = None,
    device: str = "auto",
) -> Evaluation:
    """Evaluate a run on a folder of labelled images.

    Args:
        run: a finished run.
        data: folder or name of a data set.
        renames: class name in the data -> the run's name for it.
        allow_missing: accept data that lacks some of the run's classes.
        split: only the images that the folder gives to this split.
        device: `auto`, `cpu`, `gpu` or `gpu:N`, whatever the run was trained on.

    Raises:
        DataError: classes that do not join by name, or no image that can be read.
        UsageError: a split that the folder does not have.
    """
    from transferkit.evaluation.labels import join_labels
    from transferkit.evaluation.metrics import evaluate as score
    from transferkit.evaluation.predictions import predictions_frame

    index = open_data(data)
    files = _of_split(index.files, split)
    present = sorted(files["label"].unique())
    number = join_labels(present, run.labels, renames or {}, allow_missing=allow_missing)
    probabilities, failed = probabilities_of(run, [index.root / path for path in files["path"]], device)
    read = files[~files["path"].map(lambda path: str(index.root / path) in failed)]
    if read.empty:
        raise DataError(f"{data}: not one of {len(files)} files could be read as an image.")
    labels = read["label"].map(number).to_numpy(dtype=np.int64)
    frame = predictions_frame(
        list(read["path"]),
        labels,
        split or "all",
        probabilities=probabilities,
        class_names=run.labels,
    )
    seen = _seen(run, read)
    if seen:
        say(f"WARNING: {seen} of {len(read)} images took part in this run's training or choosing.")
    left_out = zip(index.excluded["path"], index.excluded["reason"], strict=True)
    failed |= {str(index.root / str(path)): str(reason) for path, reason in left_out}
    return Evaluation(score(probabilities, labels, run.labels), frame, failed, seen)


def _of_split(files: "pd.DataFrame", split: str | None) -> "pd.DataFrame":
    if split is None:
        return files
    given = sorted(set(files["split"]) - {""})
    if split not in given:
        has = ", ".join(given) or "no train/val/test folders"
        raise UsageError(f"--split {split}: the folder has {has}.")
    return files[files["split"] == split]


def _seen(run: Run, files: "pd.DataFrame") -> int:
    """Images whose bytes this run has seen in train or val; 0 if it has kept no account of them."""
    import pandas as pd

    if not (run.folder / "content.csv").is_file():
        say("content.csv is not in the run: whether it has seen these images was not checked")
        return 0
    known = pd.read_csv(run.folder / "content.csv", dtype=str)
    return int(files["sha256"].isin(set(known.loc[known["split"] != "test", "sha256"])).sum())
