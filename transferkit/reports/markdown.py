"""The report as one page of Markdown, for somebody who has never seen the project."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from transferkit.evaluation.crossval import CrossValidation
from transferkit.evaluation.remarks import by_weakness, shares_of
from transferkit.evaluation.report import MEASURES, Decision, Report
from transferkit.reports import multilabel
from transferkit.reports.beside import Beside, beside
from transferkit.reports.data import data_section
from transferkit.reports.decision import (
    augment_section,
    balance_section,
    freeze_section,
    stages_section,
    tried_section,
)
from transferkit.reports.diagnosis import diagnosis_section
from transferkit.reports.sections import next_steps
from transferkit.reports.tables import LISTED_CLASSES, clause, name, percent, table, text
from transferkit.reports.trust import (
    against_words,
    cost_section,
    doubts_section,
    growth_section,
    mistakes_section,
    over_linear_words,
    trust_sections,
)
from transferkit.strategies.matrix import MATRIX


def render(report: Report, drawn: Collection[str] = ()) -> str:
    """The page as text.

    Args:
        report: its numbers.
        drawn: names of the figures that stand in `figures/`, see `pages.drawn`.
    """
    parts = [
        f"# {text(report.title)}",
        _headline(report),
        *(f"> Note: {clause(remark)}." for remark in report.remarks()),
        "## What to do next",
        "\n".join(f"- {text(step)}" for step in next_steps(report)),
        "## Beside the simplest answers",
        _comparison(report),
        _cross_validation(report.cross_validation),
        "## Why it was trained this way",
        _decision(report),
        tried_section(report.decision.tried),
        stages_section(report.decision),
        freeze_section(report.decision.freeze),
        balance_section(report.decision),
        augment_section(report.decision),
        "## Class by class",
        *(
            [multilabel.per_class(report)]
            if report.multilabel
            else [_per_class(report), _confused(report, drawn)]
        ),
        mistakes_section(report),
        doubts_section(report),
        "## Training",
        _training(report, drawn),
        diagnosis_section(report.diagnosis),
        *trust_sections(report, drawn),
        "## Data",
        data_section(report),
        growth_section(report, drawn),
        cost_section(report),
        "## Time",
        _time(report.seconds),
        "## How to use and repeat it",
        _repeat(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headline(report: Report) -> str:
    scores, aside = multilabel.scores(report) if report.multilabel else _scores(report)
    return (
        f"{scores} on {report.splits[report.headline].n} {report.headline} images of "
        f"{len(report.class_names)} classes, with {text(report.backbone)} and the strategy "
        f"`{report.strategy}`{_of_which(report)}.{aside}"
    )


def _scores(report: Report) -> tuple[str, str]:
    """The first words, and a sentence to end with, or nothing."""
    split = report.single_label(report.headline)
    top1 = f"**Top-1 {percent(split.top1)}** ({_interval(split.top1_ci95)})"
    if len(report.class_names) > 5:
        return f"{top1} and **top-5 {percent(split.top5)}** ({_interval(split.top5_ci95)})", ""
    return top1, f" Top-5 is left out: with {split.top5_k} classes it is 1.0 by definition."


def _of_which(report: Report) -> str:
    """What of the strategy is in the model, where that is not its end."""
    if report.kept not in ("linear", "multistage") or report.kept == report.strategy:
        return ""
    what = {"linear": "linear classifier", "multistage": "classifier on several stages"}[report.kept]
    return f", of which the {what} was kept: what came after it was not better on val"


def _interval(ends: tuple[float, float]) -> str:
    return f"95 % interval {_range(ends)}"


def _range(ends: tuple[float, float]) -> str:
    return f"{100 * ends[0]:.1f} to {percent(ends[1])}"


def _comparison(report: Report) -> str:
    """What the model is worth beside the two simplest answers."""
    splits = list(report.splits)
    why = f": {clause(report.kept_reason)}" if report.kept_reason else ""
    parts = [
        table(["", *splits], [_beside(row, splits) for row in beside(report)], len(splits)),
        multilabel.explained(report) if report.multilabel else "",
        text(over_linear_words(report)),
        text(against_words(report.against)) if report.against else "",
        f"Kept: the {report.kept} model{why}.",
    ]
    return "\n\n".join(part for part in parts if part)


def _beside(row: Beside, splits: Sequence[str]) -> list[str]:
    shown = percent if row.share else "{:.3f}".format
    label = f"**{text(row.label)}**" if row.own else text(row.label)
    return [label, *(shown(row.values[split]) if split in row.values else "" for split in splits)]


def _cross_validation(found: Mapping[str, CrossValidation]) -> str:
    """Every fold's score, with their mean."""
    if not found:
        return ""
    rows = [
        [
            f"{text(phase)}, {MEASURES[one.measure]}",
            percent(one.mean),
            _range(one.ci95),
            ", ".join(f"{100 * score:.1f}" for score in one.scores),
            str(one.n),
        ]
        for phase, one in found.items()
    ]
    header = ["classifier", "mean", "95 % interval", "each fold, %", "images"]
    return (
        "## Cross-validation\n\n"
        "The images were dealt into folds, and each fold judged by a classifier that had seen none of it. "
        "It shows how far the figures above depend on which images happened to be in which split. "
        "Nothing was chosen by it.\n\n"
        f"{table(header, rows, 4)}\n\n"
        "The folds share training images, so the interval is an approximation, narrow rather than wide."
    )


