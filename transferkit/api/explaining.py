"""Why a run says what it says: what spoke for its answer, what it resembles, what its filters look for."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from transferkit.api.filters import Filter, data_root, filters_of, first_filters
from transferkit.api.prediction import expanded, load_model
from transferkit.api.reference import Reference, last_cut, read_reference
from transferkit.data.decode import DecodePolicy, decode, decode_chunks
from transferkit.errors import DataError, UnreadableImage, UsageError, unknown_name
from transferkit.evaluation.metrics import rank
from transferkit.evaluation.unknown import cosines_to
from transferkit.printable import shown
from transferkit.progress import say
from transferkit.runs import Run
from transferkit.training.described import described, describer
from transferkit.training.device import prepare
from transferkit.training.explain import LEAST_PLACES, gradcam

NEAREST = 3
# Pictures of more would make a page that no browser likes.
MOST = 200


@dataclass(frozen=True, kw_only=True)
class Explained:
    """One image.

    Attributes:
        path: of its file.
        pixels: uint8 `(S, S, 3)`, as the model saw it.
        heat: `(h, w)` in 0..1, what spoke for the answer.
        top5: (class, probability), the most probable first.
        nearest: (path, class, cosine) of the train images most like it, itself left out.
        strange: one less the cosine to the nearest, 0..2.
        usual: what that stays up to for 95 % of val; None where the run does not know it.
        split: of the run that it was in, by the bytes of its file; "" if in none.
    """

    path: str
    pixels: np.ndarray
    heat: np.ndarray
    top5: tuple[tuple[str, float], ...]
    nearest: tuple[tuple[str, str, float], ...]
    strange: float
    split: str = ""
    usual: float | None = None

    @property
    def strangeness(self) -> str:
        """How strange it is beside what is usual."""
        if self.usual is None:
            return f"{self.strange:.3f}"
        if self.strange <= self.usual:
            return f"{self.strange:.3f} (up to {self.usual:.3f} is usual)"
        return f"{self.strange:.3f} (up to {self.usual:.3f} is usual: it may be of none of the classes)"


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What `explain` found. In notebooks with the pictures.

    Attributes:
        stage: where the heat was taken.
        images: that could be read.
        failed: path -> why it could not be.
        filters: of the first convolution, where they were asked for.
        ranked: train images that `filters` were ranked by; with 0, where not one can be read where it was,
            those given were.
        kept: train images that the run keeps for comparing, a thousand at most.
    """

    stage: str
    images: tuple[Explained, ...]
    failed: dict[str, str]
    filters: tuple[Filter, ...] = ()
    ranked: int = 0
    kept: int = 0

    def __repr__(self) -> str:
        lines = [f"{len(self.images)} images, heat taken at {self.stage}"]
        for one in self.images:
            best = ", ".join(f"{shown(name)} {p:.1%}" for name, p in one.top5)
            known = f", one of {one.split}" if one.split else ""
            lines.append(f"{shown(one.path)}: {best}; strangeness {one.strangeness}{known}")
        if self.filters:
            lines.append(f"{len(self.filters)} filters beside {filters_of(self.ranked, self.kept)}")
        return "\n".join([*lines, *(f"left out: {shown(path)}: {why}" for path, why in self.failed.items())])

    def _repr_html_(self) -> str:
        from transferkit.reports.explanation import fragment

        below = filters_of(self.ranked, self.kept) if self.filters else ""
        return fragment(self.images, self.failed, stage=self.stage, filters=below)


def explain(
    run: Run | str | Path,
    paths: str | Path | Iterable[str | Path],
    *,
    stage: str | None = None,
    filters: bool = False,
    device: str = "auto",
) -> Explanation:
    """Grad-CAM at a stage, the five most probable classes and the train images most like each image.

    Args:
        run: a finished run, or its folder.
        paths: files and folders.
        stage: its name; None takes the last of at least 4 x 4 places. An earlier one is finer and sees less.
        filters: the first convolution's filters too, with those of the train images that the run keeps for
            comparing (a thousand at most) that excite each most.
        device: `auto`, `cpu`, `gpu` or `gpu:N`.

    Raises:
        UsageError: no file, no such stage, or images of several classes.
        DataError: none can be read, or a run of an earlier version.
    """
    run = Run.open(run)
    if run.multilabel:
        raise UsageError("explain asks why one class was named, and images of this run may have several.")
    cut, stages = last_cut(run)
    if stage is not None and stage not in stages:
        raise unknown_name("stage", stage, stages, f"It has: {', '.join(stages)}.")
    reference = read_reference(run)
    files, failed = expanded(paths)
    if len(files) > MOST:
        raise UsageError(f"{len(files)} images are more than a page should hold; give {MOST} at most.")
    prepare(device, "float32")
    model = load_model(run)
    policy = DecodePolicy(size_px=int(run.plan["image_size"]), resize=run.plan["resize"])
    read, images = _decoded(files, policy, run.recipe.batch_size, failed)
    features, probabilities = described(describer(model, cut), images, len(run.labels), run.recipe.batch_size)
    stage = stage or _finest(run)
    heats = gradcam(model, stages[stage], images, probabilities.argmax(axis=1))
    seen = _Seen(images, heats, features, probabilities)
    found = _explained(run, reference, read, seen)
    drawn, ranked = first_filters(model, run, reference, read, images) if filters else ((), 0)
    return Explanation(
        stage=stage,
        images=found,
        failed=failed,
        filters=drawn,
        ranked=ranked,
        kept=len(reference.paths),
    )


