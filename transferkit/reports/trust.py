"""How far a classifier can be believed, what to look at and what it costs: parts of the Markdown page."""

from collections.abc import Callable, Collection, Sequence

from transferkit.evaluation.calibration import Belief
from transferkit.evaluation.gallery import Picture
from transferkit.evaluation.paired import Against, Paired
from transferkit.evaluation.report import Report
from transferkit.reports.tables import name, percent, table, text

LISTED = 12
RESEMBLES = "of that class most like it"


def trust_sections(report: Report, drawn: Collection[str]) -> list[str]:
    """Calibration, rejection and sets of classes; nothing for images of several classes."""
    if report.calibration is None:
        return []
    return [
        "## How far it can be believed",
        _calibration(report),
        _figure("reliability", "Reliability diagram", drawn),
        rejection_words(report),
        _figure("coverage", "Accuracy against coverage", drawn),
        conformal_words(report),
        " ".join(filter(None, [strangeness_words(report), strangest_words(report)])),
    ]


def _figure(file: str, words: str, drawn: Collection[str]) -> str:
    return f"![{words}](figures/{file}.svg)" if file in drawn else ""


def _calibration(report: Report) -> str:
    found = report.calibration
    assert found is not None
    splits = list(found.before)

    def row(label: str, key: str) -> list[str]:
        cells = [label]
        for split in splits:
            cells.append(belief_words(*(getattr(each[split], key) for each in (found.before, found.after))))
        return cells

    rows = [row(label, key) for label, key in BELIEFS.items()]
    head = "" if found.temperature == 1 else "as it is → at the temperature"
    return f"{calibration_words(report)}\n\n{table([head, *splits], rows, len(splits))}"


BELIEFS = {
    "log-loss": "nll",
    "Brier score (0 to 2)": "brier",
    "calibration error, 15 bins of equal width": "ece",
    "… by chance alone, were all probabilities true": "ece_by_chance",
    "calibration error, bins of equally many images": "adaptive_ece",
    "… by chance alone, in these bins": "adaptive_ece_by_chance",
}
assert set(BELIEFS.values()) < set(Belief.__dataclass_fields__)


READ = (
    "Lower is better. A calibration error is to be compared with what chance alone would make of it if all "
    "probabilities were true, not with 0:"
)


def belief_words(before: float | None, after: float | None) -> str:
    """A cell of the table of `BELIEFS`."""
    if before is None or after is None:
        return "–"
    same = f"{before:.3f}" == f"{after:.3f}"
    return f"{after:.3f}" if same else f"{before:.3f} → {after:.3f}"


def calibration_words(report: Report) -> str:
    """What the temperature says, in a sentence or two."""
    found = report.calibration
    assert found is not None
    if found.temperature == 1:
        return (
            f"On the {found.images} images of val no temperature is more than chance better than none: the "
            f"probabilities stay as they are. {READ}"
        )
    sure = "too sure of itself" if found.temperature > 1 else "not sure enough"
    if 0.95 < found.temperature < 1.05:
        sure = "about as sure as it should be"
    return (
        f"Dividing the logits by {found.temperature:.2f} makes the {found.images} images of val "
        "likeliest: the "
        f"model is {sure}. The answers stay the same, their probabilities change. {READ}"
    )


def rejection_words(report: Report) -> str:
    """The threshold for the precision that was asked for, and what it does."""
    found = report.rejection
    assert found is not None
    if found.threshold is None or found.val is None:
        return (
            f"No threshold makes {percent(found.target)} of the answers on val right (`--target-precision`)."
        )
    if found.val.coverage == 1:
        return (
            f"All answers on val together are right in at least {percent(found.target)}, what was asked for "
            "(`--target-precision`), so none is to be taken back for being unsure."
        )
    asked = (
        f"Asked for {percent(found.target)} right answers (`--target-precision`): taking back all that are "
        f"less sure than {found.threshold:.3f} (probabilities at the temperature), val keeps "
        f"{percent(found.val.coverage)} of its images."
    )
    kept = found.judged
    if kept is None:
        return f"{asked} There is no test part to see what that does on images that chose nothing."
    right = (
        f"{percent(kept.precision)} of these right (95 % interval {percent(kept.low)} to "
        f"{percent(kept.high)})"
        if kept.precision is not None
        else "none of them"
    )
    return f"{asked} On {found.split} {percent(kept.coverage)} get an answer, {right}."


def conformal_words(report: Report) -> str:
    """What sets of classes do."""
    found = report.conformal
    if found is None and report.headline == "val":
        return "Sets of classes that hold the right one are told where a test part can check them."
    if found is None:
        return "Val has too few images for sets of classes that hold the right one (`--target-coverage`)."
    return (
        f"Sets of classes (`--target-coverage`): all of probability {found.threshold:.3f} and above, at the "
        f"temperature, hold the right one in "
        f"{percent(found.target)} of images, if these are like val's {found.val_images}. On "
        f"{found.split} they do in "
        f"{percent(found.coverage)} (95 % interval {percent(found.low)} to {percent(found.high)}), with "
        f"{found.mean_size:.2f} classes on average; {percent(found.single)} name one class, "
        f"{percent(found.empty)} none."
    )


def strangeness_words(report: Report) -> str:
    """From where on an image is unlike all that was trained on."""
    found = report.strangeness
    if found is None:
        return ""
    told = (
        "Unknown images: how strange an image is, one less the cosine to the train image most like it at the "
        f"last stage, stays up to {found.threshold:.3f} for {percent(found.val_passing)} of "
        f"{found.val_images} images of val"
    )
    if found.split != "val":
        told += (
            f", and for {percent(found.passing)} of {found.images} of {found.split} (95 % interval "
            f"{percent(found.low)} to {percent(found.high)})"
        )
    return (
        f"{told}. One that is stranger may be of none of the classes; `transferkit evaluate RUN DATA "
        "--unknown OTHERS` measures how well that tells."
    )


