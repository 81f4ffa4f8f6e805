"""The audit: what a person should know of a data set before anything is trained on it.

Each finding is a row `path,finding,level,detail`. Errors spoil a classifier or its measurement,
warnings may, notes tell how a file is treated. Nothing is ever changed on disk.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from transferkit.data.balance import AUTO_RATIO, imbalance_ratio
from transferkit.data.copies import copies, find_alike, leaked
from transferkit.data.examine import Examined
from transferkit.data.findings import (
    BLURRED_SMOOTHNESS,
    DARK_BRIGHT,
    EXTREME_ASPECT,
    KINDS,
    LEVELS,
    TINY_PX,
    UNIFORM_CONTRAST,
    Finding,
    finding,
)
from transferkit.data.folder import BESIDE, EMPTY_CLASS
from transferkit.data.index import Index, names_of
from transferkit.data.signature import SUFFIXES
from transferkit.data.units import members, unit_numbers

if TYPE_CHECKING:
    import pandas as pd

WHOLE = "."  # the path of a finding on the data set as a whole


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        root: of the paths.
        classes: class -> split -> images that can be used, and `total`.
        findings: `path,finding,level,detail`, errors first.
        files: files that were examined; `scanned` of them read now, the rest known from before.
        seconds: the scan and the comparison took.
        exclude: paths whose exclusion clears the errors that files cause, with the finding.
        lost: classes, and classes of given splits, of which that would leave no image.
    """

    root: Path
    classes: dict[str, dict[str, int]]
    findings: "pd.DataFrame"
    files: int
    scanned: int
    seconds: float
    exclude: "pd.DataFrame"
    lost: tuple[str, ...] = ()

    @property
    def errors(self) -> int:
        """Findings of level error."""
        return int((self.findings["level"] == "error").sum())


def audit(examined: Examined, seconds: float = 0.0) -> Audit:
    """Every finding on a data set whose files have been examined."""
    import pandas as pd

    alike = find_alike(examined)
    rows = [
        *_left_out(examined),
        *_of_files(examined),
        *copies(alike),
        *_of_classes(examined),
    ]
    rank = {level: place for place, level in enumerate(LEVELS)}
    names = list(KINDS)
    rows = sorted(
        set(rows), key=lambda row: (rank[row.level], names.index(row.finding), row.path, row.detail)
    )
    findings = pd.DataFrame(rows, columns=list(Finding._fields))
    exclude = _to_exclude(examined, rows, set(leaked(alike)))
    return Audit(
        root=examined.listed.root,
        classes=class_counts(examined.usable),
        findings=findings,
        files=len(examined.facts),
        scanned=examined.scanned,
        seconds=seconds,
        exclude=exclude,
        lost=tuple(_lost(examined.usable, set(exclude["path"]))),
    )


def _left_out(examined: Examined) -> Iterator[Finding]:
    """What the index leaves out, and what the scan could not decode."""
    for path, reason, name in examined.usable.excluded.itertuples(index=False):
        if name:
            # An empty folder makes no class and no harm; pictures that nobody uses may be missed.
            missed = reason in (BESIDE, EMPTY_CLASS.reason)
            yield finding(path, name, reason, "warning" if missed else "")


def _of_files(examined: Examined) -> Iterator[Finding]:
    """What single files are."""
    facts = examined.facts.assign(path=examined.listed.files["path"])
    facts = facts[facts["problem"] == ""]
    if facts.empty:
        return
    short = facts[["width", "height"]].min(axis=1)
    aspect = facts[["width", "height"]].max(axis=1) / short.clip(lower=1)
    flat = facts["contrast"] < UNIFORM_CONTRAST
    dark = facts["bright"] < DARK_BRIGHT
    blurred = (facts["smoothness"] > BLURRED_SMOOTHNESS) & ~flat & ~dark & (short >= TINY_PX)
    size = facts["width"].astype(str) + "x" + facts["height"].astype(str) + " px"
    tests: list[tuple[str, pd.Series, pd.Series | str]] = [
        ("wrong-extension", _wrong_extension(facts), "is " + facts["format"]),
        ("exif-rotated", facts["orientation"] != 1, "orientation " + facts["orientation"].astype(str)),
        ("alpha", facts["alpha"].astype(bool), "mode " + facts["mode"]),
        ("palette", facts["mode"].isin(["P", "PA"]), "mode " + facts["mode"]),
        ("16-bit", facts["bits"] > 8, facts["bits"].astype(str) + " bits a channel"),
        ("cmyk", facts["mode"] == "CMYK", "mode CMYK"),
        ("animated", facts["frames"] > 1, facts["frames"].astype(str) + " frames"),
        ("tiny", short < TINY_PX, size),
        ("extreme-aspect", aspect > EXTREME_ASPECT, size),
        ("uniform", flat, "its luma deviates by " + facts["contrast"].map("{:.1f} of 255".format)),
        ("dark", dark, "95 % of its pixels are below " + facts["bright"].map("{:.0f} of 255".format)),
        ("blurred", blurred, "smoothness " + facts["smoothness"].map("{:.2f}; 4 has no detail".format)),
    ]
    for name, where, detail in tests:
        told = facts["path"].to_frame().assign(detail=detail)[where]
        for path, text in told.itertuples(index=False):
            yield finding(path, name, text)
    for path in facts.loc[~facts["complete"].astype(bool), "path"]:
        yield finding(path, "truncated", "its end is missing, though all pixels could be decoded", "warning")


