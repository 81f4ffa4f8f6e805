"""Pretrain a small backbone on drawn pictures; it goes on where it was stopped.

    python benchmarks/pretrain/pretrain.py OUT --pictures FOLDER --method supervised|views|both --epochs 8

`supervised` tells shape, skin, colour, ground and its colour at once, a softmax for each. `views` pulls two
changed views of a picture together while the features stay apart from each other (Barlow Twins, Zbontar 2021,
arXiv:2103.03230). `both` does both, the heads on a view whose colours are as they were. OUT gets
`settings.json`, `history.csv` (an epoch a row), and `backbone.weights.h5`, which `transferkit finetune
--weights` takes. Stock layers and `fit` only, so it runs on each backend of Keras.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
PROJECTED, OFF_DIAGONAL = 512, 0.005
# Pictures kept out of training: the heads' accuracy on them is told.
HELD = 1000


class Pictures:
    """Pictures on disk, and batches of views of them."""

    def __init__(self, folder: Path, *, batch: int, side: int, seed: int) -> None:
        self.pixels = np.load(folder / "pixels.npy", mmap_mode="r")
        told = json.loads((folder / "labels.json").read_text())["labels"]
        self.labels = {name: np.array(values) for name, values in told.items()}
        if any(len(values) != len(self.pixels) for values in self.labels.values()):
            raise SystemExit(f"{folder}: labels.json is of other pictures than pixels.npy; draw them again.")
        if len(self.pixels) < HELD + batch:
            raise SystemExit(
                f"{folder}: {len(self.pixels)} pictures; {HELD} are held out and {batch} make a batch."
            )
        self.batch, self.side, self.seed = batch, side, seed

    def loader(self, views: tuple[str, ...], outputs: list[str], rows: np.ndarray, *, drawn: bool) -> Any:
        """A PyDataset of (a batch of each view, target of each output).

        Args:
            views: `crop` or `changed`, see `view`.
            outputs: of the model.
            rows: of the pictures.
            drawn: shuffled by seed and epoch, and changed at random; else all as they are.
        """
        import keras

        mine = self

        class Batches(keras.utils.PyDataset):
            epoch = 0  # set before each, so that a run that is gone on with has the order of its epoch

            def __len__(self) -> int:
                return len(rows) // mine.batch if drawn else -(-len(rows) // mine.batch)

            def __getitem__(self, number: int) -> Any:
                order = np.random.default_rng([mine.seed, self.epoch]).permutation(rows) if drawn else rows
                taken = np.sort(order[number * mine.batch : (number + 1) * mine.batch])
                random = np.random.default_rng([mine.seed, self.epoch, number]) if drawn else None
                images = tuple(mine.view(mine.pixels[taken], kind, random) for kind in views)
                none = np.zeros(len(taken), int)
                return images, {
                    name: mine.labels[name][taken] if name in mine.labels else none for name in outputs
                }

        return Batches()

    def view(self, pixels: np.ndarray, kind: str, random: np.random.Generator | None) -> np.ndarray:
        """Float32 `(B, side, side, 3)` in 0..255: a square of each picture by its nearest pixels, mirrored or not.

        A `crop` has 60 to 100 % of the side and its colours; what is `changed` has 40 to 100 %, another
        brightness, contrast and saturation, and is grey one time in six. None of it without `random`.
        """
        count, size = len(pixels), pixels.shape[1]
        least = 0.6 if kind == "crop" else 0.4
        share = random.uniform(least, 1, count) if random else np.ones(count)
        top, left = (
            (1 - share) * size * (random.uniform(0, 1, (2, count)) if random else np.zeros((2, count)))
        )
        steps = (np.arange(self.side) + 0.5) / self.side * size
        across = (left[:, None] + steps * share[:, None]).astype(int)
        if random:
            across = np.where(random.random(count)[:, None] < 0.5, across[:, ::-1], across)
        down = (top[:, None] + steps * share[:, None]).astype(int)
        seen = pixels[np.arange(count)[:, None, None], down[:, :, None], across[:, None, :]].astype(
            np.float32
        )
        return seen if kind == "crop" or random is None else _recoloured(seen, random)


def _recoloured(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    count = (len(images), 1, 1, 1)
    grey = images.mean(axis=-1, keepdims=True)
    colour = random.uniform(0.5, 1.5, count) * (random.random(count) > 1 / 6)
    images = grey + colour.astype(np.float32) * (images - grey)
    middle = images.mean(axis=(1, 2, 3), keepdims=True)
    contrast, bright = random.uniform(0.6, 1.4, count), random.uniform(0.7, 1.3, count)
    return np.clip((middle + contrast * (images - middle)) * bright, 0, 255).astype(np.float32)


def barlow(_: Any, joined: Any) -> Any:
    """Barlow Twins' loss of two projections beside each other, `(B, 2 D)`."""
    from keras import ops

    def normal(values: Any) -> Any:
        return (values - ops.mean(values, axis=0)) / ops.sqrt(ops.var(values, axis=0) + 1e-5)

    first, second = (normal(part) for part in ops.split(ops.cast(joined, "float32"), 2, axis=1))
    correlation = ops.matmul(ops.transpose(first), second) / ops.cast(ops.shape(first)[0], "float32")
    diagonal = ops.diagonal(correlation)
    on = ops.sum((1 - diagonal) ** 2)
    off = ops.sum(correlation**2) - ops.sum(diagonal**2)
    return (on + OFF_DIAGONAL * off) / PROJECTED


