"""The report as one page of Markdown, for somebody who has never seen the project."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from transferkit.evaluation.report import Decision, Report
from transferkit.reports import figures
from transferkit.reports.tables import name, percent, table, text
from transferkit.strategies.matrix import MATRIX

LISTED_CLASSES = 30  # beyond, tables show the weakest classes only
LISTED_FILES = 20


def write(report: Report, folder: Path) -> None:
    """Write `report.md` and the pictures it shows, in `figures/`, into an existing folder."""
    drawings = _drawings(report)
    (folder / "figures").mkdir(exist_ok=True)
    for file, draw in drawings.items():
        draw(folder / "figures" / file)
    (folder / "report.md").write_text(render(report), encoding="utf-8", newline="\n")


def render(report: Report) -> str:
    """The page as text; its pictures are those that `write` draws."""
    parts = [
        f"# {text(report.title)}",
        _headline(report),
        *(f"> Note: {_clause(remark)}." for remark in report.remarks()),
        _comparison(report),
        "## Why it was trained this way",
        _decision(report),
        "## Class by class",
        _per_class(report),
        _confused(report),
        "## Training",
        _training(report),
        "## Data",
        _data(report),
        _excluded(report),
        "## Time",
        _time(report.seconds),
        "## How to repeat it",
        _repeat(report.environment),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headline(report: Report) -> str:
    split = report.splits[report.headline]
    top1 = f"**Top-1 {percent(split.top1)}** ({_interval(split.top1_ci95)})"
    if len(report.class_names) > 5:
        top5 = f" and **top-5 {percent(split.top5)}** ({_interval(split.top5_ci95)})"
        aside = ""
    else:
        top5 = ""
        aside = f" Top-5 is left out: with {split.top5_k} classes it is 1.0 by definition."
    return (
        f"{top1}{top5} on {split.n} {report.headline} images of {len(report.class_names)} classes, "
        f"with {text(report.backbone)} and the strategy `{report.strategy}`{_of_which(report)}.{aside}"
    )


def _of_which(report: Report) -> str:
    """What of the strategy is in the model, where that is not its end."""
    if report.kept != "linear" or report.strategy == "linear":
        return ""
    return ", of which the linear classifier was kept: what came after it was not better on val"


def _clause(sentence: str) -> str:
    """The sentence without its full stop, to go on with."""
    return text(sentence).rstrip(".")


def _interval(ends: tuple[float, float]) -> str:
    return f"95 % interval {100 * ends[0]:.1f} to {percent(ends[1])}"


def _comparison(report: Report) -> str:
    """What the model is worth beside the two simplest answers."""
    splits = list(report.splits)
    scores: dict[str, Mapping[str, float]] = {
        "always the most frequent class": report.majority_top1,
        "linear classifier": report.linear_top1,
        "**this model**": {split: report.splits[split].top1 for split in splits},
    }
    rows = [
        [label, *(percent(found[split]) if split in found else "" for split in splits)]
        for label, found in scores.items()
    ]
    rows += [_measure(report, label, key) for label, key in MEASURES.items()]
    why = f": {_clause(report.kept_reason)}" if report.kept_reason else ""
    header = ["", *splits]
    return f"{table(header, rows, len(splits))}\n\nKept: the {report.kept} model{why}."


MEASURES = {
    "macro F1": "macro_f1",
    "balanced accuracy": "balanced_accuracy",
    "log-loss (lower is better)": "nll",
    "calibration error, ECE (lower is better)": "ece",
}


def _measure(report: Report, label: str, key: str) -> list[str]:
    return [f"{label} of this model", *(f"{getattr(s, key):.3f}" for s in report.splits.values())]


def _decision(report: Report) -> str:
    decision = report.decision
    rows = [
        [words, *(_cell(decision, amount, side) for side in ("similar", "different"))]
        for amount, words in (("little", "little data"), ("lots", "lots of data"))
    ]
    parts = [
        table(["", "similar to ImageNet", "different from ImageNet"], rows),
        "\n".join(f"- {text(reason)}" for reason in decision.reasons),
        _records(decision.phases),
    ]
    return "\n\n".join(part for part in parts if part)


def _cell(decision: Decision, amount: str, similarity: str) -> str:
    strategy = f"`{MATRIX[similarity, amount]}`"
    here = (amount, similarity) == (decision.amount, decision.similarity)
    return f"**{strategy} ← this data set**" if here else strategy


def _records(rows: tuple[Mapping[str, Any], ...]) -> str:
    """A table of mappings, a column for each key any of them has."""
    if not rows:
        return ""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_value(row.get(key, "")) for key in keys] for row in rows]
    return table([text(key).replace("_", " ") for key in keys], cells)


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value))
    return f"{value:.4g}" if isinstance(value, float) else text(value)


def _per_class(report: Report) -> str:
    split = report.splits[report.headline]
    rows = sorted(enumerate(split.per_class), key=lambda pair: pair[1].f1)
    cells = [
        [str(i), name(row.label), str(row.n)]
        + [f"{fraction:.3f}" for fraction in (row.precision, row.recall, row.f1)]
        for i, row in rows[:LISTED_CLASSES]
    ]
    rest = len(rows) - len(cells)
    more = f" The other {rest} classes are in `metrics.json`." if rest else ""
    header = ["no.", "class", "images", "precision", "recall", "F1"]
    words = f"The {report.headline} split, the weakest classes first.{more}"
    return f"{words}\n\n{table(header, cells, 4)}"


def _confused(report: Report) -> str:
    pairs = report.confused(report.headline)
    if not pairs:
        found = f"No {report.headline} image was taken for another class."
    else:
        rows = [[name(p.label), name(p.predicted), str(p.images), percent(p.share)] for p in pairs]
        header = ["class", "taken for", "images", "share of the class"]
        found = "Confused most often:\n\n" + table(header, rows, 2)
    parts = [found, _picture(CONFUSION, "Confusion matrix")]
    if any(figures.shown(label, i) == f"#{i}" for i, label in enumerate(report.class_names)):
        parts.append("Names that the font of the figure lacks stand there as #no.")
    return "\n\n".join(parts)


def _training(report: Report) -> str:
    drawings = _drawings(report)
    parts = []
    if STRENGTH in drawings:
        parts.append(
            "The linear classifier was fitted with each of these L2 strengths; the dotted one was taken:\n\n"
            + _picture(STRENGTH, "Scores on val by L2 strength")
        )
    if CURVES in drawings:
        parts.append("Fine-tuning, epoch by epoch:\n\n" + _picture(CURVES, "Learning curves"))
    else:
        parts.append("The backbone was not trained: its weights are as they were.")
    return "\n\n".join(parts)


def _data(report: Report) -> str:
    """Images by split, and by class where the classes are few."""
    data = report.data
    totals = {split: sum(counts.values()) for split, counts in data.counts.items()}
    rows = [["**all**", *(f"**{total}**" for total in totals.values())]]
    if data.classes <= LISTED_CLASSES:
        rows += [
            [name(label), *(str(counts.get(label, 0)) for counts in data.counts.values())]
            for label in report.class_names
        ]
    header = ["class", *map(text, totals)]
    words = f"{text(data.name)}: {sum(totals.values())} images of {data.classes} classes."
    return f"{words}\n\n{table(header, rows, len(totals))}"


def _excluded(report: Report) -> str:
    files = report.data.excluded
    if not files:
        return "No file was set aside."
    rows = [[text(path), text(reason)] for path, reason in files[:LISTED_FILES]]
    rest = len(files) - len(rows)
    more = f"\n\nand {rest} more: `excluded.csv`" if rest else ""
    return f"Set aside, {len(files)} files:\n\n{table(['file', 'reason'], rows)}{more}"


def _time(seconds: Mapping[str, float]) -> str:
    rows = [[text(part), f"{spent:.1f}"] for part, spent in seconds.items() if part != "total"]
    if "total" in seconds:
        rows.append(["**total**", f"**{seconds['total']:.1f}**"])
    return table(["part", "seconds"], rows, 1)


def _repeat(environment: Mapping[str, str]) -> str:
    rows = [[text(key), text(value)] for key, value in environment.items()]
    return (
        "```\ntransferkit finetune DATA --recipe RUN/recipe.yaml\n```\n\n"
        "DATA is the folder of images, RUN the folder of this report. It was made with:\n\n"
        + table(["", "version"], rows)
    )


CURVES, STRENGTH, CONFUSION = "learning_curve.png", "strength_curve.png", "confusion.png"


def _drawings(report: Report) -> dict[str, Callable[[Path], None]]:
    """File name -> what draws it, for the figures that this report has numbers for."""
    drawings: dict[str, Callable[[Path], None]] = {
        CONFUSION: partial(figures.draw_confusion, figures.confusion_figure(report, report.headline))
    }
    if figures.learning_curve(report).epochs:
        drawings[CURVES] = partial(figures.draw_learning_curve, figures.learning_curve(report))
    if report.linear_path:
        drawings[STRENGTH] = partial(figures.draw_strength_curve, figures.strength_curve(report))
    return drawings


def _picture(file: str, words: str) -> str:
    return f"![{words}](figures/{file})"
