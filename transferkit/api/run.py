"""A run as a notebook uses it: its report, and what its classifier says of other images."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transferkit import runs
from transferkit.api.showing import ReportView
from transferkit.reports import record

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from transferkit.api.evaluating import Evaluation
    from transferkit.api.explaining import Explanation
    from transferkit.api.inputs import Data


class Run(runs.Run):
    """A finished run: its folder's files as values, and its classifier at work."""

    @property
    def report(self) -> ReportView:
        """What the run found; in a notebook a table and figures, printed the same in words.

        Raises:
            DataError: the run is of an earlier version, or damaged.
        """
        return ReportView(self.folder, record.read(self.folder))

    def predict(
        self,
        images: "str | Path | Iterable[Any] | np.ndarray | pd.DataFrame",
        *,
        views: str = "none",
        sets: bool = False,
        reject: bool = False,
        device: str = "auto",
    ) -> "pd.DataFrame":
        """What the classifier says, a row for each image, in their order.

        Args:
            images: a path or paths of files and folders; an array `(N, H, W, 3)` or `(N, H, W)`, or a
                sequence of arrays of any sizes, RGB or grey, values 0..255; or a DataFrame with a column
                `path`, whose index the answer has.
            views: `none`, `flip`, `10crop` or `multiscale`: crops of each image whose logits are averaged.
            sets: name the set of classes too that holds the right one in the share of images that the run
                was asked for (`target_coverage`).
            reject: say of each answer whether it is as sure as the precision needs that the run was asked
                for (`target_precision`).
            device: `auto`, `cpu`, `gpu` or `gpu:N`.

        Returns:
            `path,pred,p,top5,error`: the class, its probability, the five most probable joined by a vertical
            bar; `error` says why an image has none of these, "" for the rest. `path` is "" for arrays.
            `set` and `accepted` where they are asked for.

        Raises:
            UsageError: none of the paths is there; or the run has no such sets or threshold.
            DataError: an array that is no image.
        """
        from transferkit.api.images import predict_images
        from transferkit.api.sureness import check_sureness, sureness

        check_sureness(self, sets=sets, reject=reject)
        found, probabilities = predict_images(self, images, views=views, device=device)
        rows = (found["error"] == "").to_numpy()
        for column, values in sureness(self, probabilities, sets=sets, reject=reject).items():
            found[column] = None
            found.loc[rows, column] = values
        return found

    def evaluate(
        self,
        data: "Data",
        *,
        renames: Mapping[str, str] | None = None,
        allow_missing: bool = False,
        split: str | None = None,
        exclude: str | None = None,
        device: str = "auto",
        views: str = "none",
        unknown: "Data | None" = None,
    ) -> "Evaluation":
        """How well the classifier does on other labelled images; see `transferkit.evaluate`."""
        from transferkit.api.evaluating import evaluate

        return evaluate(
            self,
            data,
            renames=renames,
            allow_missing=allow_missing,
            split=split,
            exclude=exclude,
            device=device,
            views=views,
            unknown=unknown,
        )

    def explain(
        self,
        images: "str | Path | Iterable[str | Path]",
        *,
        stage: str | None = None,
        filters: bool = False,
        device: str = "auto",
    ) -> "Explanation":
        """What spoke for the answers on some files, and what they resemble; see `transferkit.explain`."""
        from transferkit.api.explaining import explain

        return explain(self, images, stage=stage, filters=filters, device=device)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"


def load(folder: str | Path) -> Run:
    """A finished run, from its folder.

    Raises:
        UsageError: no such folder, or not one that a run wrote.
    """
    opened = Run.open(folder)
    assert isinstance(opened, Run)
    return opened
