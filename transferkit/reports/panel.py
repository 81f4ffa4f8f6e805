"""The decision as text for a terminal: the matrix, what was measured, the phases, the cost."""

import textwrap
from collections.abc import Collection, Sequence

from transferkit.planning import Plan
from transferkit.reports.gauges import pretrained_on, stages_words
from transferkit.strategies import Phase, Tuning
from transferkit.strategies.amount import LOTS_FROM_IMAGES
from transferkit.strategies.cost import Estimate
from transferkit.strategies.matrix import MATRIX
from transferkit.strategies.similarity import BATCHNORM_BORDERS
from transferkit.timing import in_words

COLUMNS = {"similar": "similar to ImageNet", "different": "different from ImageNet"}
ROWS = {"little": "little data", "lots": "lots of data"}
GAUGE = 41  # columns, an odd number, so that there is a middle


def render(plan: Plan, estimate: Estimate | None = None, *, data: str = "", width: int = 100) -> str:
    """The decision panel, plain ASCII but for what names and reasons hold.

    Args:
        plan: the decision, with both axes in its evidence.
        estimate: what the plan costs, if that was measured.
        data: what the images are called.
        width: columns of text.
    """
    measured = [
        *plan.evidence.get("similarity", {}).get("sentences", ()),
        *plan.evidence["amount"]["sentences"],
    ]
    parts = [
        _head(plan, data, width),
        matrix(plan, width),
        "\n".join([*_similarity_axis(plan, width), "", *_amount_axis(plan, width)]),
        _listed("What was measured", measured, width),
        _listed("Why", [why for why in plan.reasons if why not in measured], width),
        _phases(plan, width),
    ]
    if estimate is not None:
        parts.append(_cost(estimate, width))
    return "\n\n".join(part for part in parts if part)


def lit(plan: Plan) -> str:
    """The words in the cell of the matrix that the data fall into, for whoever wants to paint them."""
    return f">> {MATRIX[plan.similarity, plan.amount]} <<"


def matrix(plan: Plan, width: int = 100) -> str:
    """The four strategies, that of the data set between arrows."""
    left = max(map(len, ROWS.values())) + 2
    inner = (width - left - 3) // 2
    rule = " " * left + "+" + f"{'-' * inner}+" * 2
    lines = [" " * (left + 1) + " ".join(f"{name:^{inner}}" for name in COLUMNS.values()).rstrip(), rule]
    for amount, name in ROWS.items():
        cells = [
            lit(plan)
            if (similarity, amount) == (plan.similarity, plan.amount)
            else MATRIX[similarity, amount]
            for similarity in COLUMNS
        ]
        lines += [f"{name:<{left}}|" + "".join(f"{cell:^{inner}}|" for cell in cells), rule]
    return "\n".join(lines)


def _head(plan: Plan, data: str, width: int) -> str:
    images = plan.evidence["images"]
    parts = ", ".join(f"{split} {images[split]}" for split in ("train", "val", "test") if split in images)
    several = ", an image may have several" if plan.multilabel else ""
    text = (
        f"{data + ': ' if data else ''}{sum(images.values())} images of {plan.evidence['classes']} classes"
        f"{several} ({parts}). Backbone {plan.backbone} at {plan.image_size} px. Strategy: {plan.strategy}"
        f"{_beside(plan)}."
    )
    return textwrap.fill(text, width)


def _beside(plan: Plan) -> str:
    """What is said where more is tried than the lit cell says."""
    cell = MATRIX[plan.similarity, plan.amount]
    auto = not any(reason.startswith("Strategy stated") for reason in plan.reasons)
    return f", tried beside the matrix' {cell}; val decides" if auto and plan.strategy != cell else ""


def _similarity_axis(plan: Plan, width: int) -> list[str]:
    found = plan.evidence.get("similarity")
    if not found:
        return [_folded(f"Similarity: {plan.similarity}, not measured.", width)]
    score, border = found["score"], found["border"]
    if found["measure"] == "batchnorm":
        number = f"the images lie {score:.2f} from {pretrained_on(plan)}; {BATCHNORM_BORDERS}"
        gauge = _gauge("similar", score / border, "different")
    else:
        number, gauge = stages_words(found), []
    stated = " (stated)" if found["stated"] else ""
    near = ": near the border" if found["near"] else ""
    return [_folded(f"Similarity: {plan.similarity}{stated}; {number}{near}.", width), *gauge]


