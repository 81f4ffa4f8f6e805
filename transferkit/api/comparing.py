"""Runs beside each other, on the images that all of them judged."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from transferkit.errors import UsageError
from transferkit.evaluation.comparison import Compared, Comparison
from transferkit.evaluation.labels import joined
from transferkit.evaluation.metrics import wilson
from transferkit.evaluation.paired import Paired, holm, paired
from transferkit.runs import Run

if TYPE_CHECKING:
    import pandas as pd


def compare(folders: Sequence[str | Path | Run]) -> Comparison:
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
    frames = [run.judged for run in runs]
    split = "test" if all("test" in set(frame["split"]) for frame in frames) else "val"
    found = answered([frame[frame["split"] == split] for frame in frames])
    if not found.images:
        raise UsageError(
            f"no image of {split} was judged by all {len(runs)} runs with the same label. Train them on the "
            "same data with the same --seed, or with --splits of the first run."
        )
    each = [paired(found.right[0], own) for own in found.right[1:]]
    if len(each) > 1:
        adjusted = holm([one.p for one in each])
        each = [replace(one, p_holm=p) for one, p in zip(each, adjusted, strict=True)]
    against = [None, *each]
    names = names_of([run.folder for run in runs])
    compared = map(_compared, runs, names, found.right, against)
    return Comparison(
        runs=tuple(compared),
        images=found.images,
        split=split,
        left_out=found.left_out,
        relabelled=found.relabelled,
        grouped=any("group" in (run.numbers.get("data", {}).get("intersections") or {}) for run in runs),
    )


def names_of(folders: Sequence[Path]) -> list[str]:
    """Of each folder its name, behind as many of those above it as tell different ones apart."""
    parts = [folder.resolve().parts for folder in folders]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-depth:]) for one in parts]
        if len(set(names)) == len(set(parts)):
            break
    return names


class Answered(NamedTuple):
    """The same images judged by several runs.

    Attributes:
        right: of each run, which images it has right, bool `(n,)`.
        within: of each run, of which images the class is among its five most probable, bool `(n,)`.
        left_out: images that only some of them judged.
        relabelled: images whose labels differ between them, which no run is judged by.
    """

    right: list[np.ndarray]
    within: list[np.ndarray]
    left_out: int
    relabelled: int

    @property
    def images(self) -> int:
        """N."""
        return len(self.right[0])


def answered(frames: "Sequence[pd.DataFrame]") -> Answered:
    """What each of several runs has right of the images that all of them judged.

    Args:
        frames: `sha256,label,pred,top5` of each, see `Run.judged`.
    """
    keyed = [frame.drop_duplicates("sha256").set_index("sha256") for frame in frames]
    every = set.union(*(set(frame.index) for frame in keyed))
    shared = sorted(set.intersection(*(set(frame.index) for frame in keyed)))
    labels = np.stack([keyed[0].loc[shared, "label"], *(one.loc[shared, "label"] for one in keyed[1:])])
    agreed = (labels == labels[0]).all(axis=0)
    judged = [one.loc[shared][agreed] for one in keyed]
    right = [(one["pred"] == one["label"]).to_numpy(bool) for one in judged]
    within = [
        np.array([label in joined(top5) for label, top5 in zip(one["label"], one["top5"], strict=True)], bool)
        for one in judged
    ]
    return Answered(right, within, len(every) - len(shared), int((~agreed).sum()))


def _compared(run: Run, name: str, right: np.ndarray, against: Paired | None) -> Compared:
    cost = run.numbers.get("cost") or {}
    low, high = wilson(int(right.sum()), len(right))
    return Compared(
        name=name,
        backbone=str(run.plan.get("backbone", "")),
        strategy=str(run.plan["strategy"]),
        kept=str(run.metrics.get("kept", "")),
        top1=float(right.mean()),
        low=low,
        high=high,
        macs=cost.get("macs"),
        parameters=cost.get("parameters"),
        file_bytes=(run.folder / "model.keras").stat().st_size,
        against_first=against,
    )
