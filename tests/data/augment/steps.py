"""What the tests of steps share: images, and what a policy makes of them."""

import json
from functools import cache
from typing import Any

import numpy as np

from transferkit.data.augment.catalogue import STEPS
from transferkit.data.augment.keys import keys_of
from transferkit.data.augment.pipeline import Pipeline, pipeline
from transferkit.data.augment.policy import policy_from

SIZE, COUNT = 48, 64
RANDOM = np.random.default_rng(0)


def pictures(side: int = SIZE) -> np.ndarray:
    """Smooth colours, float32 `(COUNT, side, side, 3)`, 0..255: each image another."""
    rows, columns = np.mgrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]  # type: ignore[misc]
    waves = RANDOM.uniform(1, 4, (COUNT, 1, 1, 3)), RANDOM.uniform(1, 4, (COUNT, 1, 1, 3))
    phase = RANDOM.uniform(0, 6, (COUNT, 1, 1, 3))
    angle = waves[0] * rows[..., None] + waves[1] * columns[..., None]
    return (127.5 + 120 * np.sin(3 * angle + phase)).astype(np.float32)


PICTURES = pictures()


@cache
def _made(steps: str, axes: bytes) -> Pipeline:
    """A pipeline that is traced once for all tests."""
    return pipeline(policy_from(json.loads(steps)), SIZE, np.frombuffer(axes).reshape(3, 3))


def changed(steps: Any, images: np.ndarray = PICTURES, seed: int = 0, **options: Any) -> np.ndarray:
    """What a policy makes of images; a name alone gets probability 1."""
    listed = [{steps: {"probability": 1.0}}] if isinstance(steps, str) else steps
    made = _made(json.dumps(listed), options.pop("axes", np.zeros((3, 3))).tobytes())
    return made.changed(images, keys_of(np.arange(len(images)), seed, 0))


def unclipped(name: str, images: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """What a step alone makes of images, before what leaves 0..255 is cut."""
    run = _bare(json.dumps([{name: {"probability": 1.0}}]), axes.tobytes())
    return np.asarray(run(images, keys_of(np.arange(len(images)), 0, 0)))


@cache
def _bare(steps: str, axes: bytes) -> Any:
    import tensorflow as tf

    return tf.function(_made(steps, axes).unclipped, reduce_retracing=True)


def every_step() -> list[Any]:
    """One policy of all steps that change one image; of the crops, of which one is allowed, the harder."""
    left_out = "random_crop"
    return [
        {name: {"probability": 1.0}} for name, spec in STEPS.items() if not spec.mixes and name != left_out
    ]
