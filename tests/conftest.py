"""What many tests share: a cache of their own, toy pictures, a toy backbone, the real things beside."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transferkit import progress
from transferkit.backbone import catalogue
from transferkit.backbone.catalogue import BackboneSpec, WeightsFile
from transferkit.data.decode import DecodePolicy
from transferkit.data.examine import examine
from transferkit.data.folder import index_folder
from transferkit.data.index import Index
from transferkit.training.bank import Extractor

# Two workers on all cores wait for each other: on two cores the suite takes a sixth longer so.
if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and hasattr(os, "sched_setaffinity"):
    cores = sorted(os.sched_getaffinity(0))
    workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.sched_setaffinity(0, cores[int(worker[2:]) % len(cores) :: workers])

SHARED = Path(__file__).resolve().parents[2] / "shared"
COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (210, 50, 40)}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the user's cache, or finds the user's weights."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TRANSFERKIT_CACHE", str(cache))
    monkeypatch.setenv("KERAS_HOME", str(cache / "keras"))
    monkeypatch.delenv("TRANSFERKIT_WEIGHTS", raising=False)
    return cache


@pytest.fixture
def jax_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables of a process on JAX that compiles quickly, and the same program once.

    At its usual level XLA takes up to 20 s on a CPU for the random start of one small kernel (JAX 0.10.2,
    `jax.random.uniform` of shape 3, 3, 8, 12), at this one .4.
    """
    pytest.importorskip("jax")
    return os.environ | {
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_backend_optimization_level=1",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("jax")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The display is as silent after each test as before."""
    yield
    progress.show(False)


def draw(path: Path, colour: tuple[int, int, int], seed: int, size: int = 48) -> None:
    """A noisy picture whose middle has the colour."""
    random = np.random.default_rng(seed)
    pixels = random.normal(128, 50, (size, size, 3))
    low, high = size // 4, 3 * size // 4
    pixels[low:high, low:high] = np.array(colour) + random.normal(0, 45, (high - low, high - low, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


def draw_classes(root: Path, per_class: int, names: tuple[str, ...] = tuple(COLOURS), seed: int = 0) -> Path:
    """A folder for each class with pictures of its colour."""
    for number, name in enumerate(names):
        for i in range(per_class):
            draw(root / name / f"{i:03d}.png", COLOURS[name], seed + 1000 * number + i)
    return root


def indexed(root: Path, cache: Path) -> Index:
    """The images of a folder that can be used, as training takes them."""
    return examine(index_folder(root), cache).usable


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three classes of 20 pictures."""
    return draw_classes(tmp_path / "photos", 20)


def toy_network(image_size: int = 32, seed: int = 0, *, branches: bool = False) -> Any:
    """Three stages at 16, 8 and 4 px with BatchNorm and a shortcut; random weights.

    With `branches` the shortcuts are ones that may be left out, as EfficientNet's.
    """
    import keras

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    inputs = keras.Input((image_size, image_size, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(inputs)
    for number, width in enumerate((8, 12, 16), start=1):
        x = layers.Conv2D(width, 3, strides=2, padding="same", name=f"conv{number}")(x)
        x = layers.BatchNormalization(name=f"bn{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
        side = layers.Conv2D(width, 3, padding="same", name=f"side{number}")(x)
        if branches:
            side = layers.Dropout(0.2, noise_shape=(None, 1, 1, 1), name=f"drop{number}")(side)
        x = layers.Add(name=f"add{number}")([x, side])
    network = keras.Model(inputs, x, name="toy")
    for layer in network.layers:
        if "bn" in layer.name:
            random = np.random.default_rng(seed)
            size = layer.gamma.shape
            moments = [random.normal(0, 0.3, size), random.uniform(0.5, 2, size)]
            layer.set_weights([np.ones(size), np.zeros(size), *moments])
    return network


TOY = BackboneSpec(
    name="toy",
    family="Toy",
    builder="Toy",
    arguments=(),
    image_size=32,
    preprocessing="in-model",
    width=16,
    stages=(("add1", 16, 8), ("add2", 8, 12), ("add3", 4, 16)),
    parameters=0,
    parameters_top=0,
    macs=0,
    top1=None,
    top5=None,
    weights=WeightsFile(name="toy.h5", url="http://127.0.0.1:9/toy.h5", md5=None),
    weights_top=WeightsFile(name="toy_top.h5", url="http://127.0.0.1:9/toy_top.h5", md5=None),
    licence="none",
    source="the tests",
)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> BackboneSpec:
    """The toy network as the catalogue's `toy`."""
    from transferkit.backbone import build

    monkeypatch.setattr("transferkit.backbone.table.TABLE", (*catalogue.every(), TOY))
    original = build.build

    def built(spec: BackboneSpec, image_size: int | None = None, *, classifier: bool = False) -> Any:
        if spec.name == "toy":
            return toy_network(image_size or 32)
        return original(spec, image_size, classifier=classifier)

    monkeypatch.setattr(build, "build", built)
    return TOY


@pytest.fixture(autouse=True)
def plain_report(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures, doubts and references take a second that no test of a run needs but those marked `told`.

    Grad-CAM takes another, for which there is `heat`.
    """
    if "told" not in request.keywords:
        monkeypatch.setattr("transferkit.api.finetuning.told", lambda work, best, device, folder: {})
    if "heat" not in request.keywords:
        monkeypatch.setattr(
            "transferkit.api.picturing.gradcam", lambda model, cut, images, asked: HEAT[: len(images)]
        )


HEAT = np.ones((64, 2, 2))


@pytest.fixture
def extractor(own_cache: Path) -> Extractor:
    """The toy network as an extractor."""
    from transferkit.backbone.graph import find_stages
    from transferkit.backbone.weights import fingerprint

    network = toy_network()
    return Extractor(
        network=network,
        stages=find_stages(network),
        policy=DecodePolicy(size_px=32),
        fingerprint=fingerprint(network),
        precision="float32",
        computed_by="the tests",
        batch_size=8,
        cache=own_cache,
    )


@pytest.fixture
def reseeded(extractor: Extractor) -> Callable[[int], Extractor]:
    """Extractors with other weights."""
    return lambda seed: replace(extractor, fingerprint=str(seed))


@pytest.fixture
def shared_data() -> Path:
    """Real photographs."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no photographs beside the project (../shared/data)")
    return SHARED / "data"


@pytest.fixture
def shared_weights() -> Path:
    """Real ImageNet weights."""
    if not (SHARED / "weights").is_dir():
        pytest.skip("no ImageNet weights beside the project (../shared/weights)")
    return SHARED / "weights"
