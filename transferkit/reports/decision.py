"""What the decision was made of, as Markdown: classifiers that were tried, and the freeze proof."""

from collections.abc import Mapping, Sequence
from typing import Any

from transferkit.evaluation.report import Decision
from transferkit.reports.policy import SAFETY_HEADER, UNCHANGED, how_changed, safety_cells, unchanged
from transferkit.reports.tables import LISTED_CLASSES, clause, name, percent, table, text

LISTED = 8  # classifiers that are shown of those that were tried


def tried_section(tried: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """What each linear phase was chosen from, the one taken first; nothing where there was no choice."""
    parts = []
    for phase, rows in tried.items():
        if len(rows) < 2:
            continue
        viewed = any(row["views"] for row in rows)
        cells = [
            [
                text(row["features"]),
                text(row["classifier"]),
                *([str(row["views"])] if viewed else []),
                percent(row["score"]),
                _loss(row["nll"]),
            ]
            for row in rows[:LISTED]
        ]
        rest = len(rows) - len(cells)
        more = f" The other {rest} are in `plan.json`." if rest else ""
        header = ["features", "classifier", *(["views"] if viewed else []), "score", "log-loss"]
        parts.append(
            f"The classifier of `{text(phase)}` was chosen by cross-validation on train alone; "
            f"the first was taken.{more}\n\n{table(header, cells, len(header) - 2)}"
        )
    return "\n\n".join(parts)


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def augment_section(decision: Decision) -> str:
    """How training images were changed, and what was measured of what they bear; nothing for none."""
    found = decision.augment
    if not found:
        return ""
    if unchanged(found):
        return UNCHANGED.format(text(found["policy"]))
    steps = "\n".join(f"{number}. {text(step)}" for number, step in enumerate(found["steps"], start=1))
    parts = [
        f"Training images were changed at random by the policy `{text(found['policy'])}`, in this order; "
        f"val and test never are.\n\n{steps}",
        text(how_changed(decision)),
        _safety(found),
    ]
    return "\n\n".join(filter(None, parts))


def _safety(found: Mapping[str, Any]) -> str:
    cells = [list(map(text, row)) for row in safety_cells(found, percent)]
    if not cells:
        return ""
    return (
        "What these images bear: a linear classifier was asked about training images it had not seen, as "
        "they are and changed.\n\n" + table(list(SAFETY_HEADER), cells, 3)
    )


def freeze_section(rows: Sequence[Mapping[str, Any]]) -> str:
    """What might train, and by the hashes of the weights before and after what stayed and what moved."""
    if not rows:
        return ""
    cells = [
        [
            text(row["phase"]),
            text(row["stage"]),
            TRAINS[row["trains"]],
            text(row["batch_norm"]),
            f"{row['rate_share']:g}",
            *(text(row[kind]) for kind in KINDS),
            f"{row['parameters']:,}",
        ]
        for row in rows
    ]
    header = ["phase", "stage", "might train", "BatchNorm mode", "rate share", *KINDS.values(), "parameters"]
    return (
        "Freeze proof: the weights of each stage were hashed before and after; what was frozen is the "
        "same to the byte, BatchNorm's statistics included.\n\n" + table(header, cells, 1)
    )


KINDS = {"weights": "weights", "scales": "BatchNorm scales", "statistics": "BatchNorm statistics"}
TRAINS = {"all": "all of it", "batchnorm": "BatchNorm only", "nothing": "nothing"}


def stages_section(decision: Decision) -> str:
    """The stages of the backbone, nearest the image first."""
    if not decision.stages:
        return ""
    rows = [
        [text(one["name"]), text(one["cut"]), str(one["size_px"]), str(one["channels"])]
        for one in decision.stages
    ]
    return table(["stage", "ends at layer", "side, px", "channels"], rows, 2)


def balance_section(decision: Decision) -> str:
    """What was done about classes of unequal size, the heaviest weights first."""
    balance = decision.balance
    if not balance:
        return ""
    # The plan's reasons may tell it already.
    why = "" if balance["reason"] in decision.reasons else f"{clause(balance['reason'])}."
    weights = sorted(balance["weights"].items(), key=lambda pair: -pair[1])
    if not weights:
        return why
    rows = [[name(label), f"{weight:.3f}"] for label, weight in weights[:LISTED_CLASSES]]
    rest = len(weights) - len(rows)
    more = f"The other {rest} classes weigh no more than these." if rest else ""
    listed = table(["class", "weight of an image in the loss"], rows, 1)
    lead = " ".join(words for words in (why, BALANCED[balance["method"]], more) if words)
    return f"{lead}\n\n{listed}"


BALANCED = {
    "weights": "So that all classes count alike, an image weighs by its class.",
    "sampler": "Gradient phases draw all classes equally often; the linear classifier, which draws "
    "nothing, weighs each image by its class.",
}
