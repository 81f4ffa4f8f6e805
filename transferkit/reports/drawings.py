"""Figures as SVG: each function takes the numbers that `figures` gives and returns a picture."""

import math
from collections.abc import Sequence

from transferkit.printable import visible
from transferkit.reports.figures import (
    Coverage,
    GrowthCurve,
    LearningCurve,
    Reliability,
    StageProbes,
    StrengthCurve,
)
from transferkit.reports.svg import Panel, drawing, legend, panel, tag, words

# Left, top, width and height of one panel of a pair, and how far the next one is to the right.
BOX, STEP = (56, 54, 290, 180), 366
SINGLE = (64, 54, 400, 230)
TICK_ROOM = 38  # pixels between the middles of two numbers below an axis


def learning_curve(info: LearningCurve) -> str:
    """Score, loss and learning rate by epoch, side by side."""
    across = (0.5, len(info.epochs) + 0.5)
    ticks = _whole(len(info.epochs))
    parts = [legend(56, 18, (("train", "train dash", "f-train"), ("val", "val", "square f-val"), _LINEAR))]
    panels = (
        (info.measure, info.score, info.val_score, True),
        ("loss", info.loss, info.val_loss, False),
        ("learning rate", info.rate, None, False),
    )
    for place, (name, train, val, share) in enumerate(panels):
        found = [value for value in (*train, *(val or ())) if value == value]
        if place == 0 and info.linear_val_score is not None:
            found.append(info.linear_val_score)
        here = panel(_moved(BOX, place * 350), across, _around(found, share))
        parts.append(here.axes("epoch", name, x_ticks=ticks, percent=share))
        if place == 0 and info.linear_val_score is not None:
            parts.append(here.line(across, [info.linear_val_score] * 2, "ref dot"))
        parts += _phases(here, info.phases)
        parts.append(here.line(info.epochs, train, "train dash" if val else "ref"))
        parts.append(here.marks(info.epochs, train, "f-train") if val else "")
        if val:
            parts += [here.line(info.epochs, val, "val"), here.marks(info.epochs, val, "f-val", square=True)]
    last = f"{info.measure} of val in the last epoch {info.val_score[-1]:.3f}" if info.val_score else ""
    return drawing(1070, 286, parts, title="Learning curves", description=last)


_LINEAR = ("linear classifier, val", "ref dot", "")