VIEWS = {"supervised": ("crop",), "views": ("changed", "changed"), "both": ("crop", "changed")}


def built(method: str, backbone: str, size: int) -> tuple[Any, Any]:
    """(network, what is fitted: the views of a picture to heads and twins)."""
    import keras
    from keras import layers

    from transferkit.backbone.build import build
    from transferkit.backbone.catalogue import lookup
    from transferkit.data.drawn import HEADS

    network = build(lookup(backbone), size)
    pool = layers.GlobalAveragePooling2D()
    given = [keras.Input((size, size, 3)) for _ in VIEWS[method]]
    pooled = [pool(network(one)) for one in given]
    outputs: dict[str, Any] = {}
    if method != "views":
        outputs |= {name: layers.Dense(count, name=name)(pooled[0]) for name, count in HEADS.items()}
    if method != "supervised":
        projector = keras.Sequential(
            [layers.Dense(PROJECTED), layers.BatchNormalization(), layers.ReLU(), layers.Dense(PROJECTED)]
        )
        outputs["twins"] = layers.Concatenate(name="twins")([projector(one) for one in pooled])
    return network, keras.Model(given, outputs)


def compiled(model: Any, *, rate: float, steps: int) -> None:
    """Cross-entropy for each head, Barlow Twins beside it; AdamW, warm-up and cosine."""
    import keras

    losses: dict[str, Any] = {
        name: barlow if name == "twins" else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        for name in model.output_names
    }
    weights = {name: 4.0 if name == "twins" else 1.0 for name in losses}
    warm = max(1, steps // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 100, steps - warm, warmup_target=rate, warmup_steps=warm
    )
    heads = {name: ["accuracy"] for name in losses if name != "twins"}
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.02)
    jit = keras.backend.backend() == "jax"  # XLA for TensorFlow is slow at convolutions on a CPU
    model.compile(optimizer, losses, loss_weights=weights, metrics=heads or None, jit_compile=jit)


def keep_settings(asked: argparse.Namespace) -> None:
    """Write them; a run is not gone on with under others."""
    import keras

    file = asked.out / "settings.json"
    told = {key: str(value) for key, value in vars(asked).items()}
    told |= {"keras": keras.version(), "backend": keras.backend.backend()}
    if file.exists() and (before := json.loads(file.read_text())) != told:
        differing = [key for key in told if before.get(key) != told[key]]
        raise SystemExit(f"{asked.out} was begun with another {', '.join(differing)}; give another folder.")
    file.write_text(json.dumps(told, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--method", choices=("supervised", "views", "both"), default="supervised")
    parser.add_argument("--backbone", default="mobilenet_v2_0.35")
    parser.add_argument("--size", type=int, default=80, help="pixels of what the network sees")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    import keras

    keras.utils.set_random_seed(asked.seed)
    asked.out.mkdir(parents=True, exist_ok=True)
    pictures = Pictures(asked.pictures, batch=asked.batch, side=asked.size, seed=asked.seed)
    network, model = built(asked.method, asked.backbone, asked.size)
    rows, views = np.arange(len(pictures.pixels)), VIEWS[asked.method]
    train = pictures.loader(views, model.output_names, rows[HELD:], drawn=True)
    held = pictures.loader(views, model.output_names, rows[:HELD], drawn=False)
    compiled(model, rate=asked.rate, steps=len(train) * asked.epochs)
    keep_settings(asked)
    started = time.perf_counter()
    model.fit(
        train,
        epochs=asked.epochs,
        validation_data=None if asked.method == "views" else held,  # twins of one view say nothing
        verbose=2,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda epoch, _: setattr(train, "epoch", epoch),
                on_epoch_end=lambda *_: network.save_weights(asked.out / "backbone.weights.h5"),
            ),
            keras.callbacks.CSVLogger(asked.out / "history.csv", append=True),
            # Last: what is gone on from has its row and its weights.
            keras.callbacks.BackupAndRestore(asked.out / "state", delete_checkpoint=False),
        ],
    )
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
