"""The kinds of findings: names that scripts may rely on, with their levels and remedies."""

from typing import NamedTuple

from transferkit.data.balance import AUTO_RATIO

LEVELS = ("error", "warning", "note")
TINY_PX = 32
EXTREME_ASPECT = 4.0
UNIFORM_CONTRAST = 1.0  # standard deviation of the luma, in grey levels
DARK_BRIGHT = 40.0  # 95th percentile of the luma
BLURRED_SMOOTHNESS = 3.3  # of 4; see `data.scan.Facts`


class Kind(NamedTuple):
    """A kind of finding: its usual level, what it means, what to do about it."""

    level: str
    meaning: str
    remedy: str


KINDS = {
    "unreadable": Kind("error", "cannot be read", "left out; repair or remove it"),
    "truncated": Kind("error", "ends too early", "left out if pixels are missing; copy it anew"),
    "not-an-image": Kind("error", "an image by name only", "left out; remove it or fetch it anew"),
    "too-large": Kind("error", "more pixels than are decoded", "left out; make it smaller"),
    "label-conflict": Kind("error", "one picture, two labels", "decide which; --exclude-list has both"),
    "leak": Kind("error", "one picture or group, two splits", "left out of train (of val, if test has it)"),
    "small-class": Kind("error", "too few images to split", "add images, or leave the class out"),
    "name-collision": Kind(
        "error", "names alike but for case, blanks or Unicode form", "merge or rename them"
    ),
    "wrong-extension": Kind("warning", "of another format than its name says", "used as what it is"),
    "tiny": Kind("warning", f"a side under {TINY_PX} px", "used; is it a thumbnail?"),
    "extreme-aspect": Kind("warning", f"longer than {EXTREME_ASPECT:g} to 1", "used; --resize pad keeps all"),
    "uniform": Kind("warning", "nearly one colour", "used; look at it"),
    "dark": Kind("warning", "nearly black", "used; look at it"),
    "blurred": Kind("warning", "without detail at 96 px", "used; look at it"),
    "near-duplicate": Kind("warning", "one picture, saved anew or mirrored", "kept in one split"),
    "imbalance": Kind("warning", f"over {AUTO_RATIO:g} to 1 between classes", "--balance auto weights them"),
    "ignored": Kind("note", "not taken for an image of a class", "left out"),
    "duplicate": Kind("note", "the same bytes", "kept in one split; one is enough"),
    "exif-rotated": Kind("note", "turned by its EXIF", "decoded upright"),
    "alpha": Kind("note", "has transparency", "laid on white"),
    "palette": Kind("note", "indexed colours", "decoded to RGB"),
    "16-bit": Kind("note", "more than 8 bits a channel", "scaled by its depth, not cut"),
    "cmyk": Kind("note", "print colours", "converted to RGB"),
    "animated": Kind("note", "several frames or pages", "the first is taken"),
}
PROBLEMS = ("unreadable", "truncated", "not-an-image", "too-large")


class Finding(NamedTuple):
    """One row of the audit; a path ending in / is a folder, `.` the whole."""

    path: str
    finding: str
    level: str
    detail: str


def finding(path: str, name: str, detail: str, level: str = "") -> Finding:
    """A finding of the level that its kind has, unless another is given."""
    return Finding(path, name, level or KINDS[name].level, detail)
