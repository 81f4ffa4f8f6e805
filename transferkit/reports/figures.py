"""Figures of a report: one function finds the numbers, another draws them.

Matplotlib is imported where it draws and used through its objects, never through `pyplot`: no
state is left behind and no display is needed. Margins are worked out here because automatic layout
draws every figure twice.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from transferkit.evaluation.report import MEASURES, Report

DPI = 110
NAME_LIMIT = 24  # characters of a class name
ANNOTATED = 15  # cells hold their number up to so many classes
NAMED_BOTH = 40  # both axes hold class names up to so many classes
NAMED = 100  # rows hold class names up to so many classes

PANEL_LETTERS = 50  # of a phase's name, over one of two panels

# Okabe and Ito's blue, vermilion and grey: told apart with any colour vision, and in print by dash.
TRAIN, VAL, REFERENCE = "#0072B2", "#D55E00", "#666666"

Target = Path | str | IO[bytes]


class LearningCurve(NamedTuple):
    """The history, epochs numbered 1.. across all phases; NaN where nothing was measured."""

    epochs: list[int]
    loss: list[float]
    val_loss: list[float]
    score: list[float]
    val_score: list[float]
    phases: list[tuple[str, int]]  # name and first epoch
    linear_val_score: float | None  # what fine-tuning has to beat
    measure: str  # name of the score


class Confusion(NamedTuple):
    """The confusion matrix of a split."""

    split: str
    names: list[str]
    counts: list[list[int]]  # rows are true classes
    shares: list[list[float]]  # of the row's images, 0..1; 0 in a row without images


class StrengthCurve(NamedTuple):
    """The linear classifier at each strength of its L2 penalty, weakest first."""

    l2: list[float]
    val_score: list[float]
    val_nll: list[float]
    chosen: float | None  # the strength that was taken
    measure: str  # name of the score
    loss: str  # name of val_nll


def learning_curve(report: Report) -> LearningCurve:
    """The numbers of the learning curves; all lists are empty where no epoch was trained."""
    rows = [row for row in report.history if row.get("epoch", 1) >= 1]  # epoch 0 is the linear classifier
    names = [str(row["phase"]) for row in rows]
    starts = [i for i, name in enumerate(names) if i == 0 or name != names[i - 1]]
    return LearningCurve(
        epochs=list(range(1, len(rows) + 1)),
        loss=_column(rows, "loss"),
        val_loss=_column(rows, "val_loss"),
        score=_column(rows, report.measure),
        val_score=_column(rows, f"val_{report.measure}"),
        phases=[(names[i], i + 1) for i in starts],
        linear_val_score=report.linear_score.get("val"),
        measure=MEASURES[report.measure],
    )


def confusion_figure(report: Report, split: str) -> Confusion:
    """The numbers of the confusion matrix of one split."""
    counts = report.single_label(split).confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return Confusion(split, list(report.class_names), counts.tolist(), shares.tolist())


def strength_curve(report: Report) -> StrengthCurve:
    """The numbers of the choice of the L2 penalty; empty where it was not searched."""
    rows = sorted(report.linear_path, key=lambda row: float(row["l2"]))
    l2, score, nll = (_column(rows, key) for key in ("l2", f"val_{report.measure}", "val_nll"))
    loss = "BCE" if report.multilabel else "log-loss"
    return StrengthCurve(l2, score, nll, report.linear_l2, MEASURES[report.measure], loss)


def draw_learning_curve(info: LearningCurve, target: Target) -> None:
    """Draw score and loss by epoch as a PNG."""
    figure = _figure(8.6, 3.4)
    figure.subplots_adjust(left=0.075, right=0.985, top=0.80, bottom=0.14, wspace=0.2)
    left, right = figure.subplots(1, 2)
    _two_lines(left, info.epochs, {"train": info.score, "val": info.val_score})
    _two_lines(right, info.epochs, {"train": info.loss, "val": info.val_loss})
    if info.linear_val_score is not None:
        label = "linear classifier, val"
        left.axhline(info.linear_val_score, color=REFERENCE, linestyle=":", label=label)
    for axes, name in ((left, info.measure), (right, "loss")):
        axes.set_ylabel(name)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlim(0.5, len(info.epochs) + 0.5)
        _mark_phases(axes, info.phases, len(info.epochs))
    _legend_above(figure, (right, left))
    _save(figure, target)


def draw_confusion(info: Confusion, target: Target) -> None:
    """Draw the confusion matrix as a PNG, coloured by the share of the true class.

    Up to NAMED_BOTH classes have their names on both axes; up to NAMED, number and name at the
    rows and numbers at the columns; beyond, numbers alone.
    """
    rows, columns = _tick_names(info.names)
    font = _font(len(info.names))
    axes, bar = _matrix_axes(rows, columns, font)
    image = axes.imshow(info.shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    bar.figure.colorbar(image, cax=bar, label="share of the true class", ticks=[0, 0.5, 1])
    _name_axes(axes, rows, columns, font)
    box = axes.get_position()
    middle_x, middle_y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    axes.figure.text(0.01, middle_y, "true", rotation=90, ha="left", va="center")
    axes.figure.text(middle_x, 0.01, "predicted", ha="center", va="bottom")
    axes.figure.text(middle_x, 0.99, f"Confusion, {info.split}", ha="center", va="top", fontsize=12)
    if len(info.names) <= ANNOTATED:
        _annotate(axes, info, font)
    _save(axes.figure, target)


def draw_strength_curve(info: StrengthCurve, target: Target) -> None:
    """Draw score and loss on val by L2 strength as a PNG."""
    figure = _figure(8.6, 3.0)
    figure.subplots_adjust(left=0.075, right=0.985, top=0.93, bottom=0.17, wspace=0.2)
    # Evenly spaced: the strengths are powers of one base, and 0 has no place on a log axis.
    places = list(range(len(info.l2)))
    step = max(1, math.ceil(len(places) / 5))
    panels = ((info.measure, info.val_score), (info.loss, info.val_nll))
    for axes, (name, values) in zip(figure.subplots(1, 2), panels, strict=True):
        _two_lines(axes, places, {"val": values})
        axes.set(ylabel=f"{name}, val", xlabel="L2 strength of the linear classifier")
        axes.set_xticks(places[::step], [f"{l2:.0f}" if l2 >= 10 else f"{l2:.2g}" for l2 in info.l2[::step]])
        if info.chosen in info.l2:
            axes.axvline(info.l2.index(info.chosen), color="0.4", linestyle=":", linewidth=1.2)
    _save(figure, target)


def shown(name: str, number: int) -> str:
    """The class name as a figure can show it: one line, at most NAME_LIMIT characters.

    A name with letters that matplotlib's own font lacks becomes `#number`, which the tables of
    the report explain; drawn, it would be a row of empty boxes, and a warning.
    """
    line = " ".join(name.split())
    if not line.isprintable() or any(ord(letter) not in _letters() for letter in line):
        return f"#{number}"
    return line if len(line) <= NAME_LIMIT else line[: NAME_LIMIT - 1] + "…"


@cache
def _letters() -> frozenset[int]:
    """The code points of the font that the figures use."""
    from matplotlib import font_manager

    path = font_manager.findfont(font_manager.FontProperties())
    return frozenset(font_manager.get_font(path).get_charmap())


def _column(rows: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    """One column as floats, NaN where a row lacks it or it is not finite."""
    values = [math.nan if row.get(key) is None else float(row[key]) for row in rows]
    return [value if math.isfinite(value) else math.nan for value in values]


def _figure(width: float, height: float) -> Any:
    """An empty figure of that many inches."""
    from matplotlib.figure import Figure

    return Figure((width, height), dpi=DPI)


def _save(figure: Any, target: Target) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    # Compression 1 writes a few kilobytes more in a fraction of the time.
    FigureCanvasAgg(figure).print_png(target, pil_kwargs={"compress_level": 1})


def _two_lines(axes: Any, places: Sequence[int], lines: Mapping[str, Sequence[float]]) -> None:
    """Lines with a point at each value; one that holds no number at all is left out."""
    looks = {"train": (TRAIN, "--", "o"), "val": (VAL, "-", "s")}
    for name, values in lines.items():
        if not all(map(math.isnan, values)):
            color, dash, marker = looks[name]
            axes.plot(places, values, dash, color=color, marker=marker, markersize=3.5, label=name)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _mark_phases(axes: Any, phases: Sequence[tuple[str, int]], epochs: int) -> None:
    """A line where each phase begins, and the phase's name above its epochs."""
    ends = [start for _, start in phases[1:]] + [epochs + 1]
    for (name, start), end in zip(phases, ends, strict=True):
        if start > 1:
            axes.axvline(start - 0.5, color=REFERENCE, linewidth=0.8)
        room = int(PANEL_LETTERS * (end - start) / epochs)
        if room < 3:
            continue
        if len(name) > room:
            name = name[: room - 1] + "…"
        place = ((start + end) / 2 - 0.5, 1.02)  # in epochs, and in heights of the axes
        axes.text(
            *place,
            name,
            transform=axes.get_xaxis_transform(),
            ha="center",
            fontsize=8,
            color=REFERENCE,
            parse_math=False,
        )


