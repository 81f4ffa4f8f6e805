"""What is known before a cost is told: what this machine does in a second, and how much there is to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Pilot:
    """What was measured on this machine; seconds.

    Attributes:
        decode: of an image from file to pixels; `decode_larger` to those that crops are cut out of, 0 where
            there are none.
        forward: of an image through the whole network; `first_forward` once, for compiling.
        change: of an image by the policy; `first_change` once, for tracing it.
        step: of an image in a training step; `first_step` once for compiling; 0 where none was timed.
        step_cut: stages that the timed step left out; `step_depth` those that did not train.
        batch: images of the timed step.
        epoch: what an epoch takes beside its steps.
        linear: of an image of train, by name of the linear phase; of some hundred images.
        refit: of it, what the last fit takes, without the choice of features and classifier.
        startup: until the network stands; `index`: of looking at the files; `evidence`: of measuring
            the similarity.
        pilot: of the pilot itself, where a run has still to take it.
        resident: bytes of the program with the network in it.
        kept: bytes that a thread is allowed for small arrays that it freed and keeps; `threads` that compute.
    """

    decode: float
    forward: float
    decode_larger: float = 0.0
    first_forward: float = 0.0
    change: float = 0.0
    first_change: float = 0.0
    step: float = 0.0
    step_cut: int = 0
    step_depth: int = 0
    first_step: float = 0.0
    batch: int = 0
    epoch: float = 0.0
    linear: Mapping[str, float] = field(default_factory=dict)
    refit: Mapping[str, float] = field(default_factory=dict)
    startup: float = 0.0
    index: float = 0.0
    evidence: float = 0.0
    pilot: float = 0.0
    resident: int = 0
    kept: int = 0
    threads: int = 0


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """A stage of the backbone and one image.

    Attributes:
        name: of the stage.
        parameters: values in its weights.
        activations: values in the outputs of all its layers; `largest` in that of one layer.
        macs: multiply-adds.
        output: values in the activations at its cut, `channels` of them at each place.
    """

    name: str
    parameters: int
    activations: int
    largest: int
    macs: int
    output: int
    channels: int


@dataclass(frozen=True, kw_only=True)
class Load:
    """How much there is to do.

    Attributes:
        images: that are used; `new` those of them that the bank does not hold yet.
        train, val, test: images of each split.
        batch_size: images in a step.
        image_size: side in pixels; `canvas_px` of training images, where crops are cut out of larger ones.
        disk_limit: bytes that whole activations may take on disk; `memory_limit` in memory.
        views: augmented views of each training image in the bank.
        maps: views of its activations that a fine-tuning phase may draw from; 0 where nothing changes images.
        anew: training images change in every epoch, so their activations cannot be kept.
        value_bytes: of a value in an activation: 4, or 2 in mixed precision.
        folds: of a cross-validation beside the run; 0 for none.
        multilabel: whether an image may have several classes: nothing is told of strange images then.
    """

    images: int
    new: int
    train: int
    val: int
    test: int
    batch_size: int
    image_size: int
    disk_limit: float
    memory_limit: float
    canvas_px: int = 0
    views: int = 0
    maps: int = 0
    anew: bool = False
    value_bytes: int = 4
    folds: int = 0
    multilabel: bool = False
