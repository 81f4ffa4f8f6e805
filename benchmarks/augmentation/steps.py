"""What each step of a policy takes: milliseconds of processor time an image, beside Keras' own layers for two.

    taskset -c 0 python benchmarks/augmentation/steps.py FOLDER [--policy standard]

320 images of FOLDER at 224 px, as the pipeline changes them; the best of three rounds, the first apart. Less
what no step at all takes. A crop gets images as large as it asks for, what stands behind it gets its crops.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE, COUNT = 224, 320


def milliseconds(change: Any, images: np.ndarray) -> float:
    """Of an image through `change(images, keys)` in tf.data, the best of three rounds."""
    import tensorflow as tf

    keys = np.stack([np.arange(len(images))] * 2, axis=1).astype(np.int32)
    data = tf.data.Dataset.from_tensor_slices((images, keys)).batch(32).map(change)
    taken = []
    for _ in range(4):
        started = time.process_time()
        count = sum(len(batch) for batch in data)
        taken.append(1e3 * (time.process_time() - started) / count)
    return min(taken[1:])


def by_layer(name: str) -> Any:
    """Keras' layer in place of ours, drawing for each image apart as ours do."""
    import keras

    from transferkit.data.augment.drawing import draw_from
    from transferkit.data.augment.pipeline import Pipeline

    layers = keras.layers
    layer = {
        "contrast": layers.RandomContrast((0.2, 0.2)),
        "saturation": layers.RandomSaturation((0.4, 0.6), value_range=(0, 255)),
    }[name]

    def change(image: Any, draws: Any) -> Any:
        draw_from(layer, draws)
        return layer(image[None], training=True)[0]

    return Pipeline([(1.0, change)], [], SIZE).images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--policy", default="standard")
    asked = parser.parse_args()
    from transferkit.allocation import keep_memory
    from transferkit.data.augment.canvas import canvas_px
    from transferkit.data.augment.pipeline import pipeline
    from transferkit.data.augment.policy import load_policy, policy_from
    from transferkit.data.decode import DecodePolicy, decode_batch

    keep_memory()
    paths = sorted(path for path in asked.folder.rglob("*") if path.suffix.lower() in (".jpg", ".png"))[
        :COUNT
    ]
    policy, plain = load_policy(asked.policy), DecodePolicy(size_px=SIZE)
    canvas = plain.crops_from(canvas_px(policy, plain, np.array([Image.open(path).size for path in paths])))
    started = time.process_time()
    images = decode_batch(paths, canvas)
    print(f"decoding: {1e3 * (time.process_time() - started) / len(images):.2f} ms an image")
    at = (images.shape[1] - SIZE) // 2
    crops = np.ascontiguousarray(images[:, at : at + SIZE, at : at + SIZE]).astype(np.float32)
    ways = {f"all of {policy.name}": pipeline(policy, SIZE).images}
    ways |= {step.name: pipeline(replace(policy, steps=(step,)), SIZE).images for step in policy.own}
    larger = set(list(ways)[: 1 + policy.cuts_first])
    for name in ("contrast", "saturation"):
        ways[f"{name} alone"] = pipeline(policy_from([{name: {"strength": 0.2}}]), SIZE).images
        ways[f"{name} by Keras' layer"] = by_layer(name)
    nothing = pipeline(replace(policy, steps=()), SIZE)
    for name, change in ways.items():
        given = images if name in larger else crops
        taken = milliseconds(change, given) - milliseconds(nothing.unclipped, given)
        print(f"{name}: {taken:.2f} ms an image")


if __name__ == "__main__":
    main()
