"""Finding, checking and loading pretrained weights, with or without a network."""

import hashlib
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transferkit.backbone.build import TORCH_DEVIATION_RGB, build
from transferkit.backbone.catalogue import BackboneSpec, every
from transferkit.download import download
from transferkit.errors import FetchError, WeightsError

SUFFIXES = (".weights.h5", ".h5", ".keras")


@dataclass(frozen=True, kw_only=True)
class Place:
    """One place where ImageNet weights are looked for."""

    why: str
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What is known of one weights file on disk: `verdict` is `ok`, `differs` or `no checksum`."""

    path: Path
    verdict: str
    expected: str | None
    received: str


def places(weights_dir: Path | None) -> list[Place]:
    """Where ImageNet weights are looked for, in order; folders that do not exist included."""
    found = []
    if weights_dir is not None:
        found.append(Place(why="--weights-dir", folder=weights_dir))
    if named := os.environ.get("TRANSFERKIT_WEIGHTS"):
        found.append(Place(why="TRANSFERKIT_WEIGHTS", folder=Path(named)))
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    found.append(Place(why="Keras' cache", folder=Path(home) / "models"))
    return found


def locate(spec: BackboneSpec, weights_dir: Path | None) -> Path | None:
    """The first file of ImageNet weights for a backbone that is on this machine, or None."""
    for place in places(weights_dir):
        for file in (spec.weights, spec.weights_top):
            if (path := place.folder / file.name).is_file():
                return path
    return None


def resolve(
    spec: BackboneSpec, weights: str, weights_dir: Path | None, *, offline: bool = False
) -> Path | None:
    """The file that a recipe's `weights` stands for; None for random weights.

    Args:
        spec: the backbone.
        weights: `imagenet`, `none` or a path to `.h5`, `.weights.h5` or `.keras`.
        weights_dir: folder that is looked in first.
        offline: whether the network is never asked.

    Raises:
        WeightsError: a file or folder that is not there, or ImageNet weights that cannot be had.
    """
    if weights == "none":
        return None
    if weights_dir is not None and not weights_dir.is_dir():
        raise WeightsError(
            f"--weights-dir {weights_dir}: no such folder (looked for in {Path.cwd()}). For {spec.name} make "
            f"it and put {spec.weights.name} into it, which is at {spec.weights.url}."
        )
    if weights != "imagenet":
        return _given_file(Path(weights))
    if found := locate(spec, weights_dir):
        return found
    if offline:
        raise WeightsError(_not_to_be_had(spec, weights_dir, "not asked (--offline)"))
    target = places(None)[-1].folder / spec.weights.name
    try:
        return _downloaded(spec, target)
    except FetchError as error:
        raise WeightsError(_not_to_be_had(spec, weights_dir, str(error))) from error


def _given_file(path: Path) -> Path:
    if not path.name.endswith(SUFFIXES):
        raise WeightsError(
            f"weights {str(path)!r}: neither 'imagenet' nor 'none' nor a file that ends in "
            f"{', '.join(SUFFIXES)}."
        )
    if not path.is_file():
        raise WeightsError(f"weights {path}: no such file.")
    return path


def _downloaded(spec: BackboneSpec, target: Path) -> Path:
    file = spec.weights
    target.parent.mkdir(parents=True, exist_ok=True)
    checksum = f"md5:{file.md5}" if file.md5 else None
    download(file.url, target, checksum=checksum, label=f"{spec.name} weights")
    return target


def _not_to_be_had(spec: BackboneSpec, weights_dir: Path | None, why: str) -> str:
    tried = "".join(f"\n  {place.folder} ({place.why}): not there" for place in places(weights_dir))
    return (
        f"ImageNet weights for {spec.name} cannot be had. Looked for {spec.weights.name} in:{tried}"
        f"\n  {spec.weights.url}: {why}\n"
        "Ways out: put that file (or the one with the classifier, "
        f"{spec.weights_top.name}) into a folder and name it with --weights-dir; "
        "give a file with --weights FILE; or start from random weights with --weights none."
    )


def load(network: Any, spec: BackboneSpec, path: Path) -> None:
    """Put the weights of a file into a network made by `build`, whatever else the file holds.

    A file that carries a classifier behind the backbone serves as well: its first layers are taken.

    Raises:
        WeightsError: the file is broken or belongs to another network; `network` may then be
            partly changed and is not to be used.
    """
    try:
        if path.name.endswith(".keras"):
            _load_keras_file(network, path)
        else:
            _load_h5_file(network, spec, path)
    except (ValueError, OSError, KeyError) as error:
        raise WeightsError(_do_not_fit(network, spec, path, error)) from error
    if spec.family == "EfficientNet" and path.suffixes[-2:] != [".weights", ".h5"] and path.suffix == ".h5":
        _scale_efficientnet_variance(network)


def _load_h5_file(network: Any, spec: BackboneSpec, path: Path) -> None:
    try:
        network.load_weights(str(path))
    except ValueError:
        whole = build(spec, classifier=True)
        whole.load_weights(str(path))
        _copy_first_layers(whole, network)


def _load_keras_file(network: Any, path: Path) -> None:
    import keras

    _copy_first_layers(keras.models.load_model(path, compile=False), network)


def _copy_first_layers(source: Any, target: Any) -> None:
    """Copy weights layer by layer; the source may go on behind the last layer of the target."""
    giving = [layer for layer in _leaves(source) if layer.weights]
    taking = [layer for layer in _leaves(target) if layer.weights]
    if len(giving) < len(taking):
        raise ValueError(f"{len(giving)} layers with weights where {len(taking)} are needed")
    for give, take in zip(giving, taking, strict=False):
        take.set_weights(give.get_weights())


def _leaves(layer: Any) -> Iterator[Any]:
    inner = getattr(layer, "layers", None)
    if inner is None:
        yield layer
    else:
        for each in inner:
            yield from _leaves(each)


def _scale_efficientnet_variance(network: Any) -> None:
    """Divide once more by the deviation's root, as Keras does only for weights="imagenet".

    keras.applications.efficientnet adds a Rescaling by 1/sqrt(deviation) behind its Normalization
    when it loads ImageNet weights itself; multiplying the variance gives the same numbers.
    """
    import numpy as np

    layer = next(one for one in network.layers if type(one).__name__ == "Normalization")
    mean, variance, *count = layer.get_weights()
    scaled = (variance * np.reshape(TORCH_DEVIATION_RGB, (1, 1, 1, 3))).astype(variance.dtype)
    layer.set_weights([mean, scaled.reshape(variance.shape), *count])
    layer.finalize_state()


def _do_not_fit(network: Any, spec: BackboneSpec, path: Path, error: Exception) -> str:
    held = _values_in(path)
    if held is None and path.name.endswith(".keras") and zipfile.is_zipfile(path):
        return f"weights {path} do not fit backbone {spec.name}: {error}."
    if held is None:
        return f"weights {path}: not a readable weights file ({error})."
    fitting = [other.name for other in every() if held in (other.parameters, other.parameters_top)]
    guess = f" They fit {' or '.join(fitting)}." if fitting else ""
    return (
        f"weights {path} do not fit backbone {spec.name}: the file holds {held:,} values, "
        f"{spec.name} needs {network.count_params():,} (or {spec.parameters_top:,} with its "
        f"classifier).{guess} Give --backbone or --weights so that they match."
    )


def _values_in(path: Path) -> int | None:
    """How many weight values an HDF5 file holds; None when it is no HDF5 file."""
    import h5py

    total = 0

    def count(_: str, item: Any) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
            total += int(item.size)

    try:
        with h5py.File(path) as file:
            file.visititems(count)
    except OSError:
        return None
    return total


def fingerprint(network: Any) -> str:
    """SHA-256 over all weights in order: the same values give the same text, however loaded."""
    digest = hashlib.sha256()
    for values in network.get_weights():
        digest.update(str(values.shape).encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def verify(specs: tuple[BackboneSpec, ...], weights_dir: Path | None) -> list[Checked]:
    """Compare every ImageNet weights file on this machine with Keras' own checksum."""
    checked = []
    for spec in specs:
        for file in (spec.weights, spec.weights_top):
            for place in places(weights_dir):
                if (path := place.folder / file.name).is_file():
                    checked.append(_check(path, file.md5))
    return checked


def _check(path: Path, expected: str | None) -> Checked:
    with path.open("rb") as stream:
        received = hashlib.file_digest(stream, "md5").hexdigest()
    verdict = "no checksum" if expected is None else "ok" if received == expected else "differs"
    return Checked(path=path, verdict=verdict, expected=expected, received=received)
