"""From data as given to files that are known to be usable, each in its split."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from transferkit.api.fixing import fixed
from transferkit.api.inputs import Data, open_data
from transferkit.cache import cache_root
from transferkit.data.examine import Examined, check_usable, examine
from transferkit.data.index import Index, check_classes
from transferkit.data.splits import SPLITS, split_index
from transferkit.errors import DataError, UsageError
from transferkit.recipe import AUTO, Recipe

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Settled:
    """An index whose files are each in train, val or test.

    Attributes:
        index: what leaked is in its `excluded`.
        notes: sentences on what a reader should know of the splits.
    """

    index: Index
    notes: list[str]


def open_training_data(data: Data, recipe: Recipe) -> Examined:
    """The images to train on, looked at.

    Raises:
        DataError: no classifier can be made of them; see `check_classes`.
    """
    index = open_data(data, recipe.exclude, group_by=recipe.group_by)
    if recipe.fixes:
        index = fixed(index, recipe.fixes)
    examined = examine(index, cache_root(), compare=recipe.near_duplicates == "together")
    check_usable(examined)
    check_classes(examined.usable)
    return examined


def settle(index: Index, recipe: Recipe) -> Settled:
    """The split that a recipe asks for.

    Raises:
        DataError, UsageError: see `split_index`.
    """
    earlier, notes = _earlier(index, recipe.splits) if recipe.splits else ({}, [])
    made = split_index(
        index,
        seed=recipe.seed,
        val_fraction=recipe.val_fraction,
        test_fraction=None if recipe.test_fraction == AUTO else float(recipe.test_fraction),
        earlier=earlier,
    )
    left = index.without(made.dropped, "leak")
    if made.dropped:
        notes.append(
            f"{len(made.dropped)} files were left out because val or test has their like; such as "
            + "; ".join(f"{path}: {reason}" for path, reason in list(made.dropped.items())[:2])
        )
    if made.moved:
        notes.append(
            f"{len(made.moved)} of the files were moved to another split than they would have fallen "
            "into, since it "
            f"had none of their class; such as {', '.join(list(made.moved)[:3])}"
        )
    return Settled(replace(left, files=made.files), [*notes, *_sizes(made.files, index, recipe)])


def _sizes(files: "pd.DataFrame", given: Index, recipe: Recipe) -> list[str]:
    """What a reader should know of how large the splits turned out, and of the groups in them."""
    notes = _unheard(given, recipe)
    shares = files["split"].value_counts(normalize=True)
    for split, asked in (("val", recipe.val_fraction), ("test", recipe.test_fraction)):
        wanted = 0.15 if asked == AUTO else float(asked)
        found = float(shares.get(split, 0.0))
        drawn = found > 0 and not (given.files["split"] == split).any()
        if drawn and not wanted / UNLIKE <= found <= wanted * UNLIKE:
            notes.append(
                f"{split} has {found:.0%} of the images where about {wanted:.0%} was asked for: what belongs "
                "together is drawn as one, and little data falls unevenly; another seed falls otherwise"
            )
    grouped = files[files["group"] != ""]
    if len(grouped):
        counts = grouped.groupby("split")["group"].nunique()
        parts = ", ".join(f"{split} {counts[split]}" for split in SPLITS if split in counts)
        by = f" by {recipe.group_by}" if recipe.group_by else ""
        notes.append(f"grouped{by}: {grouped['group'].nunique()} groups; {parts}")
    return notes


def _unheard(given: Index, recipe: Recipe) -> list[str]:
    """What was asked of splits that are given, and classes that these lack."""
    notes = []
    present = set(given.files["split"]) - {""}
    for split, asked, default in (
        ("val", recipe.val_fraction, Recipe().val_fraction),
        ("test", recipe.test_fraction, AUTO),
    ):
        if split not in present:
            continue
        if asked != default:
            notes.append(f"WARNING: --{split}-fraction {asked} says nothing here: {split} is given")
        labels = given.counted(given.files[given.files["split"] == split])
        missing = [name for name in given.labels if name not in labels]
        if missing:
            some = ", ".join(missing[:5])
            notes.append(f"WARNING: the given {split} lacks {len(missing)} of the classes: {some}")
    return notes


# A split this many times larger or smaller than asked for is told.
UNLIKE = 1.5


def _earlier(index: Index, source: str) -> tuple[dict[str, str], list[str]]:
    """Content -> split of the files that an earlier run knew, and a sentence on how many they are.

    A file is known by its content, or else, where it was saved anew, by its path.
    """
    known = _known(source)
    by_content = dict(zip(known["sha256"], known["split"], strict=True)) if "sha256" in known else {}
    by_path = dict(zip(known["path"], known["split"], strict=True)) if "path" in known else {}
    same = renewed = 0
    earlier = dict(by_content)
    for path, sha256 in zip(index.files["path"], index.files["sha256"], strict=True):
        if sha256 in by_content:
            same += 1
        elif path in by_path:
            renewed += 1
            earlier[sha256] = by_path[path]
    new = len(index.files) - same - renewed
    note = f"--splits {source}: {same} files keep their split, {renewed} known by their path alone, {new} new"
    # A list of paths alone, such as splits.csv, can know nothing by content.
    believed = same if by_content else renewed
    return earlier, [note if believed else f"WARNING: {note}: is it a run on other images?"]


def _known(source: str) -> "pd.DataFrame":
    import pandas as pd

    path = Path(source)
    file = path / "content.csv" if path.is_dir() else path
    if not file.is_file():
        raise UsageError(f"--splits {source}: no such file: {file}. Give the folder of an earlier run.")
    try:
        known = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(
            f"--splits {source}: not a table: {error}. Give the folder of an earlier run."
        ) from error
    if "split" not in known or not {"sha256", "path"} & set(known.columns):
        raise DataError(
            f"--splits {source}: columns split and sha256 (or path) are needed; it has "
            f"{', '.join(known.columns)}. Give the folder of an earlier run."
        )
    strange = sorted(set(known["split"]) - set(SPLITS))
    if strange:
        raise DataError(
            f"--splits {source}: unknown splits {', '.join(strange)}; {', '.join(SPLITS)} are known."
        )
    return known
