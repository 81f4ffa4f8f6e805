"""From data as given to files that are known to be usable, each in its split."""

from dataclasses import dataclass, replace
from pathlib import Path

from transferkit.api.inputs import Data, open_data
from transferkit.cache import cache_root
from transferkit.data.examine import Examined, check_usable, examine
from transferkit.data.index import Index, check_classes
from transferkit.data.splits import label_conflicts, split_index
from transferkit.errors import DataError, UsageError
from transferkit.recipe import AUTO, Recipe


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
    examined = examine(index, cache_root(), compare=recipe.near_duplicates == "together")
    check_usable(examined)
    check_classes(examined.usable)
    return examined


def settle(index: Index, recipe: Recipe) -> Settled:
    """The split that a recipe asks for.

    Raises:
        DataError, UsageError: see `split_index`.
    """
    made = split_index(
        index,
        seed=recipe.seed,
        val_fraction=recipe.val_fraction,
        test_fraction=None if recipe.test_fraction == AUTO else float(recipe.test_fraction),
        earlier=_earlier(recipe.splits) if recipe.splits else None,
    )
    left = index.without(made.dropped, "leak")
    notes = [f"WARNING: {conflict}" for conflict in label_conflicts(made.files)]
    if made.dropped:
        notes.append(
            f"{len(made.dropped)} files were left out because val or test has their like; such as "
            + "; ".join(f"{path}: {reason}" for path, reason in list(made.dropped.items())[:2])
        )
    if made.moved:
        notes.append(
            f"{len(made.moved)} files were placed so that each class is in each split, against the draw; "
            f"such as {', '.join(list(made.moved)[:3])}"
        )
    return Settled(replace(left, files=made.files), notes)


def _earlier(source: str) -> dict[str, str]:
    """Content -> split of an earlier run, from its folder or its content.csv."""
    import pandas as pd

    path = Path(source)
    file = path / "content.csv" if path.is_dir() else path
    if not file.is_file():
        raise UsageError(f"--splits {source}: no such file: {file}. Give a run folder, or its content.csv.")
    try:
        known = pd.read_csv(file, dtype=str, keep_default_na=False)
        return dict(zip(known["sha256"], known["split"], strict=True))
    except (KeyError, ValueError, UnicodeDecodeError) as error:
        raise DataError(f"--splits {source}: columns sha256 and split are needed: {error}") from error