class _Seen(NamedTuple):
    """What the model saw and said of some images, a row for each."""

    images: np.ndarray
    heats: np.ndarray
    features: np.ndarray
    probabilities: np.ndarray


def _explained(run: Run, reference: Reference, paths: Sequence[str], seen: _Seen) -> tuple[Explained, ...]:
    """What there is to say of each image."""
    cosines = cosines_to(seen.features, reference.features)
    splits, itself = _known(run, paths, reference.paths)
    usual = (run.numbers.get("strangeness") or {}).get("threshold")
    cosines[itself] = -np.inf
    return tuple(
        Explained(
            path=path,
            pixels=pixels,
            heat=heat,
            top5=tuple((run.labels[c], float(p[c])) for c in rank(p[None])[0][:5]),
            nearest=_nearest(reference, likeness),
            strange=1 - float(likeness.max()),
            split=split,
            usual=usual,
        )
        for path, pixels, heat, p, likeness, split in zip(
            paths, seen.images, seen.heats, seen.probabilities, cosines, splits, strict=True
        )
    )


def _nearest(reference: Reference, likeness: np.ndarray) -> tuple[tuple[str, str, float], ...]:
    """(path, class, cosine) of the train images most like one, by its cosine to each; -inf is left out."""
    order = np.argsort(-likeness, kind="stable")[:NEAREST]
    return tuple(
        (reference.paths[n], reference.labels[n], float(likeness[n]))
        for n in order
        if np.isfinite(likeness[n])
    )


def _known(run: Run, paths: Sequence[str], reference: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The split of each image that the run had, by its bytes; and where in the reference it is itself.

    Args:
        run: whose images are known.
        paths: of the images.
        reference: paths of the train images that are kept.

    Returns:
        A split, "" for one it had not, of each; bool `(images, reference)`, all False in the row of one
        beside which there is no other to be like.
    """
    itself = np.zeros((len(paths), len(reference)), bool)
    if not run.keeps_content:
        say("content.csv is not in the run: whether it has seen these images was not checked")
        return [""] * len(paths), itself
    content = run.content
    split_of = dict(zip(content["sha256"], content["split"], strict=True))
    sha_of = dict(zip(content["path"], content["sha256"], strict=True))
    kept = np.array([sha_of.get(path, "") for path in reference])
    splits = []
    for number, path in enumerate(paths):
        with Path(path).open("rb") as stream:
            sha = hashlib.file_digest(stream, "sha256").hexdigest()
        splits.append(str(split_of.get(sha, "")))
        same = kept == sha
        itself[number] = same & (not same.all())
    return splits, itself


def _finest(run: Run) -> str:
    """The last stage that has places enough to show where something is, else the first."""
    stages = run.plan["stages"]
    fine = [one["name"] for one in stages if one["size_px"] >= LEAST_PLACES]
    return str(fine[-1] if fine else stages[0]["name"])


def train_image(run: Run) -> Callable[[str], np.ndarray | None]:
    """What gives the pixels of a train image by its path, or None where the data have moved or gone."""
    root = data_root(run)
    policy = DecodePolicy(size_px=int(run.plan["image_size"]), resize=run.plan["resize"])

    def read(path: str) -> np.ndarray | None:
        try:
            return decode(root / path, policy)
        except UnreadableImage:
            return None

    return read


def _decoded(
    files: Sequence[Path], policy: DecodePolicy, batch: int, failed: dict[str, str]
) -> tuple[list[str], np.ndarray]:
    read: list[str] = []
    parts: list[np.ndarray] = []
    for chunk in decode_chunks(files, policy, batch):
        failed |= {str(files[row]): reason for row, reason in chunk.failed.items()}
        read += [str(files[row]) for row in chunk.rows]
        parts.append(chunk.images)
    if not read:
        first = next(iter(failed.items()))
        raise DataError(
            f"not one of {len(files)} files could be read as an image, such as {first[0]}: {first[1]}"
        )
    return read, np.concatenate(parts)
