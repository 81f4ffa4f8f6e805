"""What a run is given: images by folder or by name, a network with its weights, a device."""

import tempfile
from pathlib import Path
from typing import Any

from transferkit.backbones.catalogue import BackboneSpec
from transferkit.cache import cache_root
from transferkit.data.decode import DecodePolicy
from transferkit.data.index import NOT_THERE, Index, check_classes, check_is_folder, index_folder
from transferkit.errors import DataError, UsageError
from transferkit.progress import say
from transferkit.recipe import Recipe
from transferkit.training.bank import Extractor
from transferkit.training.device import Device, prepare, quiet_stderr


def open_data(data: str | Path, exclude: str | None = None) -> Index:
    """The index of a folder, or of a public data set by its name.

    A folder wins over a data set of the same name.

    Args:
        data: path or name.
        exclude: file that lists paths to leave out: a line each, or a CSV with a column `path`.

    Raises:
        UsageError, DataError: see `index_folder`.
    """
    index = index_folder(find_data(data), _listed(exclude) if exclude else frozenset())
    absent = index.excluded.loc[index.excluded["reason"] == NOT_THERE, "path"]
    if len(absent):
        say(f"WARNING: --exclude names {len(absent)} files that are not there: {', '.join(absent[:5])}")
    return index


def find_data(data: str | Path) -> Path:
    """The folder that a path or the name of a public data set stands for.

    Raises:
        UsageError: neither; see `check_is_folder`.
        DataError: a data set that has to be fetched first.
    """
    from transferkit.data.public import cards, data_folder

    root = Path(data)
    if not root.exists() and str(data) in {card.name for card in cards()}:
        root = data_folder(str(data), cache=cache_root())
    check_is_folder(root)
    return root


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


def open_training_data(data: str | Path, recipe: Recipe) -> Index:
    """The index of images to train on.

    Raises:
        DataError: no classifier can be made of it; see `check_classes`.
    """
    index = open_data(data, recipe.exclude)
    check_classes(index)
    return index


def _listed(file: str) -> frozenset[str]:
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"--exclude {file}: no such file.")
    if path.suffix.lower() == ".csv":
        import pandas as pd

        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        if "path" not in frame:
            raise DataError(f"--exclude {file}: no column 'path'; has {', '.join(frame.columns)}.")
        return frozenset(frame["path"])
    lines = path.read_text(encoding="utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip())


def start(spec: BackboneSpec, weights: Path | None, recipe: Recipe) -> tuple[Device, Extractor]:
    """Keras on its device, and the backbone with its weights, ready to extract features.

    Raises:
        DeviceError, WeightsError: see `training.device` and `backbones.weights`.
    """
    device = prepare(recipe.device, recipe.precision)
    import_libraries()
    import keras

    from transferkit.backbones.build import build
    from transferkit.backbones.graph import find_stages
    from transferkit.backbones.weights import fingerprint, load

    keras.utils.set_random_seed(recipe.seed)
    image_size = spec.image_size if recipe.image_size == "auto" else int(recipe.image_size)
    network = _built(build, spec, image_size)
    if weights is not None:
        load(network, spec, weights)
    network.trainable = False
    extractor = Extractor(
        network=network,
        stages=find_stages(network),
        policy=DecodePolicy(size_px=image_size, resize=recipe.resize),
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
