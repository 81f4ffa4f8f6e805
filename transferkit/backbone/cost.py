"""What a network costs: parameters, multiply-adds and activation memory, layer by layer."""

import math
from dataclasses import dataclass
from typing import Any

from transferkit.backbone.graph import operations_in_order


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """Cost of one layer for one image.

    Attributes:
        name: of the layer.
        kind: its class.
        shape: of the output, without the batch.
        activations: values in the output.
        parameters: values in its weights, BatchNorm statistics included.
        macs: multiply-adds of convolutions and dense layers; 0 for the rest.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    activations: int
    parameters: int
    macs: int


def layer_costs(model: Any) -> list[LayerCost]:
    """Cost of every layer, in topological order. A layer that holds layers counts as one row."""
    return [_layer_cost(operation) for operation in operations_in_order(model)]


def total_macs(model: Any) -> int:
    """Multiply-adds of one image in convolutions and dense layers."""
    return sum(cost.macs for cost in layer_costs(model))


def _layer_cost(operation: Any) -> LayerCost:
    shape = tuple(int(side) for side in operation.output.shape[1:])
    return LayerCost(
        name=operation.name,
        kind=type(operation).__name__,
        shape=shape,
        activations=math.prod(shape),
        parameters=sum(math.prod(weight.shape) for weight in getattr(operation, "weights", ())),
        macs=_macs(operation, shape),
    )


def _macs(operation: Any, shape: tuple[int, ...]) -> int:
    kind = type(operation).__name__
    if kind == "Dense":
        return int(math.prod(operation.kernel.shape) * math.prod(shape[:-1]))
    pixels = math.prod(shape[:2])
    if kind == "SeparableConv2D":
        kernels = (operation.depthwise_kernel, operation.pointwise_kernel)
        return int(pixels * sum(math.prod(kernel.shape) for kernel in kernels))
    if kind in ("Conv2D", "DepthwiseConv2D"):
        # A grouped kernel holds in/groups channels, so its size is the work of one output pixel.
        return int(pixels * math.prod(operation.kernel.shape))
    return 0
