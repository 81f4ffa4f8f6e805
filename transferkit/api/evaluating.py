"""How well a run does on another folder, joined by class name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transferkit.api.inputs import Data, open_data
from transferkit.api.prediction import check_views, probabilities_of
from transferkit.api.strangers import check_unknown, judged_unknown
from transferkit.cache import cache_root
from transferkit.data.examine import check_usable, examine
from transferkit.data.index import Index
from transferkit.errors import DataError, UsageError
from transferkit.evaluation.multilabel import mean_average_precision
from transferkit.evaluation.unknown import Unknown
from transferkit.evaluation.views import Gain, gain, passes, top1
from transferkit.progress import say
from transferkit.runs import Run

if TYPE_CHECKING:
    import pandas as pd

    from transferkit.evaluation.metrics import SplitMetrics
    from transferkit.evaluation.multilabel import MultiLabelMetrics


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found; `repr` tells it in words.

    Attributes:
        metrics: of all images that could be read; of the kind that the run's data is of.
        predictions: `path,label,split,pred,p,top5`, a row for each.
        failed: path -> reason of the rest, unknown ones among them.
        seen: how many of the images, by content, this run was trained or chosen on; None where it keeps no
            account of them.
        views: what `metrics` and `predictions` are averaged over, see `evaluation.views`.
        plain: metrics without views, where there are any.
        gain: of views in top-1 (mAP where images may have several classes); None without.
        passes: of the network for an image.
        unknown: how well strangeness tells images of none of the classes from these; None where not asked.
    """

    metrics: "SplitMetrics | MultiLabelMetrics"
    predictions: "pd.DataFrame"
    failed: dict[str, str] = field(default_factory=dict)
    seen: int | None = None
    views: str = "none"
    plain: "SplitMetrics | MultiLabelMetrics | None" = None
    gain: Gain | None = None
    passes: int = 1
    unknown: Unknown | None = None

    def __repr__(self) -> str:
        from transferkit.reports import evaluated

        failed = [f"left out: {len(self.failed)} files, see `failed`"] if self.failed else []
        return "\n".join([*evaluated.lines(self), *failed])


def evaluate(
    run: Run | str | Path,
    data: Data,
    *,
    renames: Mapping[str, str] | None = None,
    allow_missing: bool = False,
    split: str | None = None,
    exclude: str | None = None,
    device: str = "auto",
    views: str = "none",
    unknown: "Data | None" = None,
) -> Evaluation:
    """Evaluate a run on a folder of labelled images.

    Args:
        run: a finished run, or its folder.
        data: folder, manifest, archive, DataFrame or name of a data set.
        renames: class name in the data -> the run's name for it.
        allow_missing: accept data that lacks some of the run's classes.
        split: only the images that the folder or manifest gives to this split.
        exclude: file that lists paths to leave out, as `finetune` takes it.
        device: `auto`, `cpu`, `gpu` or `gpu:N`, whatever the run was trained on.
        views: `none`, `flip`, `10crop` or `multiscale`: crops of each image whose logits are averaged.
        unknown: images of none of the classes; their folders may be called anything.

    Raises:
        DataError: classes that do not join by name, or no image that can be read.
        UsageError: a split that the folder does not have, or views that there are not.
    """
    from transferkit.evaluation.labels import join_labels

    check_views(views)
    run = Run.open(run)
    if unknown is not None:
        check_unknown(run, unknown)

    index = _asked_for(run, data, exclude, split)
    number = join_labels(index.labels, run.labels, renames or {}, allow_missing=allow_missing)
    files = index.files
    paths = [index.root / path for path in files["path"]]
    probabilities, failed = probabilities_of(run, paths, device)
    index = replace(index, files=files[~files["path"].map(lambda path: str(index.root / path) in failed)])
    if index.files.empty:
        raise DataError(f"{index.root}: not one of {len(files)} files could be read as an image.")
    metrics, frame = _scored(run, index, number, probabilities, split or "all")
    averaged: dict[str, Any] = {}
    if views != "none":
        viewed = _viewed(run, [path for path in paths if str(path) not in failed], device, views)
        targets = index.targets(number, len(run.labels))
        averaged = {"plain": metrics} | _gained(run, views, probabilities, viewed, targets)
        metrics, frame = _scored(run, index, number, viewed, split or "all")
    took_part, seen = _took_part(run, index.files)
    left_out = zip(index.excluded["path"], index.excluded["reason"], strict=True)
    failed |= {str(index.root / str(path)): str(reason) for path, reason in left_out}
    if unknown is not None and took_part is not None:  # runs without account are refused by `check_unknown`
        known = list(index.files["path"][~took_part])
        averaged["unknown"], left = judged_unknown(run, known, index.root, unknown, device)
        failed |= left
    return Evaluation(metrics, frame, failed, seen, **averaged)


