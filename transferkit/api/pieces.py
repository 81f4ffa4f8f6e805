"""Parts for those who train with Keras themselves: a model, and the two ends of a backbone."""

from pathlib import Path
from typing import Any

from transferkit.backbone.catalogue import lookup
from transferkit.backbone.graph import find_stages, split
from transferkit.backbone.weights import load, resolve
from transferkit.errors import UsageError, unknown_name


def build_model(
    backbone: str,
    classes: int,
    *,
    weights: str = "imagenet",
    weights_dir: str | Path | None = None,
    image_size: int | None = None,
    freeze_depth: int | None = None,
    dropout: float = 0.0,
) -> Any:
    """A backbone with a new head, not compiled.

    It takes images `(N, S, S, 3)` RGB 0..255 and gives probabilities `(N, classes)`; its preprocessing is
    inside. BatchNorm layers stay as they are in every stage: little data would spoil their statistics.

    Args:
        backbone: its name, see `backbones`.
        classes: how many; 1 gives one sigmoid.
        weights: `imagenet`, `none` (random) or a file.
        weights_dir: looked in first for ImageNet weights.
        image_size: S in pixels; None takes the backbone's own.
        freeze_depth: stages from the input that do not train; None freezes all.
        dropout: share of the head's inputs dropped in training.

    Raises:
        UnknownName: no such backbone.
        UsageError: fewer than one class, or more stages frozen than there are.
        WeightsError: the weights cannot be had.
    """
    import keras

    from transferkit.backbone.build import build
    from transferkit.training.model import freeze_batch_norm, set_freeze_depth

    spec = lookup(backbone)
    if classes < 1:
        raise UsageError(f"classes {classes}: at least 1 is needed.")
    file = resolve(spec, weights, None if weights_dir is None else Path(weights_dir))
    network = build(spec, image_size)
    if file is not None:
        load(network, spec, file)
    stages = find_stages(network)
    depth = len(stages) if freeze_depth is None else freeze_depth
    if not 0 <= depth <= len(stages):
        raise UsageError(f"freeze_depth {depth}: {backbone} has {len(stages)} stages, so 0 to {len(stages)}.")
    set_freeze_depth(network, stages, depth)
    freeze_batch_norm(network)
    x = keras.layers.GlobalAveragePooling2D(name="pool", dtype="float32")(network.output)
    x = keras.layers.Dropout(dropout, name="dropout")(x) if dropout else x
    activation = "sigmoid" if classes == 1 else "softmax"
    outputs = keras.layers.Dense(classes, activation=activation, dtype="float32", name="probabilities")(x)
    return keras.Model(network.input, outputs, name=f"{network.name}_classifier")


def split_backbone(model: Any, *, at: str) -> tuple[Any, Any]:
    """The two ends of a network: `(Model(input, cut), Model(cut, output))`, sharing its layers.

    One after the other they give the very numbers of the whole; only where every path from input to output
    passes can a network be cut.

    Args:
        model: a functional Keras model, such as one of keras.applications.
        at: the name of a stage (`stage2` is the end of the second) or of a layer.

    Raises:
        UnknownName: no stage or layer of that name.
        UsageError: the layer is not a cut; names those that are.
    """
    stages = {stage.name: stage.cut for stage in find_stages(model)} if at.startswith("stage") else {}
    cut = stages.get(at, at)
    names = [layer.name for layer in model.layers]
    if cut not in names and at not in stages:
        raise unknown_name(
            "stage or layer", at, [*stages, *names], "'transferkit backbones NAME' lists layers."
        )
    return split(model, cut)
