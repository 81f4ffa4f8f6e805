"""What there is to choose from, as tables; and where it is on this machine, or how it comes there."""

import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from transferkit.backbone import weights
from transferkit.backbone.catalogue import every, lookup
from transferkit.cache import cache_root
from transferkit.errors import WeightsError
from transferkit.recipe import read_recipe, recipe_names

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = (
    "name", "family", "parameters", "macs", "top1", "top5", "image_size", "width", "licence",
)  # fmt: skip


def backbones() -> "pd.DataFrame":
    """Every backbone of the catalogue.

    Returns:
        `name,family,parameters,macs,top1,top5,image_size,width,licence,stages`: parameters and multiply-adds
        of an image without the ImageNet classifier, ImageNet accuracies as published (0..1, NaN where none
        is), the side of images in pixels, features of the last stage, and how many stages.
    """
    import pandas as pd

    rows = [
        {column: getattr(spec, column) for column in _COLUMNS} | {"stages": len(spec.stages)}
        for spec in every()
    ]
    return pd.DataFrame(rows)


def datasets() -> "pd.DataFrame":
    """The public data sets that go by name.

    Returns:
        `name,images,classes,bytes,licence,cell,top1,folder`: the size of the download (0: there is none), the
        cell of the matrix, the best published top-1 (0..1, NaN where none is; `transferkit datasets --json`
        says whose), and where it lies, "" if it is not fetched.
    """
    import pandas as pd

    from transferkit.data.public import cached_folder, cards

    rows = [
        {
            "name": card.name,
            "images": card.images,
            "classes": card.classes,
            "bytes": card.bytes,
            "licence": card.licence,
            "cell": card.cell,
            "top1": max((one.top1 for one in card.expected), default=math.nan),
            "folder": str(cached_folder(card.name, cache=cache_root()) or ""),
        }
        for card in cards()
    ]
    return pd.DataFrame(rows)


def recipes() -> "pd.DataFrame":
    """The recipes that come with transferkit: `name` and, where they state them, their keys."""
    import pandas as pd

    return pd.DataFrame([{"name": name, **read_recipe(name)} for name in recipe_names()])


def fetch_dataset(name: str, *, url: str | None = None) -> Path:
    """Bring a public data set into the cache, if it is not there; the folder of its images.

    Args:
        name: as in `datasets`.
        url: another address of the archive: a mirror, or `file:///PATH`.

    Raises:
        UsageError: no data set of that name.
        FetchError: it cannot be had; or what came is not what its checksum says.
    """
    from transferkit.data.public import fetch

    return fetch(name, cache=cache_root(), url=url)


def _folder(weights_dir: str | Path | None) -> Path | None:
    if weights_dir is not None and not Path(weights_dir).is_dir():
        raise WeightsError(f"weights_dir {weights_dir}: no such folder.")
    return None if weights_dir is None else Path(weights_dir)


def find_weights(name: str, *, weights_dir: str | Path | None = None) -> Path | None:
    """The file of ImageNet weights that serves a backbone; None if it would have to be downloaded.

    Args:
        name: of the backbone.
        weights_dir: folder that is looked in first.

    Raises:
        UsageError: no backbone of that name.
        WeightsError: no such folder.
    """
    return weights.locate(lookup(name), _folder(weights_dir))


def verify_weights(
    names: Iterable[str] | None = None, *, weights_dir: str | Path | None = None
) -> "pd.DataFrame":
    """ImageNet weights on this machine against Keras' checksums.

    Args:
        names: of backbones; None checks all.
        weights_dir: folder that is looked in first.

    Returns:
        `path,verdict,expected,received` of each file; the verdict is `ok`, `differs` or `no checksum`, where
        `expected` is missing.

    Raises:
        UsageError: no backbone of that name.
        WeightsError: no such folder.
    """
    import pandas as pd

    asked = (names,) if isinstance(names, str) else names
    specs = every() if asked is None else tuple(map(lookup, asked))
    checked = weights.verify(specs, _folder(weights_dir))
    return pd.DataFrame(map(asdict, checked), columns=["path", "verdict", "expected", "received"])