def strangest_words(report: Report, written: Callable[[str], str] = text) -> str:
    """The images that lie farthest from all that was trained on.

    Args:
        report: whose.
        written: a path as the page writes it; Markdown's way where none is given.
    """
    found = report.strangeness
    if found is None:
        return ""
    named = ", ".join(f"{written(path)} ({score:.3f})" for path, score in found.strangest)
    return f"The strangest of {found.split}: {named}."


def mistakes_section(report: Report) -> str:
    """The surest mistakes, and the right answers least sure."""
    found = report.gallery
    if found is None:
        return ""
    parts = []
    if found.mistakes:
        parts += [
            f"The surest of {found.wrong} mistakes; `report.html` shows them:",
            _pictures(found.mistakes),
        ]
    if found.unsure:
        parts += ["Right, but least sure:", _pictures(found.unsure, "answer")]
    return "\n\n".join(parts)


def doubts_section(report: Report) -> str:
    """Labels that may be wrong."""
    found = report.doubts
    if found is None or not found.suspects:
        return ""
    shown = found.suspects[:LISTED]
    header, rows = _listed(shown, "suggested", "p of it")
    nearest = [text(one.neighbours[0]) if one.neighbours else "" for one in shown]
    rows = [[*row[:3], near, *row[3:]] for row, near in zip(rows, nearest, strict=True)]
    rest = len(found.suspects) - len(shown)
    more = f"\n\nThe next {rest} are in `report.html`, all of them in `fixes.csv`." if rest else ""
    made = table([*header[:3], RESEMBLES, *header[3:]], rows, 2)
    return f"## Suspect labels\n\n{doubts_words(report)}\n\n{made}{more}"


def doubts_words(report: Report) -> str:
    """How they were found and what to do."""
    found = report.doubts
    assert found is not None
    some = "label is" if found.doubted == 1 else "labels are"
    return (
        f"Of {found.images} images {found.doubted} {some} hard to believe: to classifiers that had not seen "
        "the image it is as probable for another class as the images of that class are. The list begins with "
        "the least believed and goes on with all that another class is more probable for, hard images whose "
        "labels may be right. Look at each; into the column fix of `fixes.csv` write the right class, the "
        "word `suggested` or the word `exclude`, and leave it empty where the label is right. Then train "
        "again: `transferkit finetune DATA --recipe RUN/recipe.yaml --fixes RUN/fixes.csv`."
    )


def _pictures(some: Sequence[Picture], answer: str = "taken for") -> str:
    header, rows = _listed(some, answer, "p")
    return table(header, rows, 2)


def _listed(some: Sequence[Picture], answer: str, p: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of images."""
    rows = [
        [text(one.path), name(one.label), name(one.answer), f"{one.p:.3f}", f"{one.p_label:.3f}"]
        for one in some
    ]
    return ["file", "class", answer, p, "p of the class"], rows


def growth_section(report: Report, drawn: Collection[str]) -> str:
    """Whether more images would help."""
    found = report.growth
    if found is None:
        return ""
    picture = _figure("growth", "Would more images help?", drawn)
    return "\n\n".join(filter(None, [text(found.sentence), picture]))


def against_words(found: Against) -> str:
    """The verdict of a comparison with an earlier run."""
    return _verdict(found.name, found.paired, "the earlier one")


def over_linear_words(report: Report) -> str:
    """The verdict of what is kept over the linear classifier; "" where it is that."""
    both = report.over_linear
    if both is None:
        return ""
    told = _verdict("the linear classifier on the last stage", both, "the linear one")
    optimistic = " Val chose what is kept, so that is optimistic." if report.headline == "val" else ""
    return f"{told}{optimistic}"


def _verdict(name: str, both: Paired, other: str) -> str:
    points = (
        f"{100 * both.difference:+.1f} points (95 % interval {100 * both.low:+.1f} to {100 * both.high:+.1f})"
    )
    verdict = (
        (f"better by {points}" if both.difference > 0 else f"worse by {points}")
        if both.distinguishable
        else f"not distinguishable on n={both.n}: {points}"
    )
    verdict += f" ({both.at_odds})" if both.at_odds else ""
    return (
        f"Against {name}: {verdict}; it alone is right on {both.only_second} images, {other} alone on "
        f"{both.only_first} (McNemar p = {both.p:.3g})."
    )


def cost_section(report: Report) -> str:
    """What the model costs to keep and to ask."""
    found = report.cost
    if found is None:
        return ""
    rows = [[label, value] for label, value in cost_rows(report)]
    return f"## Cost\n\n{table(['', ''], rows, 1)}"


def cost_rows(report: Report) -> list[tuple[str, str]]:
    """What there is to say of the cost, with its number."""
    found = report.cost
    assert found is not None
    rate = "not timed: too few whole batches were judged"
    if found.images_per_second is not None:
        rate = f"{found.images_per_second:.0f}"
    return [
        ("parameters", f"{found.parameters:,}"),
        (f"multiply-adds of an image of {found.image_size} px", f"{found.macs / 1e6:,.0f} million"),
        ("model.keras", f"{found.file_bytes / 1e6:.1f} MB"),
        ("activations of an image", f"{found.activation_bytes / 1e6:.1f} MB"),
        (f"images a second on {found.device}", rate),
    ]
