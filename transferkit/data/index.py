"""Images as one table: which files, which labels, which given split and group."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from transferkit.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

IMAGE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .gif .bmp .webp .tif .tiff .avif .ppm .pgm .pbm .jp2 .ico "
    ".heic .heif .jxl".split()  # these three are told to be what Pillow does not read
)
NOT_THERE = "to be excluded on request, but not there"
NO_TEXT = "its name is not UTF-8 text: rename it"
ON_REQUEST = "excluded on request"
BETWEEN_NAMES = "|"  # joins the class names of an image that has several


class LeftOut(NamedTuple):
    """A file or folder that is not used: its path, why, and the audit's name for it ("" on request)."""

    path: str
    reason: str
    finding: str


@dataclass(frozen=True)
class Index:
    """What a folder or manifest holds.

    Attributes:
        root: the folder that paths are relative to.
        files: a row for every image: `path` (relative to root, with /), `label`, `split` (given, else
            ""), `group` (files that must share a split, "" for none). Sorted by path. A scan adds
            `sha256`, `width`, `height` and `cluster` (equal for near duplicates).
        excluded: a row for every file that is left out: `path`, `reason`, `finding`.
        multilabel: whether labels are several names joined by a vertical bar.
    """

    root: Path
    files: "pd.DataFrame"
    excluded: "pd.DataFrame"
    multilabel: bool = False

    def targets(self, number: Mapping[str, int], classes: int) -> "np.ndarray":
        """The labels as numbers: int64 `(N,)`, or float32 `(N, C)` of 0 and 1 if there are several.

        Args:
            number: of each class name, in 0..C-1.
            classes: C.
        """
        import numpy as np

        if not self.multilabel:
            return self.files["label"].map(dict(number)).to_numpy(dtype=np.int64)
        found = np.zeros((len(self.files), classes), np.float32)
        for row, label in enumerate(self.files["label"]):
            found[row, [number[name] for name in names_of(label, True)]] = 1.0
        return found

    @property
    def labels(self) -> list[str]:
        """Class names in output order: sorted."""
        found = set(self.files["label"].unique())
        if self.multilabel:
            found = {name for label in found for name in names_of(label, True)}
        return sorted(found)

    def counted(self, files: "pd.DataFrame | None" = None) -> dict[str, int]:
        """Images of each class, in output order; one of several classes counts for each.

        Args:
            files: rows of the index; all of them if none are given.
        """
        labels = (self.files if files is None else files)["label"]
        names = labels.str.split(BETWEEN_NAMES, regex=False).explode() if self.multilabel else labels
        return {str(name): int(n) for name, n in names.value_counts().sort_index().items()}

    def without(self, failed: dict[str, str], finding: str = "unreadable") -> "Index":
        """The index less some files, which move to `excluded` with their reason."""
        if not failed:
            return self
        kept = self.files[~self.files["path"].isin(failed.keys())].reset_index(drop=True)
        return replace(self, files=kept, excluded=self._more_excluded(failed, finding))

    def _more_excluded(self, failed: dict[str, str], finding: str) -> "pd.DataFrame":
        import pandas as pd

        gone = pd.DataFrame({"path": list(failed), "reason": list(failed.values()), "finding": finding})
        return pd.concat([self.excluded, gone], ignore_index=True)


def names_of(label: str, multilabel: bool) -> list[str]:
    """The class names of a label: itself, or those it joins."""
    return label.split(BETWEEN_NAMES) if multilabel else [label]


def files_table(rows: Iterable[tuple[str, str, str, str]]) -> "pd.DataFrame":
    """Rows of path, label, split and group as an index holds them."""
    import pandas as pd

    return pd.DataFrame(sorted(rows), columns=["path", "label", "split", "group"])


def excluded_table(left_out: Iterable[LeftOut]) -> "pd.DataFrame":
    """What is left out as an index holds it."""
    import pandas as pd

    return pd.DataFrame(sorted(left_out), columns=["path", "reason", "finding"])


def absent(exclude: frozenset[str], left_out: Iterable[LeftOut]) -> list[LeftOut]:
    """The paths that were to be excluded but are not there."""
    found = {one.path for one in left_out}
    return [LeftOut(path, NOT_THERE, "") for path in sorted(exclude - found)]


def check_classes(index: Index) -> None:
    """Refuse what no classifier can be made of.

    Raises:
        DataError: fewer than two classes, or a class with a single image; names them.
    """
    counts = index.counted()
    if len(counts) < 2:
        name, images = next(iter(counts.items()))
        raise DataError(
            f"{index.root}: one class only ({name!r}, {images} images). "
            "A classifier needs at least two: one sub-folder of images for each class."
        )
    alone = [name for name, images in counts.items() if images < 2]
    if alone:
        raise DataError(
            f"{index.root}: {_listed(alone)} {'has' if len(alone) == 1 else 'have'} a single "
            "image. Every class needs images both to train and to check with: add images, or leave "
            f"the class{'' if len(alone) == 1 else 'es'} out. 'transferkit inspect DATA --exclude-list FILE' "
            "writes the files for 'finetune --exclude FILE'."
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:8])
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"class{'es' if len(names) > 1 else ''} {shown}{more}"


def is_run(folder: Path) -> bool:
    """Whether a folder is one that `finetune` wrote."""
    return all((folder / name).is_file() for name in ("recipe.yaml", "plan.json", "labels.json"))


def ignored(path: str, reason: str) -> LeftOut:
    """A file or folder that is none of the images and no fault."""
    return LeftOut(path, reason, "ignored")


def why_left_out(path: Path, shown: str) -> LeftOut | None:
    """Why a file is left out before it is decoded; None when it is taken for an image.

    Args:
        path: the file.
        shown: its path as the index would hold it.
    """
    if not is_text(path.name):
        return ignored(shown, NO_TEXT)
    if not path.is_file():
        return _no_file(path, shown)
    if not os.access(path, os.R_OK):
        return LeftOut(shown, "no permission to read it", "unreadable")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return None
    from PIL import Image

    try:
        with Image.open(path):
            return None
    except Image.DecompressionBombError:
        return None  # an image all right; the decoder tells that it is too large
    except Exception:  # Pillow raises many kinds for files that are not images
        return ignored(shown, "not an image")


def _no_file(path: Path, shown: str) -> LeftOut:
    if path.is_symlink():
        return LeftOut(shown, "a link that leads nowhere", "unreadable")
    if path.exists():
        return ignored(shown, "not a regular file (pipe, socket or device)")
    return LeftOut(shown, "no such file", "unreadable")


def is_text(name: str) -> bool:
    """Whether a name from the system can be written as UTF-8."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
