"""What a run is given: images by folder or by name, a network with its weights, a device."""

import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from transferkit.backbone.catalogue import BackboneSpec
from transferkit.cache import cache_root
from transferkit.data.decode import DecodePolicy
from transferkit.data.folder import check_is_folder, index_folder
from transferkit.data.index import NOT_THERE, ON_REQUEST, Index
from transferkit.errors import DataError, UsageError, missing_extra
from transferkit.planning.augmenting import check_asked
from transferkit.printable import shown
from transferkit.progress import say
from transferkit.recipe import AUTO, Recipe
from transferkit.training.bank import Extractor
from transferkit.training.device import Device, prepare, quiet_stderr

if TYPE_CHECKING:
    import pandas as pd

MANIFESTS = (".csv", ".tsv", ".parquet", ".pq")
Data: TypeAlias = "str | Path | pd.DataFrame"


def open_data(data: Data, exclude: str | None = None, *, group_by: str | None = None) -> Index:
    """The index of a folder, manifest, archive, DataFrame, or public data set by its name.

    A folder wins over a data set of the same name.

    Args:
        data: path, name, or a table as `data.manifest` takes it.
        exclude: file that lists paths to leave out: a line each, or a CSV with a column `path`.
        group_by: files that must share a split: a column of the manifest, or a regular expression
            whose first group (or whole match) in the path names the group; "" where groups do not matter.

    Raises:
        UsageError, DataError: see `index_folder` and `index_manifest`.
    """
    left_out = _listed(exclude) if exclude else {}
    index = _opened(data, frozenset(left_out), group_by)
    index.excluded["reason"] = [
        f"{reason} ({why})" if reason == ON_REQUEST and (why := left_out.get(path)) else reason
        for path, reason in zip(index.excluded["path"], index.excluded["reason"], strict=True)
    ]
    absent = index.excluded.loc[index.excluded["reason"] == NOT_THERE, "path"]
    if len(absent):
        some = ", ".join(map(shown, absent[:5]))
        say(f"WARNING: --exclude names files that are not there ({len(absent)}): {some}")
    return index


def _opened(data: Data, exclude: frozenset[str], group_by: str | None) -> Index:
    from transferkit.data.groups import grouped
    from transferkit.data.manifest import index_manifest
    from transferkit.data.table import has_column

    source = find_data(data) if isinstance(data, (str, Path)) else data
    if isinstance(source, Path) and source.is_dir():
        index = index_folder(source, exclude)
        return grouped(index, group_by) if group_by else index
    if group_by and not has_column(source, group_by) and set(group_by) & set("\\.^$*+?{}[]|()"):
        return grouped(index_manifest(source, exclude, group_by=""), group_by)
    return index_manifest(source, exclude, group_by=group_by)


def find_data(data: str | Path) -> Path:
    """The folder or manifest that a path or the name of a public data set stands for.

    Raises:
        UsageError: neither; see `check_is_folder`.
        DataError: a data set that has to be fetched first, or an archive that cannot be unpacked.
    """
    from transferkit.data.archive import unpacked
    from transferkit.data.public import cards, data_folder
    from transferkit.data.unpack import is_archive

    root = Path(data)
    if not root.exists() and str(data) in {card.name for card in cards()}:
        root = data_folder(str(data), cache=cache_root())
    if root.is_file() and root.suffix.lower() in MANIFESTS:
        return root
    if root.is_file() and is_archive(root):
        return unpacked(root, cache_root())
    check_is_folder(root)
    return root


def check_source(data: Data) -> None:
    """Refuse data that is not there, before anything takes time.

    Raises:
        UsageError, DataError: see `find_data`; an archive is unpacked later.
    """
    from transferkit.data.unpack import is_archive

    if isinstance(data, (str, Path)) and not (Path(data).is_file() and is_archive(Path(data))):
        find_data(data)


def with_policy(recipe: Recipe) -> Recipe:
    """The recipe with the name and steps of its policy's file in it: what is written down holds without it.

    Raises:
        UsageError, RecipeError: there is no such policy, or it has faults; see
            `data.augment.policy.load_policy`.
    """
    from transferkit.data.augment.policy import load_policy, policy_names

    if recipe.augment == AUTO:
        return recipe
    policy = load_policy(recipe.augment)
    check_asked(recipe, policy)
    if any(step.package == "keras_cv" for step in policy.steps) and not find_spec("keras_cv"):
        raise missing_extra("a step named keras_cv.*", "keras-cv", "kerascv")
    if not isinstance(recipe.augment, str) or recipe.augment in policy_names():
        return recipe
    return replace(recipe, augment={policy.name: policy.as_data()})


