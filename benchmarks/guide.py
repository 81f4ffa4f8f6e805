"""A `linear` run against one decode-and-predict pass, and against Keras' transfer learning guide.

    python benchmarks/guide.py DATA BACKBONE WEIGHTS_DIR [RUNS]

All sides run in one process on the same images, so their ratios do not depend on the machine's load
of the day. What is timed: of ours everything but `startup` (imports, network, weights); of a pass,
decoding and `predict`; of the guide, `image_dataset_from_directory`, frozen base, 20 epochs of
`fit` with a new head. Imports and building the network are left out of all three. Prints JSON.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def ours(data: str, backbone: str, weights_dir: str, cache: str) -> dict[str, Any]:
    from transferkit.api import finetune
    from transferkit.recipe import Recipe

    os.environ["TRANSFERKIT_CACHE"] = cache
    recipe = Recipe(backbone=backbone, weights_dir=weights_dir, strategy="linear")
    with tempfile.TemporaryDirectory() as out:
        run = finetune(data, recipe, out=Path(out) / "run")
        seconds = run.environment["seconds"]
        return {
            "seconds": seconds["total"] - seconds["startup"],
            "parts": seconds,
            "val_top1": run.metrics["splits"]["val"]["top1"],
        }


def network(backbone: str, weights_dir: str) -> Any:
    from transferkit.backbone.build import build
    from transferkit.backbone.catalogue import lookup
    from transferkit.backbone.weights import load, resolve

    spec = lookup(backbone)
    path = resolve(spec, "imagenet", Path(weights_dir))
    base = build(spec)
    assert path is not None
    load(base, spec, path)
    return base


def one_pass(data: str, backbone: str, weights_dir: str) -> dict[str, float]:
    """Decode every image once with our decoder, then one `predict` over them."""
    import numpy as np

    from transferkit.data.decode import DecodePolicy, decode_chunks
    from transferkit.data.folder import index_folder

    base = network(backbone, weights_dir)
    index = index_folder(Path(data))
    started = time.perf_counter()
    policy = DecodePolicy(size_px=base.input.shape[1])
    chunks = decode_chunks([index.root / path for path in index.files["path"]], policy)
    images = np.concatenate([chunk.images for chunk in chunks])
    decoded = time.perf_counter()
    base.predict(images, batch_size=32, verbose=0)
    return {
        "decode": decoded - started,
        "predict": time.perf_counter() - decoded,
        "seconds": time.perf_counter() - started,
    }


def guide(data: str, backbone: str, weights_dir: str, epochs: int = 20) -> dict[str, float]:
    """keras.io/guides/transfer_learning: frozen base, pooled, dropout, Dense, Adam, `fit`."""
    import keras

    base = network(backbone, weights_dir)
    base.trainable = False
    size = base.input.shape[1:3]
    started = time.perf_counter()
    train, val = (
        keras.utils.image_dataset_from_directory(
            Path(data) / split, image_size=size, batch_size=32, verbose=False, seed=0
        )
        for split in ("train", "val")
    )
    inputs = keras.Input((*size, 3))
    features = keras.layers.GlobalAveragePooling2D()(base(inputs, training=False))
    outputs = keras.layers.Dense(len(train.class_names), activation="softmax")(
        keras.layers.Dropout(0.2)(features)
    )
    model = keras.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(train.prefetch(2), validation_data=val.prefetch(2), epochs=epochs, verbose=0).history
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "best_val_top1": max(history["val_accuracy"]),
        "last_val_top1": history["val_accuracy"][-1],
    }


def main(data: str, backbone: str, weights_dir: str, runs: int = 3) -> None:
    import statistics

    from transferkit.api.inputs import import_libraries

    import_libraries()
    rounds = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as cache:
            first = ours(data, backbone, weights_dir, cache)
            second = ours(data, backbone, weights_dir, cache)
        single = one_pass(data, backbone, weights_dir)
        fitted = guide(data, backbone, weights_dir)
        spent = {
            name: run["parts"]["decode"] + run["parts"]["bank"]
            for name, run in (("first", first), ("second", second))
        }
        rounds.append({
            "ours_over_pass": first["seconds"] / single["seconds"],
            "second_over_first_bank": spent["second"] / spent["first"],
            "guide_over_ours": fitted["seconds"] / first["seconds"],
            "ours": first, "second": second, "pass": single, "guide": fitted,
        })  # fmt: skip
    medians = {
        key: statistics.median(one[key] for one in rounds)
        for key in ("ours_over_pass", "second_over_first_bank", "guide_over_ours")
    }
    print(
        json.dumps(
            {
                "data": Path(data).name,
                "backbone": backbone,
                "cpus": os.cpu_count(),
                "median": medians,
                "rounds": rounds,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:5]))
