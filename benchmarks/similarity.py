"""What the measures of similarity say of sets that are like ImageNet and of sets that are not.

    python benchmarks/similarity.py WEIGHTS_DIR SET=FOLDER ... [--backbone NAME[:SIZE] ...] [--per-class N ...]

A folder is data as `transferkit finetune` takes it; one without labels (a flat folder of images) is measured
without the stages. Prints JSON: a row for each backbone and set, with the evidence at each number of images per
class (0 takes all), and what `judge` says of it.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
PICTURES = {".jpg", ".jpeg", ".png"}


def measured(source: Any, folder: Path, sizes: list[int], seed: int) -> dict[str, Any]:
    from transferkit.api.inputs import open_data
    from transferkit.data.examine import examine
    from transferkit.strategies.similarity import judge
    from transferkit.timing import Stopwatch
    from transferkit.training.bank import pooled_bank
    from transferkit.training.evidence import Looked, measure_evidence, sample_images

    if any(path.suffix.lower() in PICTURES for path in folder.iterdir()):
        return unlabelled(source, folder, seed)
    extractor = source.extractor
    index = examine(open_data(folder), extractor.cache).usable
    bank = pooled_bank(extractor, index, Stopwatch())
    index = index.without(bank.failed)
    bank = pooled_bank(extractor, index, Stopwatch())
    names = {name: number for number, name in enumerate(index.labels)}
    labels = index.targets(names, len(names))
    found = {}
    for size in sizes:
        rows = few(labels, size, seed)
        images = sample_images(extractor, index, rows, seed)
        looked = Looked(rows=rows, labels=labels[rows], units=np.arange(len(rows)))
        evidence = measure_evidence(bank, looked, source=source, images=images, seed=seed)
        verdict = judge(evidence)
        found[str(size or "all")] = evidence.as_dict() | {"verdict": verdict.verdict, "near": verdict.near}
    return found


def unlabelled(source: Any, folder: Path, seed: int) -> dict[str, Any]:
    from transferkit.data.decode import decode_batch
    from transferkit.training.statistics import IMAGES, batchnorm_distances, source_confidence

    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    chosen = np.random.default_rng(seed).permutation(len(paths))[:IMAGES]
    images = decode_batch([paths[i] for i in chosen], source.extractor.policy)
    layers = batchnorm_distances(source.extractor.network, images)
    top = source_confidence(source.spec, source.weights_file, images)
    distance = float(np.mean(list(layers.values()))) if layers else None
    told = {"confidence": top[0], "entropy": top[1]} if top else {}
    return {"all": {"batchnorm": distance, "batchnorm_layers": layers, **told}}


def few(labels: np.ndarray, size: int, seed: int) -> np.ndarray:
    """At most `size` rows of each class, 0 all of them."""
    order = np.random.default_rng(seed).permutation(len(labels))
    if not size:
        return np.sort(order)
    rows = [order[labels[order] == number][:size] for number in np.unique(labels)]
    return np.sort(np.concatenate(rows))


def network(name: str, size: int, weights_dir: Path, cache: Path) -> Any:
    from transferkit.backbone.build import build
    from transferkit.backbone.catalogue import lookup
    from transferkit.backbone.graph import find_stages
    from transferkit.backbone.weights import fingerprint, load, resolve
    from transferkit.data.decode import DecodePolicy
    from transferkit.training.bank import Extractor
    from transferkit.training.evidence import Source

    spec = lookup(name)
    size = size or spec.image_size
    built = build(spec, size)
    file = resolve(spec, "imagenet", weights_dir)
    assert file is not None
    load(built, spec, file)
    extractor = Extractor(
        network=built,
        stages=find_stages(built),
        policy=DecodePolicy(size_px=size),
        fingerprint=fingerprint(built),
        precision="float32",
        computed_by="benchmark",
        batch_size=32,
        cache=cache,
    )
    return Source(spec=spec, extractor=extractor, weights_file=file)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("weights_dir", type=Path)
    parser.add_argument("sets", nargs="+", metavar="SET=FOLDER")
    parser.add_argument("--backbone", nargs="*", default=["mobilenet_0.25", "mobilenet_v2_0.35"])
    parser.add_argument("--per-class", nargs="*", type=int, default=[10, 50])
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        for backbone in asked.backbone:
            name, _, size = backbone.partition(":")
            source = network(name, int(size or 0), asked.weights_dir, Path(cache))
            for each in asked.sets:
                title, _, folder = each.partition("=")
                found = measured(source, Path(folder), asked.per_class, asked.seed)
                pixels = source.extractor.policy.size_px
                rows.append({"backbone": name, "image_size": pixels, "set": title, "per_class": found})
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