def strength_curve(info: StrengthCurve) -> str:
    """Score and loss of val by L2 strength."""
    places = list(range(len(info.l2)))
    step = max(1, -(-len(places) // 5))
    ticks = [(float(place), _power(info.l2[place])) for place in places[::step]]
    parts = []
    for number, (name, values, share) in enumerate(
        ((info.measure, info.val_score, True), (info.loss, info.val_nll, False))
    ):
        here = panel(_moved(BOX, number * STEP), (0, max(1, len(places) - 1)), _around(values, share))
        parts.append(here.axes("L2 strength", f"{name}, val", x_ticks=ticks, percent=share))
        if info.chosen in info.l2:
            at = here.x.at(info.l2.index(info.chosen))
            parts.append(tag("line", class_="line ref dot", x1=at, x2=at, y1=here.y.end, y2=here.y.start))
        parts += [here.line(places, values, "val"), here.marks(places, values, "f-val", square=True)]
    told = f"taken: {info.chosen:.3g}" if info.chosen is not None else ""
    return drawing(740, 286, parts, title="The linear classifier by L2 strength", description=told)


def stage_probes(info: StageProbes) -> str:
    """A quick classifier at each stage, and on all of them."""
    places = [float(number) for number in range(len(info.stages))]
    values = [*info.score, *([info.together] if info.together is not None else [])]
    here = panel(SINGLE, (-0.3, max(0.7, len(places) - 0.7)), _around(values, True))
    ticks = list(zip(places, info.stages, strict=True))
    parts = [
        legend(
            64,
            18,
            (
                ("one stage", "val", "square f-val"),
                *((("all together", "ref dot", ""),) if info.together else ()),
            ),
        ),
        here.axes("nearest the input first", info.measure, x_ticks=ticks, percent=True),
    ]
    if info.together is not None:
        parts.append(here.line((here.x.low, here.x.high), (info.together,) * 2, "ref dot"))
    parts += [here.line(places, info.score, "val"), here.marks(places, info.score, "f-val", square=True)]
    parts += [
        words(here.x.at(x), here.y.at(y) - 9, f"{100 * y:.1f}", anchor="middle", kind="small")
        for x, y in zip(places, info.score, strict=True)
    ]
    told = "; ".join(f"{name} {y:.1%}" for name, y in zip(info.stages, info.score, strict=True))
    return drawing(500, 336, parts, title="Accuracy against depth", description=told)


def reliability(info: Reliability) -> str:
    """Accuracy by confidence, as it is and at the temperature."""
    here = panel((64, 54, 300, 300), (0, 1), (0, 1))
    both = info.before != info.after
    lines = (("as it is", "train dash", "f-train"), ("at the temperature", "val", "square f-val"))
    parts = [
        legend(64, 18, lines if both else (("as it is", "val", "square f-val"),)),
        here.axes("confidence", f"right, {info.split}", percent=True, x_ticks=_shares()),
        here.line((0, 1), (0, 1), "ref dot"),
    ]
    for rows, line, square in ((info.before if both else [], "train", False), (info.after, "val", True)):
        for confidence, _, low, high in rows:
            at = here.x.at(confidence)
            y1, y2 = here.y.at(low), here.y.at(high)
            parts.append(tag("line", class_=line, stroke_width=1, x1=at, x2=at, y1=y1, y2=y2))
        xs, ys = [row[0] for row in rows], [row[1] for row in rows]
        parts.append(here.line(xs, ys, f"{line}{'' if square else ' dash'}"))
        parts.append(here.marks(xs, ys, f"f-{line}", square=square))
    told = "; ".join(f"at confidence {row[0]:.0%} right {row[1]:.0%}" for row in info.after)
    words_ = f"On the diagonal is honest. At the temperature: {told}"
    return drawing(400, 408, parts, title="Reliability diagram", description=words_)


def coverage(info: Coverage) -> str:
    """What is right among the surest answers."""
    low = min(*info.precision, info.target)
    here = panel(SINGLE, (0, 1), (max(0.0, low - 0.05), 1.0))
    parts = [
        legend(64, 18, (("right among the surest", "val", ""), ("asked for", "ref dot", ""))),
        here.axes(
            "share of images that get an answer", f"right, {info.split}", percent=True, x_ticks=_shares()
        ),
        here.line((0, 1), (info.target, info.target), "ref dot"),
        here.line(info.coverage, info.precision, "val"),
    ]
    if info.chosen:
        parts.append(here.marks([info.chosen[0]], [info.chosen[1]], "f-val", square=True))
    step = max(1, len(info.coverage) // 8)
    some = list(zip(info.coverage, info.precision, strict=True))[::step]
    told = "; ".join(f"of the surest {share:.0%} right {right:.1%}" for share, right in some)
    return drawing(500, 336, parts, title="Accuracy against coverage", description=told)


def growth(info: GrowthCurve) -> str:
    """Top-1 by training images, carried on."""
    ahead, then, low, high = info.ahead
    here = panel(SINGLE, (info.images[0], ahead), _around([*info.top1, low, high], True), log=True)
    now = info.now
    edge = [here.x.at(now[0]), here.y.at(now[1]), here.x.at(ahead), here.y.at(high), here.y.at(low)]
    band = f"M{edge[0]:.1f} {edge[1]:.1f}L{edge[2]:.1f} {edge[3]:.1f}L{edge[2]:.1f} {edge[4]:.1f}Z"
    # What was measured held a fold back: the last point is short of the images there are now.
    ticks = [(value, f"{value:.0f}") for value in (*info.images, ahead)]
    room = (abs(here.x.at(now[0]) - here.x.at(value)) for value, _ in ticks)
    if min(room) > TICK_ROOM:
        ticks.insert(-1, (now[0], f"{now[0]:.0f} now"))
    parts = [
        legend(64, 18, (("measured", "val", "square f-val"), ("estimate, 95 % interval", "val dot", ""))),
        here.axes("training images (log scale)", "top-1 of a quick classifier", percent=True, x_ticks=ticks),
        tag("path", class_="band", d=band),
        here.line((now[0], ahead), (now[1], then), "val dot"),
        here.line(info.images, info.top1, "val"),
        here.marks(info.images, info.top1, "f-val", square=True),
    ]
    told = "; ".join(f"{x:.0f} images: {y:.1%}" for x, y in zip(info.images, info.top1, strict=True))
    told += f"; carried on to {ahead:.0f} images: {then:.1%} ({low:.1%} to {high:.1%})"
    return drawing(500, 336, parts, title="Would more images help?", description=told)


# Pixels from one run to the next of the same cost, of a name, and from one name to the next below.
BESIDE_PX, NAME_PX, LINE_PX = 14, 160, 12


def against_cost(rows: Sequence[tuple[str, float, float, float, float]]) -> str:
    """Accuracy against cost, a point for each run: name, million multiply-adds, top-1, low, high.

    Runs of one cost stand beside each other, and names below each other, so that each can be seen.
    """
    costs = [row[1] for row in rows]
    here = panel(
        (64, 40, 520, 280),
        (min(costs) / 1.6, max(costs) * 1.6),
        _around([value for row in rows for value in row[3:]], True),
        log=True,
    )
    parts = [here.axes("million multiply-adds of an image", "top-1", percent=True)]
    before, named = -math.inf, list[tuple[float, float]]()
    for name, cost, top1, low, high in sorted(rows, key=lambda row: row[1]):
        at = before = max(here.x.at(cost), before + BESIDE_PX)
        middle, y1, y2 = (here.y.at(value) for value in (top1, low, high))
        parts.append(tag("line", class_="val", stroke_width=1.5, x1=at, x2=at, y1=y1, y2=y2))
        parts.append(tag("rect", class_="f-val", x=at - 3, y=middle - 3, width=6, height=6))
        place = (at + 7, middle + 4)
        while any(abs(place[0] - x) < NAME_PX and abs(place[1] - y) < LINE_PX for x, y in named):
            place = (place[0], place[1] + LINE_PX)
        named.append(place)
        parts.append(words(*place, visible(name)[:24], kind="small"))
    return drawing(720, 372, parts, title="Accuracy against cost")


def _moved(box: tuple[float, float, float, float], right: float) -> tuple[float, float, float, float]:
    return box[0] + right, *box[1:]


def _around(values: Sequence[float], share: bool) -> tuple[float, float]:
    """Ends of an axis with room for all values; a share stays within 0 and 1."""
    found = [value for value in values if value == value]
    if not found:
        return 0.0, 1.0
    low, high = min(found), max(found)
    room = 0.08 * (high - low) or 0.05 * abs(high) or 0.05
    low, high = low - room, high + room
    return (max(0.0, low), min(1.0, high)) if share and low < 1 else (max(0.0, low), high)


def _whole(count: int) -> list[tuple[float, str]]:
    step = max(1, -(-count // 8))
    return [(float(number), str(number)) for number in range(step, count + 1, step)] or [(1.0, "1")]


def _shares() -> list[tuple[float, str]]:
    return [(number / 5, f"{20 * number} %") for number in range(6)]


def _power(strength: float) -> str:
    return f"{strength:.0f}" if strength >= 10 else f"{strength:.2g}"


def _phases(here: Panel, phases: Sequence[tuple[str, int]]) -> list[str]:
    """A line where each phase begins, with its name."""
    parts = []
    for name, start in phases:
        at = here.x.at(start - 0.5)
        if start > 1:
            parts.append(tag("line", class_="axis", x1=at, x2=at, y1=here.y.end, y2=here.y.start))
        if len(phases) > 1:
            parts.append(words(at + 4, here.y.end + 12, visible(name)[:18], kind="dim small"))
    return parts
