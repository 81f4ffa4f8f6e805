"""The section of a report on its images: where they are, that no split saw another's, what was odd."""

from collections.abc import Mapping

from transferkit.data.findings import KINDS, LEVELS
from transferkit.evaluation.report import Data, Report
from transferkit.reports.tables import LISTED_CLASSES, name, table, text

LISTED_FILES = 20

SHARED = {
    "path": "the same path",
    "content": "the same bytes",
    "group": "a group, such as a patient",
    "near duplicates": "a picture and its near duplicate",
}


def data_section(report: Report) -> str:
    """Images by split and class, the proof of the splits, findings, and files set aside."""
    data = report.data
    parts = [_counts(report), _proof(data), _findings(data.findings), _excluded(data.excluded)]
    return "\n\n".join(part for part in parts if part)


def _counts(report: Report) -> str:
    """Images by split, and by class where the classes are few."""
    data, totals = report.data, report.data.totals()
    rows = [["**all**", *(f"**{total}**" for total in totals.values())]]
    if data.classes <= LISTED_CLASSES:
        rows += [
            [name(label), *(str(data.counts[split].get(label, 0)) for split in totals)]
            for label in report.class_names
        ]
    header = ["class", *map(text, totals)]
    words = f"{text(data.name)}: {sum(totals.values())} images of {data.classes} classes."
    several = " An image counts for each of its classes." if report.multilabel else ""
    return f"{words}{several}\n\n{table(header, rows, len(totals))}"


def _proof(data: Data) -> str:
    """What each two splits share, counted; nothing where it was not."""
    pairs = list(dict.fromkeys(pair for shared in data.intersections.values() for pair in shared))
    if not pairs:
        return ""
    rows = [
        [SHARED.get(what, text(what)), *(str(shared[pair]) if pair in shared else "" for pair in pairs)]
        for what, shared in data.intersections.items()
    ]
    words = (
        "**WARNING: the splits are not apart.** The model was judged by images, or by likes of images, "
        "that it learned from or was chosen by: do not trust the figures above."
        if data.shared()
        else "The splits share nothing, counted over all their images:"
    )
    header = ["shared", *(text(pair.replace("&", "and")) for pair in pairs)]
    return f"{words}\n\n{table(header, rows, len(pairs))}"


def _findings(findings: Mapping[str, int]) -> str:
    """How many files each kind of finding is on, the errors first."""
    if not findings:
        return ""
    order = sorted(findings, key=lambda kind: LEVELS.index(KINDS[kind].level))
    rows = [
        [kind, KINDS[kind].level, text(KINDS[kind].meaning), text(KINDS[kind].remedy), str(findings[kind])]
        for kind in order
    ]
    header = ["finding", "level", "meaning", "what is done, or to do", "files"]
    return f"What the look at every file found:\n\n{table(header, rows, 1)}"


def _excluded(files: tuple[tuple[str, str], ...]) -> str:
    if not files:
        return "No file was set aside."
    rows = [[text(path), text(reason)] for path, reason in files[:LISTED_FILES]]
    rest = len(files) - len(rows)
    more = f"\n\nand {rest} more: `excluded.csv`" if rest else ""
    return f"Set aside, {len(files)} files:\n\n{table(['file', 'reason'], rows)}{more}"