def _legend_above(figure: Any, panels: Sequence[Any]) -> None:
    """One entry for each label, whichever of the panels has it."""
    found = {
        label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(found.values(), found.keys(), loc="upper center", ncols=3, frameon=False)


def _tick_names(names: Sequence[str]) -> tuple[dict[int, str], dict[int, str]]:
    """What stands at the rows and at the columns of a confusion matrix, by class number."""
    rows = {i: shown(name, i) for i, name in enumerate(names)}
    if len(names) <= NAMED_BOTH:
        return rows, rows
    step = 5 if len(names) <= NAMED else 10 * math.ceil(len(names) / 200)
    columns = {i: str(i) for i in range(0, len(names), step)}
    if len(names) > NAMED:
        return columns, columns
    return {i: f"{name}  {i}" for i, name in rows.items()}, columns


def _matrix_axes(rows: Mapping[int, str], columns: Mapping[int, str], font: float) -> Any:
    """Axes for a square matrix and for its colour bar, with just the room their names need."""
    # Inches: a row is a little higher than its name, and a letter 0.62 of its height wide.
    side = min(max(2.4, max(rows) * font * 1.25 / 72), 9.0)
    left = 0.4 + max(map(len, rows.values())) * font * 0.62 / 72
    below = left if columns == rows else 0.45
    width, height = side + left + 1.0, side + below + 0.4
    figure = _figure(width, height)
    bar_height = min(side, 2.4)
    bar_bottom = below + side - bar_height
    bar = ((left + side + 0.15) / width, bar_bottom / height, 0.14 / width, bar_height / height)
    matrix = (left / width, below / height, side / width, side / height)
    return figure.add_axes(matrix), figure.add_axes(bar)


def _name_axes(axes: Any, rows: Mapping[int, str], columns: Mapping[int, str], font: float) -> None:
    """Write the names beside the matrix.

    As texts: ticks, and axis labels that make room for them, cost 0.2 s more for 100 classes.
    """
    axes.set_xticks([])
    axes.set_yticks([])
    look = {"fontsize": font, "parse_math": False}
    gap = 0.07 * DPI / axes.bbox.width  # 0.07 inches, as a part of the axes
    across, down = axes.get_yaxis_transform(), axes.get_xaxis_transform()
    for place, name in rows.items():
        axes.text(-gap, place, name, transform=across, ha="right", va="center", **look)
    turn = 0 if all(map(str.isdecimal, columns.values())) else 90
    for place, name in columns.items():
        axes.text(place, -gap, name, transform=down, ha="center", va="top", rotation=turn, **look)


def _font(classes: int) -> float:
    """Points of the class names: 10 for a few, 6 for a hundred."""
    return max(6.0, min(10.0, 11.0 - classes / 15))


def _annotate(axes: Any, info: Confusion, font: float) -> None:
    """Write the number of images into every cell that has any."""
    for row, (counts, shares) in enumerate(zip(info.counts, info.shares, strict=True)):
        for column, (count, share) in enumerate(zip(counts, shares, strict=True)):
            if count:
                color = "white" if share > 0.55 else "black"
                axes.text(column, row, count, ha="center", va="center", color=color, fontsize=font)
