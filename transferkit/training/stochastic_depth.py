"""Stochastic depth: in training whole branches of residual blocks are left out for some images.

keras.applications has a place for it in EfficientNet (a Dropout over whole images) and in ConvNeXt (an
identity at the end of each branch). Source: Huang et al. 2016 (arXiv:1603.09382), the linear decay rule.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from transferkit.errors import UsageError

ONE_FOR_ALL = (None, 1, 1, 1)


def branch_ends(network: Any) -> list[Any]:
    """The layers of a backbone that end a branch which may be left out, nearest the input first."""
    return [layer for layer in network.layers if _ends_branch(layer)]


def _ends_branch(layer: Any) -> bool:
    if type(layer).__name__ == "Dropout":
        return bool(layer.noise_shape == ONE_FOR_ALL)
    # What ConvNeXt has in place of a StochasticDepth layer of rate 0.
    return type(layer).__name__ == "Activation" and layer.name.endswith("_identity")


def check_has_branches(network: Any, asked: float) -> None:
    """Refuse stochastic depth for a backbone that has no place for it.

    Raises:
        UsageError: names the backbone and those that have.
    """
    if asked and not branch_ends(network):
        raise UsageError(
            f"stochastic_depth {asked:g}: backbone {network.name} has no branches that may be left out; "
            "those of efficientnet and convnext have. Use 0, or dropout."
        )


class StochasticDepth:
    """Leaves branches out while it is active.

    The layers' own `call` is stood in for, and given back by `remove`: nothing of it is saved.
    """

    def __init__(self, network: Any, trains: Sequence[str], rate: float, seeds: Any) -> None:
        """Prepare a network.

        Args:
            network: the backbone.
            trains: names of layers that train: others stay as they are.
            rate: share of images for which the last branch is left out; those before it less, in proportion.
            seeds: a keras SeedGenerator.
        """
        self.active, self.seeds = False, seeds
        self.layers: list[Any] = []
        ends = branch_ends(network)
        for number, layer in enumerate(ends, start=1):
            if layer.name in trains:
                layer.call = self._calling(layer.call, rate * number / len(ends))
                self.layers.append(layer)

    def _calling(self, own: Callable[..., Any], rate: float) -> Callable[..., Any]:
        def call(inputs: Any, *arguments: Any, **named: Any) -> Any:
            if not self.active:
                return own(inputs, *arguments, **named)
            from keras import ops, random

            shape = (ops.shape(inputs)[0], 1, 1, 1)
            kept = random.uniform(shape, seed=self.seeds) >= rate
            return ops.where(kept, inputs / (1 - rate), ops.zeros_like(inputs))

        return call

    @contextmanager
    def while_training(self, training: bool) -> Iterator[None]:
        """Active inside, if it is training."""
        self.active = training
        try:
            yield
        finally:
            self.active = False

    def remove(self) -> None:
        """Give the layers back what they did."""
        for layer in self.layers:
            del layer.call
        self.layers = []
