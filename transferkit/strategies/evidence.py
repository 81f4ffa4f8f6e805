"""What was measured on a data set before anything was decided: plain numbers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from transferkit.strategies.augmenting import Recognised

IMAGENET = "ImageNet"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Numbers from the bank and from one pass of a few images, all on train.

    Where images may have several classes, mAP stands for top-1. All fractions are 0..1.

    Attributes:
        stages: cross-validated top-1 of a quick linear classifier on the means of each stage, by name,
            nearest the input first; `together` on those of all stages.
        gap: top-1 of the best of the earlier stages and of all together, chosen on other folds than it is
            judged on, less that of the last stage.
        gap_error: standard error of `gap`, from the same images judged by both.
        probe_images: how many images those classifiers saw.
        multilabel: whether images may have several classes.
        size_ratio: side of the images in the network over the side its weights are best at.
        batchnorm: mean over layers of the distance between the images' activations and the statistics in
            the BatchNorm layers, in deviations; None without BatchNorm or pretrained weights.
        batchnorm_layers: that distance by layer, nearest the input first.
        confidence: mean highest probability of the ImageNet classifier; None where its file is not there.
        entropy: mean entropy of its output as a share of the highest there is; likewise None.
        logme: of each stage, see `transferability`; `h_score` too, empty where images may have several
            classes.
        curve: learning curve of the quick classifier on all stages: (images of the median class that
            trained it, cross-validated top-1), fewest first.
        curve_images: training images in all of each point of `curve`.
        gradients: relative gradient norm of each stage, where it was asked for.
        pretrained_on: what the weights were trained on, in words; the borders are those of ImageNet.
        safety: what changes of the images cost, by name, where it was asked for; see `augmenting`.
    """

    stages: Mapping[str, float]
    together: float
    gap: float
    gap_error: float
    probe_images: int
    multilabel: bool = False
    size_ratio: float = 1.0
    batchnorm: float | None = None
    batchnorm_layers: Mapping[str, float] = field(default_factory=dict)
    confidence: float | None = None
    entropy: float | None = None
    logme: Mapping[str, float] = field(default_factory=dict)
    h_score: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[tuple[float, float], ...] = ()
    curve_images: tuple[float, ...] = ()
    gradients: Mapping[str, float] = field(default_factory=dict)
    safety: Mapping[str, Recognised] = field(default_factory=dict)
    pretrained_on: str = IMAGENET

    def as_dict(self) -> dict[str, Any]:
        """The entry in `plan.json`."""
        return asdict(self)
