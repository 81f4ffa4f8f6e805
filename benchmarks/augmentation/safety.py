"""What mirroring, turning and changed colours cost on different kinds of images: which are called safe.

    python benchmarks/augmentation/safety.py WEIGHTS_DIR SET=FOLDER ... [--backbone mobilenet_0.25:128]
        [--per-class 20] [--seed 0 1 2]

Prints a Markdown table: share recognised as they are, and after each change, means over seeds, and how often
it was found unsafe.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from transferkit.strategies.augmenting import Recognised

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
FOLDS = 5


def drawn(folder: Path, per_class: int, seed: int) -> tuple[list[Path], np.ndarray]:
    """Some files of each class, and their class numbers."""
    random = np.random.default_rng(seed)
    found = [path for path in folder.rglob("*") if path.is_file()]
    files: list[Path] = []
    labels: list[int] = []
    for number, name in enumerate(sorted({path.parent.name for path in found})):
        own = random.permutation(sorted(str(path) for path in found if path.parent.name == name))[:per_class]
        files += [Path(path) for path in own]
        labels += [number] * len(own)
    return files, np.array(labels)


def measured(
    backbone: str, weights_dir: Path
) -> Callable[[Path, int, int], tuple[int, dict[str, "Recognised"]]]:
    """A function of (folder, images per class, seed): the number of images, and what each change costs."""
    from transferkit.api.inputs import start
    from transferkit.backbone.catalogue import lookup
    from transferkit.backbone.weights import resolve
    from transferkit.data.decode import decode_batch
    from transferkit.recipe import Recipe
    from transferkit.training.probes import stratified_folds
    from transferkit.training.safety import measure_safety

    name, _, size = backbone.partition(":")
    spec = lookup(name)
    recipe = Recipe.from_mapping({"backbone": name, "image_size": int(size or 224)})
    _, extractor = start(spec, resolve(spec, "imagenet", weights_dir), recipe, "crop")

    def measure(folder: Path, per_class: int, seed: int) -> tuple[int, dict[str, "Recognised"]]:
        files, labels = drawn(folder, per_class, seed)
        images, folds = decode_batch(files, extractor.policy), stratified_folds(labels, FOLDS, seed)
        return len(files), measure_safety(extractor, images, labels, folds)

    return measure


def shown(found: Sequence["Recognised"]) -> str:
    """A cell: the mean share recognised after a change, and of how many draws it was unsafe."""
    unsafe = sum(one.unsafe for one in found)
    told = f" (unsafe {unsafe} of {len(found)})" if unsafe else ""
    return f"{mean(one.changed for one in found):.2f}{told}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("weights_dir", type=Path)
    parser.add_argument("sets", nargs="+", metavar="SET=FOLDER")
    parser.add_argument("--backbone", default="mobilenet_0.25:128", metavar="NAME:SIZE")
    parser.add_argument("--per-class", type=int, default=20)
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2])
    asked = parser.parse_args()

    from transferkit.strategies.augmenting import CHANGES

    measure = measured(asked.backbone, asked.weights_dir)
    print(f"| set | images | as they are | {' | '.join(CHANGES.values())} |")
    print("|---" * (3 + len(CHANGES)) + "|")
    for given in asked.sets:
        title, _, folder = given.partition("=")
        draws = [measure(Path(folder), asked.per_class, seed) for seed in asked.seed]
        images = max(count for count, _ in draws)
        plain = mean(found["mirror"].plain for _, found in draws)
        cells = [shown([found[change] for _, found in draws]) for change in CHANGES]
        print(f"| {title} | {images} | {plain:.2f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
