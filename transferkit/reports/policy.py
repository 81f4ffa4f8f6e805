"""How training images were changed, in words and cells that Markdown and HTML share."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from transferkit.evaluation.report import Decision

# Where nothing was fine-tuned and the linear classifiers had no views.
UNCHANGED = (
    "The policy {} was in force, but no training image was changed: there was no fine-tuning, and the linear "
    "classifiers saw the images as they are."
)
SAFETY_HEADER = ("change", "recognised as they are", "recognised changed", "found")


def unchanged(found: Mapping[str, Any]) -> bool:
    """Whether a policy was in force and changed nothing."""
    return not found["views"] and not found["fed"]


def how_changed(decision: Decision) -> str:
    """What linear classifiers and fine-tuning saw; sentences."""
    found = decision.augment
    if not found["views"]:
        views = "The linear classifiers saw the images as they are."
    elif taken := _taken(decision.tried):
        views = (
            f"The linear classifiers were tried with {found['views']} changed views of each training image "
            f"too, and without{taken}."
        )
    else:
        views = (
            f"The linear classifiers saw {found['views']} changed views of each training image too: too few "
            "images to try both ways."
        )
    return " ".join(filter(None, (views, f"{found['fed']}." if found["fed"] else "")))


def _taken(tried: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Which of both cross-validation took, by phase."""
    told = [
        f"{phase} {'with' if rows[0]['views'] else 'without'}"
        for phase, rows in tried.items()
        if any(row["views"] for row in rows)
    ]
    return f"; cross-validation took {', '.join(told)}" if told else ""


def safety_cells(found: Mapping[str, Any], share: Callable[[float], Any]) -> list[list[Any]]:
    """A row for each change that was measured: by `share` what was recognised, and what is made of it."""
    return [
        [row["change"], share(row["plain"]), share(row["changed"]), _found(row)] for row in found["safety"]
    ]


def _found(row: Mapping[str, Any]) -> str:
    if "verdict" not in row:  # of an earlier version
        return "safe" if row["safe"] else "NOT safe: left out"
    return f"{row['verdict']}{': left out' if row['left_out'] else ''}"
