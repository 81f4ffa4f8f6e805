"""What augmentation costs: images a second of the pipeline, and seconds of views in the bank.

    python benchmarks/augmentation/cost.py FOLDER WEIGHTS_DIR [--policy standard] [--backbone mobilenet_0.25]

FOLDER has a folder of images for each class. All in one process, the ways in turn, `--rounds` times; figures
are medians (ranges) of whole epochs, the first of all apart, and ratios within a round. The guide is
`keras.utils.image_dataset_from_directory` at 256 px with RandomCrop to 224 and Keras' layers for mirror and
colours in `map`: it draws one crop a batch and does not scale, so it does less. Where the files have the
pixels ours cuts from images of up to 480 px. Memory is kept as the
commands keep it (`transferkit.allocation`), for both ways, or left as it is with `--plain-memory`.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
BATCH, SIZE = 32, 224


def guide(folder: Path) -> Any:
    """Batches as Keras' guides make them."""
    import keras
    import tensorflow as tf

    layers = keras.layers
    augment = keras.Sequential(
        [
            layers.RandomCrop(SIZE, SIZE),
            layers.RandomFlip("horizontal"),
            layers.RandomBrightness(0.2),
            layers.RandomContrast((0.2, 0.2)),
            layers.RandomSaturation((0.4, 0.6), value_range=(0, 1)),
        ]
    )
    files = keras.utils.image_dataset_from_directory(
        folder, image_size=(256, 256), batch_size=BATCH, seed=0, verbose=False
    )
    changed = files.map(lambda x, y: (augment(x, training=True), y), num_parallel_calls=tf.data.AUTOTUNE)
    return changed.prefetch(tf.data.AUTOTUNE)


def ours(paths: list[Path], policy: str, kept: bool) -> Callable[[int], Any]:
    """Epoch number to batches; images decoded anew, or kept decoded in memory."""
    from transferkit.data.augment.canvas import canvas_px
    from transferkit.data.augment.pipeline import pipeline
    from transferkit.data.augment.policy import load_policy
    from transferkit.data.decode import DecodePolicy, decode_batch
    from transferkit.data.loader import Augmentation, ImageSource, epoch_batches, epoch_order

    plain, sides = DecodePolicy(size_px=SIZE), np.array([Image.open(path).size for path in paths])
    side = canvas_px(load_policy(policy), plain, sides)
    canvas = plain.crops_from(side)
    rows = np.arange(len(paths))

    class Kept:
        images = decode_batch(paths, canvas) if kept else None

        def take(self, rows: np.ndarray) -> np.ndarray:
            assert self.images is not None
            return self.images[rows]

    source = ImageSource(paths, canvas, Kept() if kept else None)
    augment = Augmentation(pipeline(load_policy(policy), SIZE, side=side), rows, 2)

    def epoch(number: int) -> Any:
        order = epoch_order(rows, 0, number)
        return epoch_batches(
            source, np.zeros(len(rows), int), order, batch_size=BATCH, augment=augment, epoch=number
        )

    return epoch


def rate(epoch: Callable[[], Any]) -> tuple[float, float, float]:
    """Images a second of a whole epoch, its making included; of an image page faults and processor ms."""
    used, started, before = time.process_time(), time.perf_counter(), page_faults()
    images = sum(len(batch[0]) for batch in epoch())
    seconds, milliseconds = time.perf_counter() - started, 1e3 * (time.process_time() - used)
    return images / seconds, (page_faults() - before) / images, milliseconds / images


def page_faults() -> int:
    """Of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def throughput(folder: Path, policy: str, rounds: int) -> None:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    ways = {"anew": ours(paths, policy, False), "kept": ours(paths, policy, True)}
    plain = guide(folder)
    epochs: dict[str, list[tuple[float, float, float]]] = {"guide": [], **{name: [] for name in ways}}
    for number in range(rounds + 1):
        epochs["guide"].append(rate(lambda: plain))
        for name, epoch in ways.items():
            epochs[name].append(rate(lambda: epoch(number)))  # noqa: B023
    # The first epoch traces.
    found = {name: [one for one, _, _ in each[1:]] for name, each in epochs.items()}
    for name, rates in found.items():
        faults = statistics.median(one for _, one, _ in epochs[name][1:])
        used = _shown([one for _, _, one in epochs[name][1:]], ".2f")
        ratios = [own / other for own, other in zip(rates, found["guide"], strict=True)]
        told = f"{_shown(rates, '.0f')} images/s, {_shown(ratios, '.2f')} times the guide"
        print(f"{name}: {told}; of an image {used} ms of the processor, {faults:.0f} page faults")


def bank(folder: Path, weights_dir: Path, backbone: str, policy: str, rounds: int) -> None:
    from transferkit.api.inputs import open_data, start
    from transferkit.backbone.catalogue import lookup
    from transferkit.backbone.weights import resolve
    from transferkit.data.augment.canvas import canvas_px
    from transferkit.data.augment.pipeline import pipeline
    from transferkit.data.augment.policy import load_policy
    from transferkit.data.examine import examine
    from transferkit.recipe import Recipe
    from transferkit.timing import Stopwatch
    from transferkit.training.bank import pooled_bank
    from transferkit.training.views import Viewed, view_bank

    spec = lookup(backbone)
    _, extractor = start(spec, resolve(spec, "imagenet", weights_dir), Recipe(), "crop")
    named, plain_policy = load_policy(policy), extractor.policy
    ratios: dict[str, list[float]] = {"4 views by the plain bank": [], "4 views by 1": []}
    for _ in range(rounds + 1):
        with tempfile.TemporaryDirectory() as cache:
            index = examine(open_data(folder), Path(cache), compare=False).usable
            own = replace(extractor, cache=Path(cache))
            plain_s, plain = _timed(lambda: pooled_bank(own, index, Stopwatch()))  # noqa: B023
            rows = np.arange(len(index.files))
            side = canvas_px(named, plain_policy, index.files[["width", "height"]].to_numpy())
            made = pipeline(named, plain_policy.size_px, side=side)
            seconds = []
            for count in (1, 4):
                other = replace(own, cache=Path(cache) / str(count))
                viewed = Viewed(index=index, rows=rows, pipeline=made, count=count)
                seconds.append(_timed(lambda: view_bank(other, viewed, plain, Stopwatch()))[0])  # noqa: B023
        ratios["4 views by the plain bank"].append(seconds[1] / plain_s)
        ratios["4 views by 1"].append(seconds[1] / seconds[0])
    for name, values in ratios.items():
        print(f"bank, {policy}: {name}: {_shown(values[1:], '.2f')}")  # the first round compiles


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    found = call()
    return time.perf_counter() - started, found


def _shown(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("weights_dir", type=Path)
    parser.add_argument("--policy", default="standard")
    parser.add_argument("--backbone", default="mobilenet_0.25")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=("both", "throughput", "bank"), default="both")
    parser.add_argument("--plain-memory", action="store_true", help="as a program other than ours has it")
    asked = parser.parse_args()
    from transferkit.allocation import keep_memory

    if not asked.plain_memory:
        keep_memory()
    if asked.part != "bank":
        throughput(asked.folder, asked.policy, asked.rounds)
    if asked.part != "throughput":
        bank(asked.folder, asked.weights_dir, asked.backbone, asked.policy, asked.rounds)


if __name__ == "__main__":
    main()
