"""The model beside the simplest answers: the rows that Markdown and the page both show."""

from collections.abc import Mapping
from dataclasses import dataclass

from transferkit.evaluation.paired import Against
from transferkit.evaluation.report import MEASURES, Report
from transferkit.reports import multilabel

BASELINES = {"top1": "always train's most frequent class", "map": "the same answer for every image"}
BLIND_TOP5 = "always train's five most frequent classes"
PIXELS = "top-1 of logistic regression on 16 x 16 pixels"
DETAILS = {
    "macro F1": "macro_f1",
    "balanced accuracy": "balanced_accuracy",
    "log-loss (lower is better)": "nll",
    "calibration error, ECE (lower is better)": "ece",
}


@dataclass(frozen=True)
class Beside:
    """A row.

    Attributes:
        label: what was measured, and of whom; a name of a folder may be in it.
        values: by split; one that has none is left empty.
        share: whether they are fractions that are shown as percentages.
        own: whether it is the model's own in the measure it is judged by.
    """

    label: str
    values: Mapping[str, float]
    share: bool = True
    own: bool = False


def beside(report: Report) -> list[Beside]:
    """The rows, the model itself last of those of one measure."""
    measure, splits = MEASURES[report.measure], list(report.splits)
    own = {split: report.score(split) for split in splits}
    rows = [
        *_earlier(report),
        Beside(f"{measure} of {BASELINES[report.measure]}", report.baseline_score),
        Beside(PIXELS, report.pixels_score),
        Beside(f"{measure} of the linear classifier", report.linear_score),
        Beside(f"{measure} of this model", own, own=True),
    ]
    if report.linear_top5:
        top5 = {split: report.single_label(split).top5 for split in splits}
        rows += [
            *_earlier_top5(report),
            Beside(f"top-5 of {BLIND_TOP5}", report.baseline_top5),
            Beside("top-5 of the linear classifier", report.linear_top5),
            Beside("top-5 of this model", top5),
        ]
    for label, key in (multilabel.DETAILS if report.multilabel else DETAILS).items():
        found = {split: float(getattr(scores, key)) for split, scores in report.splits.items()}
        rows.append(Beside(f"{label} of this model", found, share=False))
    return [row for row in rows if row.values]


def _earlier(report: Report) -> list[Beside]:
    found = report.against
    return [] if found is None else [_of_earlier(found, "top-1", found.top1, report.headline)]


def _earlier_top5(report: Report) -> list[Beside]:
    found = report.against
    if found is None or found.top5 is None:
        return []
    return [_of_earlier(found, "top-5", found.top5, report.headline)]


def _of_earlier(found: Against, measure: str, value: float, split: str) -> Beside:
    return Beside(f"{measure} of {found.name} ({found.paired.n} images of both)", {split: value})
