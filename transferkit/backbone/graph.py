"""Cuts and stages of a network, read from its graph.

A *cut* is a layer whose output every path from input to output passes: the only places where a
network can be split into `Model(input, cut)` and `Model(cut, output)` without changing a number.
A *stage* is what lies between two cuts at one spatial resolution.
"""

import math
from dataclasses import dataclass
from typing import Any

from transferkit.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A group of layers at one spatial resolution, ending at a cut.

    Attributes:
        name: `stage1` is nearest the input.
        cut: name of the layer whose output ends the stage.
        size_px: height (and width) of that output at the network's image size.
        channels: channels of that output.
        layers: names of the layers of the stage, in topological order.
    """

    name: str
    cut: str
    size_px: int
    channels: int
    layers: tuple[str, ...]


def operations_in_order(model: Any) -> list[Any]:
    """All operations of a functional model, each after those whose output it takes."""
    return [node.operation for node in _nodes_in_order(model)]


def find_cuts(model: Any) -> list[Any]:
    """Operations that every path from input to output passes, in topological order.

    An operation is a cut when no output made before it is consumed after it. The input counts
    as the first cut.
    """
    nodes = _nodes_in_order(model)
    position = {id(node.operation): i for i, node in enumerate(nodes)}
    last_use = [0] * len(nodes)
    for i, node in enumerate(nodes):
        for parent in node.parent_nodes:
            at = position[id(parent.operation)]
            last_use[at] = max(last_use[at], i)
    cuts, latest = [], 0
    for i, node in enumerate(nodes):
        if latest <= i:
            cuts.append(node.operation)
        latest = max(latest, last_use[i])
    return cuts


def _nodes_in_order(model: Any) -> list[Any]:
    depths = sorted(model._nodes_by_depth, reverse=True)
    return [node for depth in depths for node in model._nodes_by_depth[depth]]


def find_stages(model: Any) -> tuple[Stage, ...]:
    """The stages of a backbone without its classifier, nearest the input first.

    The last cut at each halving of the resolution ends a stage; padding counts with the resolution
    it prepares. A stretch without weights (the input, the preprocessing) joins the stage behind it,
    and at the very end (VGG's last pooling) the stage before it. A network whose cells take two
    inputs (NASNet) has no cut behind its stem and is two stages.
    """
    cuts = [cut for cut in find_cuts(model) if len(cut.output.shape) == 4]
    image_px = int(model.input.shape[1])
    operations = operations_in_order(model)
    position = {id(operation): i for i, operation in enumerate(operations)}
    ends = _last_at_each_resolution(cuts, image_px)
    bounds, start = [], 0
    for end in ends:
        stop = position[id(end)] + 1
        if any(_learns(operation) for operation in operations[start:stop]):
            bounds.append((start, stop))
            start = stop
    bounds[-1] = (bounds[-1][0], len(operations))
    return tuple(_stage(n, operations[a:b]) for n, (a, b) in enumerate(bounds, start=1))


def _last_at_each_resolution(cuts: list[Any], image_px: int) -> list[Any]:
    ends: dict[int, Any] = {}
    for cut in cuts:
        if type(cut).__name__ == "ZeroPadding2D":
            continue
        ends[round(math.log2(image_px / int(cut.output.shape[1])))] = cut
    return list(ends.values())


def _stage(number: int, operations: list[Any]) -> Stage:
    cut = operations[-1]
    return Stage(
        name=f"stage{number}",
        cut=cut.name,
        size_px=int(cut.output.shape[1]),
        channels=int(cut.output.shape[-1]),
        layers=tuple(operation.name for operation in operations),
    )


def _learns(operation: Any) -> bool:
    """Whether an operation has weights of its own; Normalization holds constants only."""
    return bool(getattr(operation, "weights", ())) and type(operation).__name__ != "Normalization"


def output_of(model: Any, name: str) -> Any:
    """The output of an operation by name; `get_layer` finds layers only, and ConvNeXt adds by operations."""
    return next(operation.output for operation in operations_in_order(model) if operation.name == name)


def stage_layers(model: Any, stages: tuple[Stage, ...]) -> list[list[Any]]:
    """The layer objects of each stage; operations that are not layers are left out."""
    named = {layer.name: layer for layer in model.layers}
    return [[named[name] for name in stage.layers if name in named] for stage in stages]


def split(model: Any, cut: str) -> tuple[Any, Any]:
    """`(Model(input, cut), Model(cut, output))`, sharing the layers of `model`.

    Raises:
        UsageError: the layer is not a cut, so the two parts would not be the whole.
    """
    import keras

    names = [operation.name for operation in find_cuts(model)]
    if cut not in names:
        raise UsageError(
            f"layer {cut!r} of {model.name!r} is not a cut: some path from input to output goes "
            f"around it. Cuts are: {', '.join(names)}."
        )
    tensor = output_of(model, cut)
    return keras.Model(model.input, tensor), keras.Model(tensor, model.output)
