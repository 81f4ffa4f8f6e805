"""Copies planted beside the pictures of a folder: how many are found, and which other pairs are called.

    python benchmarks/duplicates.py DATA... [--seed 0 1 2] [--copies 100] [--scale 100000]

DATA is a folder of images, or `digits` for those of scikit-learn. For each seed and way of copying,
`copies` pictures (an eighth at most; no picture twice) are drawn, and copied into a temporary folder.
`--scale` also measures time and peak memory for so many synthetic thumbnails: blends of two pictures of
DATA, plain ones with noise, and noisy copies of a single picture. Prints JSON.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from transferkit.data.duplicates import Pair, clusters, describe, find_pairs

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"}


def scaled(image: Image.Image, by: float) -> Image.Image:
    return image.resize([max(1, round(side * by)) for side in image.size], Image.Resampling.BICUBIC)


def cropped(image: Image.Image) -> Image.Image:
    """Without a twentieth of its width and of its height, all round."""
    across, down = (round(side / 40) for side in image.size)
    return image.crop((across, down, image.width - across, image.height - down))


# Way of copying: the change, and the options of `save`. A quality is that of a JPEG.
COPIES: dict[str, tuple[Callable[[Image.Image], Image.Image], dict[str, int]]] = {
    "quality 60": (lambda image: image, {"quality": 60}),
    "90 % size": (lambda image: scaled(image, 0.9), {"quality": 90}),
    "90 % size, png": (lambda image: scaled(image, 0.9), {}),
    "90 % size, quality 60": (lambda image: scaled(image, 0.9), {"quality": 60}),
    "half size": (lambda image: scaled(image, 0.5), {"quality": 90}),
    "mirrored": (ImageOps.mirror, {"quality": 90}),
    "5 % brighter": (lambda image: image.point(lambda value: min(255, round(value * 1.05))), {"quality": 90}),
    "5 % cropped": (cropped, {"quality": 90}),
}


def upright(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def thumbnail(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        image.draft("RGB", (96, 96))
        turned = ImageOps.exif_transpose(image).convert("RGB")
        return np.asarray(turned.resize((32, 32), Image.Resampling.BILINEAR, reducing_gap=2.0))


def pictures(data: str, folder: Path) -> dict[str, Path]:
    if data != "digits":
        files = sorted(path for path in Path(data).rglob("*") if path.suffix.lower() in SUFFIXES)
        return {str(path.relative_to(data)): path for path in files}
    from sklearn.datasets import load_digits

    digits = load_digits()
    for row, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        Image.fromarray(np.rint(image * (255 / 16)).astype(np.uint8)).save(folder / f"{row:04d}_{label}.png")
    return {path.name: path for path in sorted(folder.iterdir())}


def planted(
    files: list[Path], copies: int, seed: int, folder: Path
) -> dict[str, tuple[np.ndarray, list[Path]]]:
    """For each way of copying the rows copied and the copies."""
    each = min(copies, len(files) // len(COPIES))
    drawn = np.random.default_rng(seed).permutation(len(files))[: each * len(COPIES)]
    made = {}
    for number, (rows, (name, (change, options))) in enumerate(
        zip(drawn.reshape(len(COPIES), each), COPIES.items(), strict=True)
    ):
        paths = [folder / f"{number}_{row}.{'jpg' if options else 'png'}" for row in rows]
        for row, path in zip(rows, paths, strict=True):
            change(upright(files[row])).save(path, **options)
        made[name] = rows, paths
    return made


def one_round(originals: np.ndarray, files: list[Path], copies: int, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        made = planted(files, copies, seed, Path(folder))
        thumbnails = np.stack([thumbnail(path) for _, paths in made.values() for path in paths])
    marks = describe(np.concatenate([originals, thumbnails]))
    started = time.perf_counter()
    pairs = find_pairs(marks)
    seconds = time.perf_counter() - started
    listed = {(pair.first, pair.second): pair.mirrored for pair in pairs}
    recall, start = {}, len(files)
    for name, (rows, _) in made.items():
        wanted = [(int(row), start + n) for n, row in enumerate(rows)]
        start += len(rows)
        recall[name] = sum(listed.pop(pair, None) == (name == "mirrored") for pair in wanted) / len(rows)
    return {
        "seed": seed,
        "copies_each": len(rows),
        "recall": recall,
        "not_planted": sum(not mirrored for mirrored in listed.values()),
        "not_planted_mirrored": sum(listed.values()),
        "not_planted_share_of_images": len(listed) / len(marks),
        "seconds": seconds,
    }


def measure(data: str, seeds: list[int], copies: int) -> tuple[dict[str, Any], np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        files = pictures(data, Path(folder))
        originals = np.stack([thumbnail(path) for path in files.values()])
        names, pairs = list(files), find_pairs(describe(originals))
        rounds = [one_round(originals, list(files.values()), copies, seed) for seed in seeds]
    found = [
        (names[pair.first], names[pair.second], pair.mirrored, round(pair.difference, 3)) for pair in pairs
    ]
    return {
        "data": Path(data).name,
        "images": len(names),
        "pairs_of_originals": len(found),
        "first_pairs_of_originals": sorted(found, key=lambda row: row[3])[:20],
        "images_in_clusters": int(
            (np.bincount(clusters(len(names), pairs))[clusters(len(names), pairs)] > 1).sum()
        ),
        "rounds": rounds,
    }, originals


def synthetic(kind: str, pool: np.ndarray, n: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(0)
    for start in range(0, n, 4096):
        some = min(4096, n - start)
        noise = random.normal(0, 1, (some, 32, 32, 3))
        if kind == "blends":
            first, second = pool[random.integers(len(pool), size=(2, some))].astype(np.float32)
            made = 0.65 * first + 0.35 * np.rot90(second, axes=(1, 2))
        else:
            made = noise + (pool[0] if kind == "one picture" else random.normal(100, 3, (some, 1, 1, 3)))
        yield np.clip(np.rint(made), 0, 255).astype(np.uint8)


def at_scale(kind: str, pool: np.ndarray, n: int) -> dict[str, Any]:
    marks = np.concatenate([describe(part) for part in synthetic(kind, pool, n)])
    started, busy = time.perf_counter(), time.process_time()
    pairs: list[Pair] = find_pairs(marks)
    return {
        "kind": kind,
        "marks": n,
        "pairs": len(pairs),
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - busy,
        "peak_gb_of_process_so_far": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("data", nargs="+")
    words.add_argument("--seed", type=int, nargs="+", default=[0, 1, 2])
    words.add_argument("--copies", type=int, default=100)
    words.add_argument("--scale", type=int)
    given = words.parse_args()
    measured = [measure(data, given.seed, given.copies) for data in given.data]
    result: dict[str, Any] = {"cpus": os.cpu_count(), "data": [figures for figures, _ in measured]}
    if given.scale:
        pool = np.concatenate([originals for _, originals in measured])
        kinds = ("blends", "plain", "one picture")
        result["scale"] = [at_scale(kind, pool, given.scale) for kind in kinds]
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
