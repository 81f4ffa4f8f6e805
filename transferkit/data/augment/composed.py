"""Automatic policies: TrivialAugment, RandAugment, AutoAugment for ImageNet and AugMix, drawn per image."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from transferkit.data.augment.drawing import Draws
from transferkit.data.augment.layers import Change, Values
from transferkit.data.augment.operations import NAMES, SIGNED, Operations

# Strength at level 0 and at level 1 of each operation that has one.
Ranges = Mapping[str, tuple[float, float]]
_ENHANCE = ("brightness", "color", "contrast", "sharpness")
# Mueller and Hutter 2021, table 2, "wide"; 32 pixels of 224.
WIDE: Ranges = {
    **{name: (0.0, 0.99) for name in ("shear_x", "shear_y", *_ENHANCE)},
    "translate_x": (0.0, 32 / 224), "translate_y": (0.0, 32 / 224), "rotate": (0.0, 135.0),
    "posterize": (8.0, 2.0), "solarize": (255.0, 0.0),
}  # fmt: skip
# Cubuk 2018, table 6; translations of 150 pixels of 331.
AUTO: Ranges = {
    **{name: (0.0, 0.9) for name in _ENHANCE},
    "shear_x": (0.0, 0.3), "shear_y": (0.0, 0.3), "rotate": (0.0, 30.0),
    "translate_x": (0.0, 150 / 331), "translate_y": (0.0, 150 / 331),
    "posterize": (8.0, 4.0), "solarize": (255.0, 0.0),
}  # fmt: skip
# Hendrycks 2019, https://github.com/google-research/augmix: no operation on colours that the benchmark
# of corruptions tests.
MIX: Ranges = {
    "shear_x": (0.0, 0.3), "shear_y": (0.0, 0.3), "rotate": (0.0, 30.0),
    "translate_x": (0.0, 1 / 3), "translate_y": (0.0, 1 / 3),
    "posterize": (4.0, 0.0), "solarize": (255.0, 0.0),
}  # fmt: skip
FOURTEEN = tuple(name for name in NAMES if name != "invert")
OF_MIX = (*MIX, "autocontrast", "equalize")


def _strength(ranges: Ranges, number: Any, level: Any, draws: Draws) -> Any:
    """Of an operation at a level of 0..1, its sign drawn where it has one."""
    low = tf.constant([ranges.get(name, (0.0, 0.0))[0] for name in NAMES])
    high = tf.constant([ranges.get(name, (0.0, 0.0))[1] for name in NAMES])
    both = tf.constant([name in SIGNED for name in NAMES])
    value = tf.gather(low, number) + level * (tf.gather(high, number) - tf.gather(low, number))
    turned = tf.gather(both, number) & (draws.uniform() < 0.5)
    return tf.where(turned, -value, value)


def _one_of(names: tuple[str, ...], draws: Draws) -> Any:
    """The number of one of some operations, each as likely."""
    return tf.gather(tf.constant([NAMES.index(name) for name in names]), draws.whole(len(names)))


def trivial_augment(values: Values) -> Change:
    """One of 14 operations, level uniform in 31 steps."""
    operations = Operations()

    def change(image: Any, draws: Draws) -> Any:
        number, level = _one_of(FOURTEEN, draws), tf.cast(draws.whole(31), tf.float32) / 30
        return operations.apply(number, image, _strength(WIDE, number, level, draws))

    return change


def rand_augment(values: Values) -> Change:
    """Some of 14 operations, with replacement, all at one level."""
    operations, level = Operations(), values["magnitude"] / 30

    def change(image: Any, draws: Draws) -> Any:
        for _ in range(values["steps"]):
            number = _one_of(FOURTEEN, draws)
            image = operations.apply(number, image, _strength(AUTO, number, level, draws))
        return image

    return change


# (operation, probability, level of 0..9) twice: Cubuk 2018, table 9.
_TABLE = """\
posterize .4 8, rotate .6 9
solarize .6 5, autocontrast .6 5
equalize .8 8, equalize .6 3
posterize .6 7, posterize .6 6
equalize .4 7, solarize .2 4
equalize .4 4, rotate .8 8
solarize .6 3, equalize .6 7
posterize .8 5, equalize 1 2
rotate .2 3, solarize .6 8
equalize .6 8, posterize .4 6
rotate .8 8, color .4 0
rotate .4 9, equalize .6 2
equalize 0 7, equalize .8 8
invert .6 4, equalize 1 8
color .6 4, contrast 1 8
rotate .8 8, color 1 2
color .8 8, solarize .8 7
sharpness .4 7, invert .6 8
shear_x .6 5, equalize 1 9
color .4 0, equalize .6 3
equalize .4 7, solarize .2 4
solarize .6 5, autocontrast .6 5
invert .6 4, equalize 1 8
color .6 4, contrast 1 8
equalize .8 8, equalize .6 3"""


def _read(line: str) -> tuple[tuple[str, float, int], ...]:
    steps = [step.split() for step in line.split(",")]
    return tuple((name, float(chance), int(level)) for name, chance, level in steps)


PAIRS = tuple(map(_read, _TABLE.splitlines()))


def auto_augment(values: Values) -> Change:
    """One of 25 pairs."""
    operations = Operations()
    numbers, chances, levels = (
        tf.constant([[kind(step) for step in pair] for pair in PAIRS])
        for kind in (lambda s: NAMES.index(s[0]), lambda s: s[1], lambda s: s[2] / 9)
    )

    def change(image: Any, draws: Draws) -> Any:
        pair = draws.whole(len(PAIRS))
        for place in (0, 1):
            number = numbers[pair, place]
            # What is not drawn becomes the identity, number 0.
            number = tf.where(draws.uniform() < chances[pair, place], number, 0)
            image = operations.apply(number, image, _strength(AUTO, number, levels[pair, place], draws))
        return image

    return change


def augmix(values: Values) -> Change:
    """The image blended, by Beta(1, 1), with a Dirichlet(1, ..., 1) mean of chains of operations."""
    operations, most = Operations(), values["severity"] / 10

    def chain(image: Any, draws: Draws) -> Any:
        depth = 1 + draws.whole(values["depth"])
        for place in range(values["depth"]):
            number = tf.where(place < depth, _one_of(OF_MIX, draws), 0)
            level = draws.uniform((), min(0.01, most), most)
            image = operations.apply(number, image, _strength(MIX, number, level, draws))
        return image

    def change(image: Any, draws: Draws) -> Any:
        shares = draws.gamma((values["chains"],), 1.0)
        shares = tf.unstack(shares / tf.reduce_sum(shares))
        mixed = tf.add_n([share * chain(image, draws) for share in shares])
        # Beta(1, 1) is uniform.
        kept = draws.uniform()
        return kept * image + (1 - kept) * mixed

    return change


COMPOSED: Mapping[str, Callable[[Values], Change]] = {
    "trivial_augment": trivial_augment,
    "rand_augment": rand_augment,
    "auto_augment": auto_augment,
    "augmix": augmix,
}
