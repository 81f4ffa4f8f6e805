"""What the curves say, as a part of the page."""

from collections.abc import Sequence

from transferkit.evaluation.diagnosis import Diagnosis
from transferkit.reports.tables import text


def diagnosis_section(found: Sequence[Diagnosis]) -> str:
    """A line for each finding with its numbers and what to change; "" without any."""
    if not found:
        return ""
    lines = [
        f"- **{one.finding}**: {text(one.evidence)}.{f' {text(one.advice)}.' if one.advice else ''}"
        for one in found
    ]
    return "\n".join(["Diagnosis:", "", *lines])