def check_layers(recipe: Recipe, spec: BackboneSpec) -> None:
    """Refuse layers of a policy that cannot be its steps, before an image is read.

    Raises:
        UsageError: see `data.augment.pipeline.pipeline`.
    """
    from transferkit.data.augment.policy import load_policy

    if recipe.augment == AUTO:
        return
    policy = load_policy(recipe.augment)
    if any(step.layer for step in policy.steps):
        from transferkit.data.augment.pipeline import pipeline

        size = spec.image_size if recipe.image_size == AUTO else int(recipe.image_size)
        kinds = (
            ("crop", "pad") if recipe.resize == AUTO else (recipe.resize,)
        )  # a stretched one is as a padded
        for seen in {DecodePolicy(size_px=size, resize=kind).seen for kind in kinds}:
            pipeline(policy, size, np.eye(3), seen=seen)  # the run's own axes are of its images


def check_cache() -> None:
    """Refuse a cache that cannot be written, before any work.

    Raises:
        UsageError: it cannot; says why and how to move it.
    """
    root = cache_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        raise UsageError(
            f"the cache {root} cannot be written: {error.strerror or error}. Set TRANSFERKIT_CACHE to a "
            "folder that can be."
        ) from error


def _listed(file: str) -> dict[str, str]:
    """Paths to leave out, each with why, as far as the file tells."""
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"--exclude {file}: no such file.")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"--exclude {file}: not UTF-8 text. A path a line, or a CSV, is needed.") from error
    if path.suffix.lower() != ".csv" and (not lines or lines[0].split(",")[0] != "path"):
        return {line.strip().removeprefix("./"): "" for line in lines if line.strip()}
    import pandas as pd

    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError as error:  # pandas' own kinds are of it
        raise DataError(f"--exclude {file}: not a table: {error}") from error
    if "path" not in frame:
        raise DataError(f"--exclude {file}: no column 'path'; has {', '.join(frame.columns)}.")
    told = frame[[column for column in ("finding", "detail") if column in frame]]
    whys = [": ".join(filter(None, row)) for row in told.itertuples(index=False, name=None)]
    paths = frame["path"].str.removeprefix("./")
    return dict(zip(paths, whys or [""] * len(frame), strict=True))


def start(spec: BackboneSpec, weights: Path | None, recipe: Recipe, resize: str) -> tuple[Device, Extractor]:
    """Keras on its device, and the backbone with its weights, ready to extract features.

    `resize` is the one of the plan.

    Raises:
        DeviceError, WeightsError: see `training.device` and `backbones.weights`.
    """
    device = prepare(recipe.device, recipe.precision)
    import_libraries()
    import keras

    from transferkit.backbone.build import build
    from transferkit.backbone.graph import find_stages
    from transferkit.backbone.weights import fingerprint, load

    keras.utils.set_random_seed(recipe.seed)
    image_size = spec.image_size if recipe.image_size == "auto" else int(recipe.image_size)
    network = _built(build, spec, image_size)
    if weights is not None:
        load(network, spec, weights)
    network.trainable = False
    extractor = Extractor(
        network=network,
        stages=find_stages(network),
        policy=DecodePolicy(size_px=image_size, resize=resize),
        fingerprint=fingerprint(network),
        precision=device.precision,
        computed_by=_computed_by(device),
        batch_size=recipe.batch_size,
        cache=cache_root(),
    )
    return device, extractor


def _computed_by(device: Device) -> str:
    import keras
    import PIL

    numbers = [".".join(version.split(".")[:2]) for version in (keras.__version__, PIL.__version__)]
    return f"{device.backend} on {device.kind}, Keras {numbers[0]}, Pillow {numbers[1]}"


def _built(build: Any, spec: BackboneSpec, image_size: int) -> Any:
    try:
        return build(spec, image_size)
    except ValueError as error:
        raise UsageError(f"--image-size {image_size} does not suit {spec.name}: {error}") from error


def import_libraries() -> None:
    """Import what is used later, so that its seconds count as startup and not as work."""
    with quiet_stderr():
        import matplotlib.figure  # noqa: F401
        import pandas  # noqa: F401
        import scipy.optimize  # noqa: F401

        import transferkit.data.loader

        transferkit.data.loader.warm_up()