def _decision(report: Report) -> str:
    decision = report.decision
    rows = [
        [words, *(_cell(decision, amount, side) for side in ("similar", "different"))]
        for amount, words in (("little", "little data"), ("lots", "lots of data"))
    ]
    parts = [
        table(["", "similar to ImageNet", "different from ImageNet"], rows),
        "\n".join(f"- {text(gauge['words'])}" for gauge in decision.gauges),
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
    split = report.single_label(report.headline)
    rows = by_weakness(split)
    cells = [
        [str(i), name(row.label), str(row.n)]
        + ["–" if fraction is None else f"{fraction:.3f}" for fraction in shares_of(row)]
        for i, row in rows[:LISTED_CLASSES]
    ]
    rest = len(rows) - len(cells)
    more = f" The other {rest} classes are in `metrics.json`." if rest else ""
    header = ["no.", "class", "images", "precision", "recall", "F1"]
    words = f"The {report.headline} split, the weakest classes first.{more}"
    return f"{words}\n\n{table(header, cells, 4)}"


def _confused(report: Report, drawn: Collection[str]) -> str:
    split, pairs = report.single_label(report.headline), report.confused(report.headline)
    if not pairs:
        found = f"No {report.headline} image was taken for another class."
    else:
        rows = [[name(p.label), name(p.predicted), str(p.images), percent(p.share)] for p in pairs]
        header = ["class", "taken for", "images", "share of the class"]
        off_diagonal = split.confusion.copy()
        np.fill_diagonal(off_diagonal, 0)
        rest = np.count_nonzero(off_diagonal) - len(pairs)
        more = f"\n\nThe other {rest} pairs are in `report.html`." if rest else ""
        found = "Confused most often:\n\n" + table(header, rows, 2) + more
    return "\n\n".join(
        [found, *([_picture("confusion", "Confusion matrix")] if "confusion" in drawn else [])]
    )


def _training(report: Report, drawn: Collection[str]) -> str:
    parts = ["\n".join(f"- {text(note)}" for note in report.happened)] if report.happened else []
    if "stage_probes" in drawn:
        parts.append(
            "A quick linear classifier at each stage, cross-validated on train:\n\n"
            + _picture("stage_probes", "Accuracy against depth")
        )
    if "strength_curve" in drawn:
        parts.append(
            "The linear classifier was fitted with each of these L2 strengths; the dotted one was taken:\n\n"
            + _picture("strength_curve", "Scores on val by L2 strength")
        )
    if "learning_curve" in drawn:
        parts.append("Fine-tuning, epoch by epoch:\n\n" + _picture("learning_curve", "Learning curves"))
    else:
        parts.append("The backbone was not trained: its weights are as they were.")
    return "\n\n".join(parts)


def _time(seconds: Mapping[str, float]) -> str:
    rows = [[text(part), f"{spent:.1f}"] for part, spent in seconds.items() if part != "total"]
    if "total" in seconds:
        rows.append(["**total**", f"**{seconds['total']:.1f}**"])
    return table(["part", "seconds"], rows, 1)


def _repeat(report: Report) -> str:
    rows = [[text(key), text(value)] for key, value in report.environment.items()]
    return (
        "```\ntransferkit predict RUN new.jpg             # what it says of other photos\n"
        "transferkit evaluate RUN other-photos/      # how good it is on them, if they are labelled\n"
        "transferkit finetune DATA --recipe RUN/recipe.yaml   # the same run again\n```\n\n"
        f"RUN is the folder of this report, DATA what the run was given (its images are in "
        f"{text(report.data.root)}). The figures above hold for images like these, taken in the same way. "
        "The run was made with:\n\n" + table(["", "version"], rows)
    )


def _picture(file: str, words: str) -> str:
    return f"![{words}](figures/{file}.svg)"
