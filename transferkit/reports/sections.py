"""The sections of the HTML page as plain values."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from transferkit.evaluation.gallery import Picture
from transferkit.evaluation.remarks import surely_below
from transferkit.evaluation.report import MEASURES, Decision, Report
from transferkit.printable import visible
from transferkit.reports import trust as told
from transferkit.reports.cells import Row, Table, cell, fraction, share, table
from transferkit.reports.decision import BALANCED, TRAINS
from transferkit.reports.decision import KINDS as FROZEN
from transferkit.reports.pictures import lost
from transferkit.reports.policy import SAFETY_HEADER, UNCHANGED, how_changed, safety_cells, unchanged
from transferkit.strategies.matrix import MATRIX

# Rows of suspects: as many as a person looks through.
LISTED_SUSPECTS = 100
WORDS = {"little": "little data", "lots": "lots of data"}


def next_steps(report: Report) -> list[str]:
    """What would better the classifier most, in words; at least one."""
    steps = [found.advice + "." for found in report.diagnosis if found.advice]
    bare = report.pixels_score.get(report.headline)
    if bare is not None and bare >= report.score(report.headline):
        steps.append(
            f"Logistic regression on 16 x 16 pixels reaches {bare:.1%}: the random weights of this backbone "
            "add nothing here. Have its ImageNet weights ('transferkit weights where')."
        )
    if report.doubts and report.doubts.doubted:
        steps.append(
            f"Look at the suspect labels below ({counted(report.doubts.doubted)} hard to believe), fill in "
            "the column fix of fixes.csv where one is, and train again: transferkit finetune DATA --recipe "
            "RUN/recipe.yaml --fixes RUN/fixes.csv."
        )
    if report.growth:
        steps.append(report.growth.sentence)
    if report.rejection and report.rejection.val and report.rejection.val.coverage < 1:
        steps.append(told.rejection_words(report).replace("`", ""))
    weak = _weakest(report)
    return [*steps, *([weak] if weak else [])] or ["Nothing in the numbers asks for a change."]


def _weakest(report: Report) -> str:
    """The class that is surely recognised less often than the rest, if there is one."""
    if report.multilabel:
        return ""
    below = surely_below(report.single_label(report.headline))
    if not below:
        return ""
    worst = below[0]
    more = len(below) - 1
    others = f" So {'is' if more == 1 else 'are'} {more} more class{'es' * (more > 1)}." if more else ""
    return (
        f"{worst.label} is recognised least, in {worst.recall:.0%} of its {worst.n} {report.headline} "
        "images, and surely less often than images on average: more and more varied images of it may help "
        f"most.{others}"
    )


def counted(labels: int) -> str:
    """How many labels, in words."""
    return f"{labels} label{'' if labels == 1 else 's'}"


def decision(report: Report) -> dict[str, Any]:
    """The matrix, both axes, the reasons, the phases and what was tried; the freeze proof."""
    found = report.decision
    return {
        "matrix": [
            {
                "name": WORDS[amount],
                "cells": [
                    {
                        "strategy": MATRIX[side, amount],
                        "lit": (side, amount) == (found.similarity, found.amount),
                    }
                    for side in ("similar", "different")
                ],
            }
            for amount in WORDS
        ],
        "gauges": [dict(gauge) for gauge in found.gauges],
        "reasons": found.reasons,
        "phases": _records(found.phases),
        "tried_tables": [_tried(phase, rows) for phase, rows in found.tried.items() if len(rows) > 1],
        "stages": table(
            ["stage", "ends at layer", "side, px", "channels"],
            [[one["name"], one["cut"], one["size_px"], one["channels"]] for one in found.stages],
        ),
        "freeze": _freeze(found),
        "augment": _augment(found),
        "balance": _balance(found),
        "cross": _cross(report),
    }


def _cross(report: Report) -> Table:
    rows = [
        [
            f"{phase}, {MEASURES[one.measure]}",
            ", ".join(f"{100 * score:.1f}" for score in one.scores),
            share(one.mean),
            f"{100 * one.ci95[0]:.1f} to {100 * one.ci95[1]:.1f} %",
            one.n,
        ]
        for phase, one in report.cross_validation.items()
    ]
    return table(["classifier", "each fold, %", "mean", "95 % interval", "images"], rows)


def _records(rows: Sequence[Mapping[str, Any]]) -> Table:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    return table(
        [key.replace("_", " ") for key in keys], [[_value(row.get(key, "")) for key in keys] for row in rows]
    )


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _tried(phase: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    header = ["features", "classifier", "views", "score", "log-loss"]
    cells = [
        [row["features"], row["classifier"], row["views"], share(row["score"]), fraction(row["nll"])]
        for row in rows
    ]
    made = table(header, cells)
    return {"phase": phase, "header": made.header, "rows": made.rows}


def _freeze(found: Decision) -> Table:
    header = ["phase", "stage", "might train", "BatchNorm mode", "rate share", *FROZEN.values(), "parameters"]
    rows = [
        [
            *(row[key] for key in ("phase", "stage")),
            TRAINS[row["trains"]],
            row["batch_norm"],
            f"{row['rate_share']:g}",
            *(row[kind] for kind in FROZEN),
            cell(row["parameters"], f"{row['parameters']:,}"),
        ]
        for row in found.freeze
    ]
    return table(header, rows)


def _balance(found: Decision) -> dict[str, Any]:
    """What was done about classes of unequal size; all weights, the heaviest first."""
    balance = found.balance
    weights = sorted(balance["weights"].items(), key=lambda pair: -pair[1]) if balance else []
    made = table(["class", "weight of an image in the loss"], [[label, fraction(w)] for label, w in weights])
    words = f"{balance['reason']} {BALANCED[balance['method']]}" if weights else ""
    return {"words": words, "header": made.header, "rows": made.rows}


def _augment(decision: Decision) -> dict[str, Any] | None:
    found = decision.augment
    if not found:
        return None
    made = table(list(SAFETY_HEADER), safety_cells(found, share))
    words = f"At random by the policy {found['policy']}, in this order; val and test never are. "
    return {
        "words": UNCHANGED.format(found["policy"]) if unchanged(found) else words + how_changed(decision),
        "steps": [] if unchanged(found) else found["steps"],
        "header": made.header,
        "rows": made.rows,
    }


def gallery(report: Report, folder: Path) -> dict[str, Any] | None:
    """The surest mistakes and the right answers least sure, as pictures and rows."""
    found = report.gallery
    if found is None:
        return None
    return {
        "wrong": found.wrong,
        "lost": _lost(found.mistakes + found.unsure, folder),
        "split": report.headline,
        "mistakes": _photos(found.mistakes, folder, "m", "taken for"),
        "mistake_rows": _rows(found.mistakes, "m"),
        "unsure": _photos(found.unsure, folder, "u", "rightly called"),
        "unsure_rows": _rows(found.unsure, "u"),
        "header": ["file", "class", "answer", "p", "p of the class"],
    }


def doubts(report: Report, folder: Path) -> dict[str, Any] | None:
    """Labels that may be wrong, as pictures and rows."""
    found = report.doubts
    if found is None:
        return None
    return {
        "words": told.doubts_words(report).replace("`", ""),
        "lost": _lost(found.suspects, folder),
        "shown": _photos(found.suspects, folder, "s", "looks more like"),
        "rows": _rows(found.suspects[:LISTED_SUSPECTS], "s", near=True),
        "header": ["file", "class", "suggested", told.RESEMBLES, "p of it", "p of the class"],
    }


def _photos(some: Sequence[Picture], folder: Path, key: str, verb: str) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{key}p{number}",
            "row": f"{key}r{number}",
            "number": number,
            "path": one.path,
            "label": one.label,
            "answer": one.answer,
            "verb": verb,
            "p": f"{one.p:.2f}",
            "thumbnail": _inline(one.thumbnail, folder),
            "heat": _inline(one.heat, folder),
            "like": [data for file in one.like if (data := _inline(file, folder))],
        }
        # By its place in the list, so that it and its row name each other whatever could not be drawn.
        for number, one in enumerate(some, start=1)
        if one.thumbnail
    ]


def _rows(some: Sequence[Picture], key: str, near: bool = False) -> list[Row]:
    """A row for each image; where `near`, with the one that it resembles most."""
    rows = []
    for number, one in enumerate(some, start=1):
        link = f"{key}p{number}" if one.thumbnail else ""
        cells = (
            cell(one.path, link=link),
            cell(one.label),
            cell(one.answer),
            *([cell(next(iter(one.neighbours), ""))] if near else []),
            fraction(one.p),
            fraction(one.p_label),
        )
        rows.append(Row(cells, f"{key}r{number}"))
    return rows


def _lost(some: Sequence[Picture], folder: Path) -> str:
    """A sentence on pictures that the run drew and that are in its folder no more."""
    gone, files = lost(some, folder)
    return f"{gone} of {files} pictures are no longer in the run's folder." if gone else ""


def _inline(file: str, folder: Path) -> str:
    """A picture as a data URL; "" where it is not there."""
    if not file:
        return ""
    try:
        data = (folder / file).read_bytes()
    except OSError:
        return ""
    # Nothing in it can be escaped, and it is long.
    return Markup(f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}")  # noqa: S704


def trust(report: Report) -> dict[str, Any] | None:
    """Calibration, rejection and sets of classes."""
    found = report.calibration
    if found is None:
        return None
    splits = list(found.before)
    rows = []
    for label, key in told.BELIEFS.items():
        pairs = [(getattr(found.before[split], key), getattr(found.after[split], key)) for split in splits]
        rows.append(
            [label, *(cell(after or "", told.belief_words(before, after)) for before, after in pairs)]
        )
    made = table(["", *splits], rows)
    return {
        "calibration": told.calibration_words(report),
        "caption": "As it is" if found.temperature == 1 else "As it is, and at the temperature",
        "rejection": told.rejection_words(report).replace("`", ""),
        "conformal": told.conformal_words(report).replace("`", ""),
        "strangeness": told.strangeness_words(report).replace("`", ""),
        "strangest": told.strangest_words(report, visible),
        "header": made.header,
        "rows": made.rows,
    }