def _amount_axis(plan: Plan, width: int) -> list[str]:
    found = plan.evidence["amount"]
    count, border = found["per_class"], found["border"]
    stated = " (stated)" if found["sentences"][0].startswith("Amount stated") else ""
    near = ": near the border" if found["near"] else ""
    number = (
        f"{count:g} training images per class, {found['images']:,} in all; lots starts at {border:g} per "
        f"class and {LOTS_FROM_IMAGES} in all"
    )
    words = f"Amount: {plan.amount}{stated}; {number}{near}."
    return [_folded(words, width), *_gauge("little", found["ratio"], "lots")]


def _gauge(low: str, share: float, high: str) -> list[str]:
    """A scale with the border in its middle, marked at `share` of the border; its right end is 2 and more."""
    place = min(GAUGE - 1, max(0, round(share / 2 * (GAUGE - 1))))
    scale = ["-"] * GAUGE
    scale[GAUGE // 2] = "|"
    scale[place] = "#"
    return [f"  {low:>7} {''.join(scale)} {high}"]


def _phases(plan: Plan, width: int) -> str:
    stages = [f"stage{n}" for n in range(1, plan.linear.freeze_depth + 1)]
    header = ("phase", "trains", "frozen", "epochs", "rate", "optimizer")
    rows = [_phase_row(phase, stages) for phase in plan.phases]
    others = sum(max(len(row[i]) for row in (header, *rows)) for i in range(len(header)) if i != 1)
    # What trains may be many words: they go on under themselves.
    room = max(MIN_ROOM, width - others - 2 * len(header))
    folded: list[tuple[str, ...]] = []
    for name, trains, *rest in rows:
        first, *more = textwrap.wrap(trains, room)
        folded += [(name, first, *rest), *(("", words, *[""] * len(rest)) for words in more)]
    return "\n".join(["Phases", *_table(header, folded)])


MIN_ROOM = 12


def _phase_row(phase: Phase, stages: Sequence[str]) -> tuple[str, ...]:
    if phase.kind == "linear":
        seen = {stage for one in phase.choices for stage in one.stages} or set(phase.features)
        several = f" (best of {len(phase.choices)} feature sets)" if len(phase.choices) > 1 else ""
        words = f"classifier on {_span(seen, stages)}{several}"
        return (phase.name, words, _span(stages, stages), "-", "-", "-")
    tuning = phase.tuning or Tuning(stages=tuple(stages[phase.freeze_depth :]))
    rates = dict(zip(tuning.stages, tuning.rates, strict=False))
    trains = _span(tuning.stages, stages)
    if any(rate != 1 for rate in rates.values()):
        trains = ", ".join(f"{stage} x{rate:g}" for stage, rate in rates.items())
    if tuning.only == "batchnorm":
        trains = f"BatchNorm of {trains}"
    frozen = _span([stage for stage in stages if stage not in tuning.stages], stages)
    rate = "found first" if tuning.find_rate else f"{phase.learning_rate:g}"
    epochs = f"up to {phase.epochs}"
    return (phase.name, f"{trains}, head", frozen, epochs, f"{rate} {tuning.schedule}", tuning.optimizer)


def _span(some: Collection[str], stages: Sequence[str]) -> str:
    """Names of stages; those side by side as one, such as `stage2-4`."""
    runs: list[list[str]] = []
    for before, stage in zip(["", *stages], stages, strict=False):
        if stage in some:
            if runs and runs[-1][-1] == before:
                runs[-1].append(stage)
            else:
                runs.append([stage])
    named = [run[0] + (f"-{run[-1].removeprefix('stage')}" if len(run) > 1 else "") for run in runs]
    return ", ".join(named) or "none"


def _cost(estimate: Estimate, width: int) -> str:
    rows = [
        (part, in_words(span.expected), in_words(span.at_most) if span.at_most > span.expected else "")
        for part, span in {**estimate.seconds, "total": estimate.total}.items()
        if span.at_most
    ]
    lines = ["Cost on this machine", *_table(("part", "about", "at most"), rows)]
    if not estimate.seconds["bank"].at_most:
        lines.append("  The bank of features is computed already.")
    held = ", ".join(f"{what} {_bytes(size)}" for what, size in estimate.memory.items() if size)
    lines.append(_folded(f"Memory at the peak: {_bytes(estimate.peak)} ({held}).", width, "  "))
    if estimate.disk:
        lines.append(f"  Disk for activations: {_bytes(estimate.disk)}.")
    return "\n".join(lines)


def _bytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6))} MB"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    return [
        "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]


def _listed(title: str, sentences: Sequence[str], width: int) -> str:
    if not sentences:
        return ""
    return "\n".join([title, *(_folded(f"- {sentence}", width, "  ") for sentence in sentences)])


def _folded(text: str, width: int, indent: str = "") -> str:
    return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=f"{indent}  ")
