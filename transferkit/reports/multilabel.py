"""The parts of a report that images with several classes, or none, need in place of others."""

from transferkit.evaluation.report import Report
from transferkit.reports.tables import LISTED_CLASSES, name, percent, table

DETAILS = {
    "macro F1": "macro_f1",
    "micro F1": "micro_f1",
    "exact match": "exact_match",
    "binary cross-entropy, BCE (lower is better)": "bce",
}


def scores(report: Report) -> tuple[str, str]:
    """The first words of the page, and what is to be said of them after the first sentence."""
    return (
        f"**mAP {percent(report.score(report.headline))}**",
        " mAP is the mean of the classes' average precisions: 100 % where each ranks its own images first. "
        "Top-1 and top-5 are left out: an image may have several classes, or none.",
    )


def explained(report: Report) -> str:
    """What the scores of the comparison mean, and which of them hang on the threshold."""
    alone = " On val these are optimistic, since it chose the threshold." if "val" in report.splits else ""
    return (
        f"A class is predicted where its probability is at least {_threshold(report)}. "
        "Macro F1 counts all classes alike, micro F1 all decisions; exact match is the share of images "
        f"with no wrong and no missing class.{alone} mAP and BCE need no threshold."
    )


def per_class(report: Report) -> str:
    """A row for each class, the lowest average precision first, those without images last."""
    split = report.multi_label(report.headline)
    rows = sorted(enumerate(split.per_class), key=lambda pair: 2.0 if pair[1].ap is None else pair[1].ap)
    cells = [
        [str(number), name(row.label), str(row.n), "–" if row.ap is None else f"{row.ap:.3f}"]
        + [f"{fraction:.3f}" for fraction in (row.precision, row.recall, row.f1)]
        for number, row in rows[:LISTED_CLASSES]
    ]
    rest = len(rows) - len(cells)
    more = f" The other {rest} classes are in `metrics.json`." if rest else ""
    absent = " AP is – where no image has the class." if any(row.ap is None for _, row in rows) else ""
    words = (
        f"The {report.headline} split, the weakest classes first. AP is the average precision; precision, "
        f"recall and F1 are at the threshold {_threshold(report)}.{absent}{more}"
    )
    header = ["no.", "class", "images", "AP", "precision", "recall", "F1"]
    return f"{words}\n\n{table(header, cells, 5)}"


def _threshold(report: Report) -> str:
    return f"{report.multi_label(report.headline).threshold:.3g}, chosen on val"
