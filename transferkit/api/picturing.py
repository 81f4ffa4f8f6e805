"""The pictures of a report: mistakes and unsure answers with what spoke for them, and doubted labels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transferkit.api.linear_candidates import has_company
from transferkit.api.work import Candidate, Work
from transferkit.data.decode import decode
from transferkit.data.splits import fold_numbers
from transferkit.data.units import unit_numbers
from transferkit.errors import DataError, UnreadableImage, UsageError
from transferkit.evaluation.gallery import Gallery, Picture, least_sure, surest_mistakes
from transferkit.evaluation.metrics import predict
from transferkit.evaluation.report import Doubts
from transferkit.evaluation.suspects import Suspect, doubted, suspects
from transferkit.printable import shown, visible
from transferkit.progress import say
from transferkit.reports.pictures import overlay, thumbnail
from transferkit.strategies import FeatureSet
from transferkit.training.doubts import unseen_probabilities
from transferkit.training.explain import LEAST_PLACES, gradcam

if TYPE_CHECKING:
    import pandas as pd

PICTURES = "pictures"
# Suspects that are shown with pictures; the rest stand in fixes.csv.
SHOWN = 12
# Suspects that a report lists: as many as a person looks through.
SUSPECTS = 100
FOLDS = 5


def gallery(work: Work, best: Candidate, folder: Path) -> Gallery | None:
    """The images of test (or val) that are worth a look; their pictures are written into the run folder.

    Args:
        work: what the run shares.
        best: the classifier that is kept.
        folder: of the run.
    """
    if work.multilabel:
        return None
    split = "test" if "test" in best.probabilities else "val"
    found, rows = best.probabilities[split], work.rows[split]
    labels = work.labels[rows]
    wrong, unsure = surest_mistakes(found, labels), least_sure(found, labels)
    places = [*wrong, *unsure]
    (folder / PICTURES).mkdir(exist_ok=True)
    drawn = _draw(work, [int(rows[place]) for place in places], folder)
    heated = _heat(
        work, best, drawn, dict(zip(rows[places], found[places].argmax(axis=1), strict=True)), folder
    )
    pictures = [
        Picture(
            path=str(work.index.files["path"].iloc[rows[place]]),
            split=split,
            label=work.class_names[labels[place]],
            answer=work.class_names[int(found[place].argmax())],
            p=float(found[place].max()),
            p_label=float(found[place][labels[place]]),
            thumbnail=_name(row) if (row := int(rows[place])) in drawn else "",
            heat=_name(row, "-heat") if row in heated else "",
        )
        for place in places
    ]
    return Gallery(
        mistakes=tuple(pictures[: len(wrong)]),
        wrong=int((predict(found) != labels).sum()),
        unsure=tuple(pictures[len(wrong) :]),
    )


def doubts(work: Work, best: Candidate, folder: Path) -> tuple[Doubts | None, "pd.DataFrame | None"]:
    """Labels that may be wrong, with pictures of the first; and the content of fixes.csv.

    Every image of the run is judged by a classifier on the bank that has not seen it. Nothing is told where
    images may have several classes; a class that has too few to be judged by others is left out.
    """
    if work.multilabel:
        return None, None
    rows = np.concatenate([work.rows[split] for split in sorted(work.rows)])
    rows = rows[has_company(work.labels[rows], unit_numbers(work.index.files.iloc[rows]))]
    present, labels = np.unique(work.labels[rows], return_inverse=True)
    if len(present) < 2:
        return None, None
    try:
        folds = fold_numbers(work.index.files.iloc[rows], FOLDS, work.recipe.seed)
    except (DataError, UsageError):
        # Two images or groups of a class may fall into one of five folds.
        folds = fold_numbers(work.index.files.iloc[rows], 2, work.recipe.seed)
    features, shrinkage = _features(work, best)
    with work.watch.part("evaluation"):
        found = unseen_probabilities(work.bank, rows, labels, folds, features=features, shrinkage=shrinkage)
        last = work.bank.at([list(work.bank.widths)[-1]], rows)
        listed = suspects(found, labels, last)
        doubtful = int((doubted(found, labels) >= 0).sum())
    (folder / PICTURES).mkdir(exist_ok=True)
    names = [work.class_names[number] for number in present]
    all_shown = [_suspect(work, rows, one, names) for one in listed]
    shown = _with_pictures(work, rows, all_shown[:SUSPECTS], listed[:SUSPECTS], folder)
    return Doubts(suspects=tuple(shown), images=len(rows), doubted=doubtful), _fixes(all_shown)


def _features(work: Work, best: Candidate) -> tuple[FeatureSet, float | None]:
    """What cross-validation on train likes best of discriminants; else the means of the last stage."""
    tried = [one for each in best.chosen.values() for one in each if one.method == "discriminant"]
    if not tried:
        return FeatureSet(stages=(list(work.bank.widths)[-1],), normalised=True), None
    first = min(tried, key=lambda one: one.nll)
    return replace(first.features, selected=()), first.strength


def _suspect(work: Work, rows: np.ndarray, one: Suspect, names: Sequence[str]) -> Picture:
    row, paths = int(rows[one.row]), work.index.files["path"]
    return Picture(
        path=str(paths.iloc[row]),
        neighbours=tuple(str(paths.iloc[int(rows[place])]) for place in one.neighbours),
        split=str(work.index.files["split"].iloc[row]),
        label=names[one.label],
        answer=names[one.suggested],
        p=one.p_suggested,
        p_label=one.p_label,
    )


def _with_pictures(
    work: Work, rows: np.ndarray, shown: Sequence[Picture], listed: Sequence[Suspect], folder: Path
) -> list[Picture]:
    """The first of them with their own picture and those of what they resemble."""
    wanted = [int(rows[row]) for one in listed[:SHOWN] for row in (one.row, *one.neighbours)]
    drawn = _draw(work, list(dict.fromkeys(wanted)), folder)

    def files(places: Sequence[int]) -> tuple[str, ...]:
        return tuple(_name(int(rows[place])) for place in places if int(rows[place]) in drawn)

    return [
        replace(picture, thumbnail=next(iter(files([one.row])), ""), like=files(one.neighbours))
        if number < SHOWN
        else picture
        for number, (picture, one) in enumerate(zip(shown, listed, strict=True))
    ]


def _fixes(shown: Sequence[Picture]) -> "pd.DataFrame":
    """A row for each suspect; its last column is for a person to fill in."""
    import pandas as pd

    columns = ["path", "label", "suggested", "p_suggested", "p_label", "fix"]
    rows = [(one.path, one.label, one.answer, round(one.p, 4), round(one.p_label, 4), "") for one in shown]
    return pd.DataFrame(rows, columns=columns)


def _draw(work: Work, rows: Sequence[int], folder: Path) -> dict[int, np.ndarray]:
    """Pixels as the model saw them of some rows of the index; their thumbnails are written.

    A file that has gone or changed since has no picture.
    """
    found = {}
    for row in rows:
        path = work.index.root / str(work.index.files["path"].iloc[row])
        try:
            found[row] = decode(path, work.extractor.policy)
        except UnreadableImage as error:
            say(f"no picture of {shown(str(path))}: {visible(error)}")
            continue
        thumbnail(found[row], folder / _name(row))
    return found


def _heat(
    work: Work, best: Candidate, drawn: dict[int, np.ndarray], answers: dict[int, int], folder: Path
) -> set[int]:
    """The rows whose heat is written: where the answer was seen, at the last stage that has places."""
    rows = list(drawn)
    if not rows:
        return set()
    images, asked = np.stack([drawn[row] for row in rows]), np.array([answers[row] for row in rows])
    # Of small images the last stages are a place or four, which would be lit whole.
    stages = work.extractor.stages
    stage = next((stage for stage in reversed(stages) if stage.size_px >= LEAST_PLACES), stages[0])
    heats = gradcam(best.model, stage.cut, images, asked)
    for row, image, heat in zip(rows, images, heats, strict=True):
        overlay(image, heat, folder / _name(row, "-heat"))
    return set(rows)


def _name(row: int, kind: str = "") -> str:
    """A picture's file in the run folder; numbers, since a path may hold anything."""
    return f"{PICTURES}/{row}{kind}.jpg"
