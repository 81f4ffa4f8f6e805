"""Runs beside each other, on the images that all of them judged."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from transferkit.errors import UsageError
from transferkit.evaluation.comparison import Compared, Comparison
from transferkit.evaluation.metrics import wilson
from transferkit.evaluation.paired import paired
from transferkit.runs import Run


def compare(folders: Sequence[str | Path]) -> Comparison:
    """Two runs or more on the test images that all of them judged (val's, where one has no test).

    Images are known by their content, so runs on moved or renamed files compare too.

    Raises:
        UsageError: fewer than two runs, one that is not, of images of several classes, or no image of all.
        DataError: a run is damaged.
    """
    if len(folders) < 2:
        raise UsageError("compare needs two runs at least, the one to compare with first.")
    runs = [Run.open(folder) for folder in folders]
    for run in runs:
        if run.multilabel:
            raise UsageError(
                f"{run.folder}: its images may have several classes; there is no top-1 to compare."
            )
    frames = [run.judged.assign(right=lambda one: one["label"] == one["pred"]) for run in runs]
    split = "test" if all("test" in set(frame["split"]) for frame in frames) else "val"
    frames = [frame[frame["split"] == split].set_index("sha256") for frame in frames]
    shared = sorted(set.intersection(*(set(frame.index) for frame in frames)))
    if not shared:
        raise UsageError(
            f"no image of {split} was judged by all {len(runs)} runs. Train them on the same data with "
            "the same "
            "--seed, or with --splits of the first run."
        )
    right = [frame.loc[shared, "right"].to_numpy(bool) for frame in frames]
    found = [
        _compared(run, own, right[0], number)
        for number, (run, own) in enumerate(zip(runs, right, strict=True))
    ]
    every = set.union(*(set(frame.index) for frame in frames))
    return Comparison(runs=tuple(found), images=len(shared), split=split, left_out=len(every) - len(shared))


def _compared(run: Run, right: np.ndarray, first: np.ndarray, number: int) -> Compared:
    cost = run.numbers.get("cost") or {}
    low, high = wilson(int(right.sum()), len(right))
    return Compared(
        name=run.folder.name,
        backbone=str(run.plan.get("backbone", "")),
        strategy=str(run.plan["strategy"]),
        kept=str(run.metrics.get("kept", "")),
        top1=float(right.mean()),
        low=low,
        high=high,
        macs=cost.get("macs"),
        parameters=cost.get("parameters"),
        file_bytes=(run.folder / "model.keras").stat().st_size,
        against_first=paired(first, right) if number else None,
    )
