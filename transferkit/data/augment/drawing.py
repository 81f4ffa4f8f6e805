"""Random numbers from one image's key, whatever layer asks for them."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf


class Draws(keras.random.SeedGenerator):  # type: ignore[misc]  # keras has no types
    """Seeds for one image, each another; a SeedGenerator, so any Keras layer draws from it.

    A layer's own generator counts its calls, so what an image gets depends on how many went before it.
    """

    def __init__(self, key: Any) -> None:
        # Not the parent's: it makes a variable, and there is no state here but a count while tracing.
        self.key, self.count = key, 0

    def next(self, ordered: bool = True) -> Any:
        """int32 `(2,)`."""
        self.count += 1
        return self.key + tf.constant([0, self.count * 7919], tf.int32)

    def uniform(self, shape: Any = (), low: Any = 0.0, high: Any = 1.0) -> Any:
        """float32, `low` <= x < `high`."""
        return tf.random.stateless_uniform(shape, self.next(), low, high)

    def whole(self, most: int) -> Any:
        """int32 from 0 to `most` - 1, each as likely."""
        return tf.random.stateless_uniform((), self.next(), 0, most, tf.int32)

    def normal(self, shape: Any = ()) -> Any:
        """float32, standard normal."""
        return tf.random.stateless_normal(shape, self.next())

    def gamma(self, shape: Any, alpha: Any) -> Any:
        """float32, Gamma(`alpha`, 1)."""
        return tf.random.stateless_gamma(shape, self.next(), alpha)

    def shuffled(self, count: Any) -> Any:
        """int32 `(count,)`: 0 to `count` - 1 in random order."""
        return tf.argsort(tf.random.stateless_uniform((count,), self.next()))


def draw_from(layer: Any, draws: Draws) -> None:
    """Make a Keras image layer, and the layers inside it, draw from `draws`."""
    for one in layer._flatten_layers():
        one._get_seed_generator = lambda backend=None: draws


class _Generator:
    """What keras-cv's layers call `_random_generator`."""

    def __init__(self, draws: Draws) -> None:
        self.draws = draws

    def uniform(
        self, shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = tf.float32, **_: Any
    ) -> Any:
        """As `tf.random.uniform`."""
        maxval = 1 if maxval is None else maxval
        return tf.random.stateless_uniform(shape, self.draws.next(), minval, maxval, tf.as_dtype(dtype))

    def normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = tf.float32, **_: Any
    ) -> Any:
        """As `tf.random.normal`."""
        return tf.random.stateless_normal(shape, self.draws.next(), mean, stddev, tf.as_dtype(dtype))

    random_uniform, random_normal = uniform, normal


_TRACING = threading.RLock()


@contextmanager
def keras_cv_draws(layers: Sequence[Any], draws: Draws) -> Iterator[None]:
    """While a keras-cv layer is traced: every number it draws comes from `draws`.

    Its layers call `tf.random` itself, whose numbers depend on threads and on what was drawn before. So the
    functions they call stand in for stateless ones meanwhile; others who trace wait.
    """
    generator = _Generator(draws)

    def gamma(shape: Any, alpha: Any, beta: Any = None, dtype: Any = tf.float32, **_: Any) -> Any:
        # `tf.random.gamma` gives so many for each alpha, the stateless one takes the whole shape.
        sizes = tf.reshape(tf.cast(tf.convert_to_tensor(shape), tf.int32), [-1])
        whole = tf.concat([sizes, tf.shape(alpha)], axis=0)
        return tf.random.stateless_gamma(whole, draws.next(), alpha, beta, tf.as_dtype(dtype))

    def shuffle(value: Any, **_: Any) -> Any:
        return tf.gather(value, draws.shuffled(tf.shape(value)[0]))

    stand_ins = {"uniform": generator.uniform, "normal": generator.normal, "gamma": gamma, "shuffle": shuffle}
    for layer in layers:
        layer._random_generator = generator
    with _TRACING:
        own = {name: getattr(tf.random, name) for name in stand_ins}
        try:
            for name, function in stand_ins.items():
                setattr(tf.random, name, function)
            yield
        finally:
            for name, function in own.items():
                setattr(tf.random, name, function)