def _asked_for(run: Run, data: Data, exclude: str | None, split: str | None) -> Index:
    """The images that can be read, of one split where that is asked for."""
    examined = examine(open_data(data, exclude, group_by=""), cache_root(), compare=False)
    check_usable(examined)
    index = _of_kind(run, examined.usable)
    return replace(index, files=_of_split(index.files, split))


def _gained(
    run: Run, views: str, plain: np.ndarray, viewed: np.ndarray, targets: np.ndarray
) -> dict[str, Any]:
    """What views brought and took; fields of `Evaluation`."""
    measure = mean_average_precision if run.multilabel else top1
    took = passes(views, int(run.plan["image_size"]))
    return {"views": views, "gain": gain(plain, viewed, targets, measure), "passes": took}


def _viewed(run: Run, paths: Sequence[Path], device: str, views: str) -> np.ndarray:
    found, lost = probabilities_of(run, paths, device, views)
    if lost:
        raise DataError(f"files changed while they were used: {list(lost.items())[:3]}")
    return found


def _of_kind(run: Run, index: Index) -> Index:
    """The index with as many labels for an image as the run knows."""
    if index.multilabel and not run.multilabel:
        raise DataError(
            f"{index.root} has several labels for an image (joined by |), but the run learned from one "
            "label for each image. Give images with one label, or train a run on several."
        )
    if run.multilabel and not index.multilabel:
        say("WARNING: each image has one label here; the other classes of the run count as absent from it.")
    return replace(index, multilabel=run.multilabel)


def _scored(
    run: Run, index: Index, number: Mapping[str, int], probabilities: np.ndarray, split: str
) -> "tuple[SplitMetrics | MultiLabelMetrics, pd.DataFrame]":
    """The scores and the predictions of images whose classes have these numbers in the run."""
    from transferkit.evaluation.metrics import evaluate as score
    from transferkit.evaluation.multilabel import evaluate_multilabel, multilabel_predictions_frame
    from transferkit.evaluation.predictions import predictions_frame

    paths, names = list(index.files["path"]), run.labels
    targets = index.targets(number, len(names))
    if not run.multilabel:
        frame = predictions_frame(paths, targets, split, probabilities=probabilities, class_names=names)
        return score(probabilities, targets, names), frame
    threshold = run.threshold
    frame = multilabel_predictions_frame(
        paths, targets, split, probabilities=probabilities, class_names=names, threshold=threshold
    )
    return evaluate_multilabel(probabilities, targets, names, threshold), frame


def _of_split(files: "pd.DataFrame", split: str | None) -> "pd.DataFrame":
    if split is None:
        return files
    given = sorted(set(files["split"]) - {""})
    if split not in given:
        has = ", ".join(given) or "no train/val/test folders"
        raise UsageError(f"--split {split}: the folder has {has}.")
    return files[files["split"] == split]


def _took_part(run: Run, files: "pd.DataFrame") -> "tuple[np.ndarray | None, int | None]":
    """Which images this run has seen in train or val, by their bytes, and how many; told.

    None if it keeps no account of them.
    """
    if not run.keeps_content:
        say("content.csv is not in the run: whether it has seen these images was not checked")
        return None, None
    found = files["sha256"].isin(run.seen).to_numpy(bool)
    if seen := int(found.sum()):
        say(f"WARNING: {seen} of {len(files)} images took part in this run's training or choosing.")
    return found, seen
