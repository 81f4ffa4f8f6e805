"""What a comparison of runs holds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from transferkit.evaluation.paired import Paired
from transferkit.printable import visible

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One run among others.

    Attributes:
        name: of its folder, and those above it where two have the same.
        backbone, strategy, kept: how it was made.
        top1: on the images of all, 0..1; `low` and `high` its 95 % interval.
        macs: multiply-adds of an image; `parameters` in the model, `file_bytes` of it; None in older runs.
        against_first: it beside the first run, image by image; None for the first itself.
    """

    name: str
    backbone: str
    strategy: str
    kept: str
    top1: float
    low: float
    high: float
    macs: int | None
    parameters: int | None
    file_bytes: int
    against_first: Paired | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Runs on the same images; `repr` shows `frame`.

    Attributes:
        runs: in the order given.
        images: how many were judged by all.
        split: whose.
        left_out: images that only some of them judged; `relabelled` whose labels differ between them.
        grouped: whether images came in groups, which the intervals take for independent.
    """

    runs: tuple[Compared, ...]
    images: int
    split: str
    left_out: int
    relabelled: int = 0
    grouped: bool = False

    @property
    def frame(self) -> "pd.DataFrame":
        """A row for each run: its fields, and those of `PAIRED` against the first."""
        import pandas as pd

        rows = []
        for one in self.runs:
            row = {key: _plain(value) for key, value in vars(one).items() if key != "against_first"}
            row["top1_low"], row["top1_high"] = row.pop("low"), row.pop("high")
            found = one.against_first
            rows.append(row | ({key: getattr(found, key) for key in PAIRED} if found else {}))
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        return f"{self.frame.to_string()}\n{self.images} images of {self.split} that all runs judged"

    def _repr_html_(self) -> str:
        return f"{self.frame.to_html()}<p>{self.images} images of {self.split} that all runs judged</p>"


def _plain(value: object) -> object:
    # pandas keeps text as UTF-8, and a folder's name may be none.
    return visible(value) if isinstance(value, str) else value


PAIRED = ("difference", "low", "high", "p", "p_holm")