def _wrong_extension(facts: "pd.DataFrame") -> "pd.Series":
    suffixes = facts["path"].map(lambda path: PurePosixPath(path).suffix.lower())
    wrong = [
        form in SUFFIXES and suffix not in SUFFIXES[form]
        for form, suffix in zip(facts["format"], suffixes, strict=True)
    ]
    import pandas as pd

    return pd.Series(wrong, index=facts.index, dtype=bool)


def class_counts(index: Index) -> dict[str, dict[str, int]]:
    """Class -> split (where splits are given) -> images that can be used, and `total`."""
    counts = {label: {"total": n} for label, n in index.counted().items()}
    for split in sorted(set(index.files["split"]) - {""}):
        for label, n in index.counted(index.files[index.files["split"] == split]).items():
            counts[label][split] = n
    return counts


def _of_classes(examined: Examined) -> Iterator[Finding]:
    """What is wrong with classes as such."""
    counts = class_counts(examined.usable)
    if len(counts) == 1:
        yield finding(WHOLE, "small-class", f"one class only ({next(iter(counts))}); two are needed")
    yield from _small_classes(examined)
    yield from _missing_classes(counts)
    alike = defaultdict(list)
    for label in counts:
        alike[unicodedata.normalize("NFKC", label).casefold().strip()].append(label)
    for names in alike.values():
        for name in names if len(names) > 1 else ():
            others = ", ".join(ascii(other) for other in names if other != name)
            yield finding(
                f"{name}/", "name-collision", f"alike but for case, blanks or Unicode form: {others}"
            )
    yield from _imbalance({label: found["total"] for label, found in counts.items()})


def _small_classes(examined: Examined) -> Iterator[Finding]:
    """Classes that cannot have an image in each split that is drawn, beside those that are given."""
    files = examined.usable.files
    given = set(files["split"]) - {""}
    parts = ["train", *([] if "val" in given else ["val"] if "test" in given else ["val", "test"])]
    unit, classes = unit_numbers(files), members(files, examined.usable.multilabel)
    held = files["split"].isin(["val", "test"]).to_numpy()
    free = ~np.isin(unit, unit[held])[classes.row]
    apart = np.unique(np.stack([classes.label, unit[classes.row]])[:, free], axis=1)
    different = Counter(classes.names[label] for label in apart[0].tolist())
    where = " in train" if given else ""
    for label in examined.listed.labels:
        if different[label] < len(parts):
            images = "image" if different[label] == 1 else "images"
            detail = (
                f"{different[label]} different {images}{where}; one each is needed for {', '.join(parts)}"
            )
            yield finding(f"{label}/", "small-class", detail)


def _missing_classes(counts: dict[str, dict[str, int]]) -> Iterator[Finding]:
    """Classes that a given val or test has no image of: its figures say nothing of them."""
    given = {split for found in counts.values() for split in found} & {"val", "test"}
    for split in sorted(given, reverse=True):
        for label, found in counts.items():
            if split not in found:
                detail = f"no image in the given {split}, whose figures say nothing of this class"
                yield finding(f"{label}/", "small-class", detail, "warning")


def _imbalance(totals: dict[str, int]) -> Iterator[Finding]:
    ratio = imbalance_ratio(np.array(list(totals.values())))
    if ratio > AUTO_RATIO:
        most, least = max(totals, key=totals.__getitem__), min(totals, key=totals.__getitem__)
        detail = f"{most} has {totals[most]} images, {least} {totals[least]}: {ratio:.1f} to 1"
        yield finding(WHOLE, "imbalance", detail)


def _to_exclude(examined: Examined, rows: Iterable[Finding], leaks: set[str]) -> "pd.DataFrame":
    """The files whose exclusion clears the errors that files cause, and the copies beyond the first."""
    import pandas as pd

    files = examined.listed.files
    label = dict(zip(files["path"], files["label"], strict=True))
    listed: dict[str, tuple[str, str]] = {}
    for row in rows:
        bad = row.level == "error" and (row.finding != "leak" or row.path in leaks)
        if row.path in label and (bad or row.finding == "duplicate"):
            listed.setdefault(row.path, (row.finding, row.detail))
    small = {r.path: r.detail for r in rows if r.finding == "small-class" and r.level == "error"}
    for path in label:
        for name in names_of(label[path], examined.listed.multilabel):
            if why := small.get(f"{name}/"):
                listed.setdefault(path, ("small-class", f"{name}: {why}"))
    table = [(path, *why) for path, why in sorted(listed.items())]
    return pd.DataFrame(table, columns=["path", "finding", "detail"])


def _lost(index: Index, excluded: set[str]) -> Iterator[str]:
    """The classes that would be gone, and those that a given split would lack."""
    after = replace(index, files=index.files[~index.files["path"].isin(excluded)])
    before, left = class_counts(index), class_counts(after)
    for label, counts in before.items():
        if label not in left:
            yield label
        else:
            yield from (f"{label} in {split}" for split in counts if split not in left[label])
