"""A frozen backbone and its bank, asked by files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transferkit.api.images import arrays_of, kept_as_files, paths_of
from transferkit.api.inputs import check_cache, start
from transferkit.backbone.catalogue import lookup
from transferkit.backbone.weights import resolve
from transferkit.cache import cache_root
from transferkit.data.decode import DecodePolicy, decode_batch
from transferkit.data.examine import examine
from transferkit.data.index import Index, excluded_table
from transferkit.errors import DataError, UsageError
from transferkit.recipe import AUTO, Recipe
from transferkit.strategies import FeatureSet
from transferkit.timing import Stopwatch
from transferkit.training.bank import Extractor, pooled_bank, predict
from transferkit.training.device import check_device_name
from transferkit.training.pooling import WIDTHS


@dataclass(frozen=True)
class Backbone:
    """A frozen network and what it made of images, kept by their content."""

    extractor: Extractor

    @property
    def stages(self) -> tuple[str, ...]:
        """Names, nearest the input first."""
        return tuple(stage.name for stage in self.extractor.stages)

    def features(self, files: Sequence[Path], asked: FeatureSet) -> np.ndarray:
        """float32 `(N, D)`, a row for each file, equal files alike.

        Raises:
            DataError: a file that cannot be read; names it.
        """
        import pandas as pd

        paths = [str(path.absolute()) for path in files]
        unique = sorted(set(paths))
        table = pd.DataFrame({"path": unique, "label": "", "split": "", "group": ""})
        found = examine(Index(Path(), table, excluded_table([])), cache_root(), compare=False)
        self._refuse(found.usable.excluded)
        bank = pooled_bank(self.extractor, found.usable, Stopwatch())
        self._refuse(pd.DataFrame({"path": list(bank.failed), "reason": list(bank.failed.values())}))
        place = {path: row for row, path in enumerate(found.usable.files["path"])}
        return bank.at(asked, np.array([place[path] for path in paths]))

    def names(self, asked: FeatureSet) -> list[str]:
        """`STAGE_KIND_NUMBER` of each feature."""
        widths = {stage.name: stage.channels for stage in self.extractor.stages}
        return [
            f"{stage}_{kind}_{number}"
            for stage in asked.stages
            for kind in asked.kinds
            for number in range(widths[stage] * WIDTHS[kind])
        ]

    @staticmethod
    def _refuse(failed: Any) -> None:
        if len(failed):
            path, reason = failed["path"].iloc[0], failed["reason"].iloc[0]
            raise DataError(f"{len(failed)} images cannot be read, such as {path}: {reason}")


def opened_backbone(recipe: Recipe) -> Backbone:
    """The backbone that a recipe names, with its weights.

    Raises:
        UnknownName, WeightsError, DeviceError, UsageError: as `finetune`.
    """
    check_device_name(recipe.device)
    check_cache()
    spec = lookup(recipe.backbone)
    weights = resolve(spec, recipe.weights, Path(recipe.weights_dir) if recipe.weights_dir else None)
    _, extractor = start(spec, weights, recipe, "crop" if recipe.resize == AUTO else recipe.resize)
    return Backbone(extractor)


def files_of(images: Any) -> list[Path]:
    """Images as files: paths as they are, the column `path` of a table, arrays written into the cache.

    Raises:
        UsageError: no image, or a table without the column.
        DataError: arrays that are no images.
    """
    if hasattr(images, "columns"):
        images = paths_of(images)
    if isinstance(images, (str, Path)):
        raise UsageError("one path is not a list of images; give [path].")
    if not isinstance(images, np.ndarray):
        images = list(images)  # a generator can be looked at once
    if arrays := arrays_of(images):
        return kept_as_files(arrays, cache_root() / "arrays")
    found = list(images)
    if not found:
        raise UsageError("no images were given.")
    for one in found:
        if not isinstance(one, (str, Path)):
            raise DataError(f"{one!r} is no image; paths, or arrays with values 0..255, are needed.")
    return [Path(one) for one in found]


def by_path(model: Any, files: Sequence[Path], policy: DecodePolicy, batch_size: int) -> np.ndarray:
    """What a model says of files, `(N, C)`.

    Raises:
        UnreadableImage: the first that cannot be decoded.
    """
    parts = [
        predict(model, decode_batch(files[start : start + batch_size], policy), batch_size)
        for start in range(0, len(files), batch_size)
    ]
    return np.concatenate(parts)
