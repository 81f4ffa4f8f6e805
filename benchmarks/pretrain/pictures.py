"""Pictures for pretraining on disk: `pixels.npy` uint8 `(N, S, S, 3)` and `labels.json`.

python benchmarks/pretrain/pictures.py FOLDER --count 40000 --size 96 [--seed 0] [--processes 2]
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

CHUNK = 500


def chunk(first: int, size: int, seed: int, last: int) -> tuple[np.ndarray, list[dict[str, int]]]:
    """Pixels and labels of a run of numbers."""
    from transferkit.data.drawn import draw

    found = [draw(number, size=size, seed=seed) for number in range(first, min(first + CHUNK, last))]
    return np.stack([one.pixels for one in found]), [one.labels for one in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=40000)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    (asked.folder / "labels.json").unlink(missing_ok=True)  # no labels beside the pixels of another seed
    shape = (asked.count, asked.size, asked.size, 3)
    pixels = np.lib.format.open_memmap(asked.folder / "pixels.npy", "w+", np.uint8, shape)
    labels: list[dict[str, int]] = []
    made = partial(chunk, size=asked.size, seed=asked.seed, last=asked.count)
    with ProcessPoolExecutor(asked.processes) as pool:
        for images, told in pool.map(made, range(0, asked.count, CHUNK)):
            pixels[len(labels) : len(labels) + len(told)] = images
            labels += told
    columns = {name: [one[name] for one in labels] for name in labels[0]}
    (asked.folder / "labels.json").write_text(json.dumps({"seed": asked.seed, "labels": columns}))


if __name__ == "__main__":
    main()
