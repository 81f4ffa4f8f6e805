"""What mirroring, turning and changed colours cost on different kinds of images: which are called safe.

    python benchmarks/augmentation/safety.py WEIGHTS_DIR SET=FOLDER ... [--backbone mobilenet_0.25:128]
        [--per-class 20] [--seed 0]

Prints a Markdown table: share recognised as they are, and after each change; bold where it is not safe.
"""

import argparse
import os
from pathlib import Path

import numpy as np

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("weights_dir", type=Path)
    parser.add_argument("sets", nargs="+", metavar="SET=FOLDER")
    parser.add_argument("--backbone", default="mobilenet_0.25:128", metavar="NAME:SIZE")
    parser.add_argument("--per-class", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()

    from transferkit.api.inputs import start
    from transferkit.backbone.catalogue import lookup
    from transferkit.backbone.weights import resolve
    from transferkit.data.decode import decode_batch
    from transferkit.recipe import Recipe
    from transferkit.strategies.augmenting import CHANGES
    from transferkit.training.probes import stratified_folds
    from transferkit.training.safety import measure_safety

    name, _, size = asked.backbone.partition(":")
    spec = lookup(name)
    recipe = Recipe.from_mapping({"backbone": name, "image_size": int(size or 224)})
    _, extractor = start(spec, resolve(spec, "imagenet", asked.weights_dir), recipe, "crop")
    print(f"| set | images | as they are | {' | '.join(CHANGES.values())} |")
    print("|---" * (3 + len(CHANGES)) + "|")
    for given in asked.sets:
        title, _, folder = given.partition("=")
        files, labels = drawn(Path(folder), asked.per_class, asked.seed)
        folds = stratified_folds(labels, FOLDS, asked.seed)
        found = measure_safety(extractor, decode_batch(files, extractor.policy), labels, folds)
        cells = [f"{one.changed:.2f}" if one.safe else f"**{one.changed:.2f}**" for one in found.values()]
        plain = next(iter(found.values())).plain
        print(f"| {title} | {len(files)} | {plain:.2f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
