"""Every step an augmentation policy may have: one literal table, which checks, help and tests read.

Ranges are those in which an image stays one: beyond them nothing is left to see.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transferkit.errors import UsageError, nearest_first

FILLS = ("reflect", "nearest", "constant", "wrap")
# What a step may do to an image that can make it another class's; `auto` leaves out what is not safe.
CHANGES = ("mirror", "upside-down", "rotation", "colour")


@dataclass(frozen=True)
class Parameter:
    """What a parameter of a step may be.

    Attributes:
        default: its value where none is given.
        low, high: bounds, both allowed.
        kind: `number`, `whole` (a whole number), `span` (two ascending numbers) or `choice`.
        choices: of a `choice`.
    """

    default: Any
    low: float = 0.0
    high: float = 1.0
    kind: str = "number"
    choices: tuple[str, ...] = ()

    def checked(self, value: Any) -> Any:
        """A value in its right type.

        Raises:
            UsageError: it is not allowed; says what is.
        """
        if self.kind == "choice":
            if value not in self.choices:
                allowed = ", ".join(nearest_first(str(value), self.choices))
                raise UsageError(f"{value!r} is not allowed. Allowed: {allowed}.")
            return value
        if self.kind == "span":
            return self._span(value)
        return self._number(value)

    @property
    def rule(self) -> str:
        """What is allowed, in words."""
        bounds = f"from {self.low:g} to {self.high:g}"
        names = {"number": f"a number {bounds}", "whole": f"a whole number {bounds}"}
        names |= {"span": f"two ascending numbers {bounds}", "choice": f"one of {', '.join(self.choices)}"}
        return names[self.kind]

    def _number(self, value: Any) -> float:
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not good or not self.low <= value <= self.high or (self.kind == "whole" and value != int(value)):
            raise UsageError(f"{value!r} is not allowed; {self.rule} is needed.")
        return int(value) if self.kind == "whole" else float(value)

    def _span(self, value: Any) -> tuple[float, float]:
        numbers = value if isinstance(value, (list, tuple)) else ()
        good = len(numbers) == 2 and all(
            isinstance(each, (int, float)) and not isinstance(each, bool) for each in numbers
        )
        if not good or not self.low <= numbers[0] <= numbers[1] <= self.high:
            raise UsageError(f"{value!r} is not allowed; {self.rule} are needed, such as {self.default}.")
        return float(numbers[0]), float(numbers[1])


def whole(default: int, low: int, high: int) -> Parameter:
    """A whole number."""
    return Parameter(default, low, high, "whole")


def span(default: tuple[float, float], low: float, high: float) -> Parameter:
    """Two ascending numbers between which one is drawn."""
    return Parameter(default, low, high, "span")


def choice(default: str, choices: tuple[str, ...]) -> Parameter:
    """One of some words."""
    return Parameter(default, kind="choice", choices=choices)


@dataclass(frozen=True)
class StepSpec:
    """A step that a policy may have.

    Attributes:
        summary: what it does, in a line.
        parameters: by name.
        changes: which of `CHANGES` it makes.
        probability: with which an image gets it, where the policy does not say.
        mixes: whether it works on batches and mixes their labels.
        crops: whether it cuts the input out of a larger image, so that more than the input's part of it
            is decoded.
        source: where it comes from.
    """

    summary: str
    parameters: Mapping[str, Parameter]
    changes: tuple[str, ...] = ()
    probability: float = 1.0
    mixes: bool = False
    crops: bool = False
    source: str = ""


_STRENGTH = Parameter(0.2)
_COLOUR = ("colour",)
_FILL = choice("reflect", FILLS)

STEPS: Mapping[str, StepSpec] = {
    "horizontal_flip": StepSpec("mirrored left to right", {}, ("mirror",), 0.5),
    "vertical_flip": StepSpec("turned upside down by a mirror", {}, ("upside-down",), 0.5),
    "random_crop": StepSpec(
        "short side drawn from `scale` times the input's, a square of the input's size cut out anywhere",
        {"scale": span((256 / 224, 480 / 224), 1.0, 4.0)},
        crops=True,
        source="He et al. 2016 (arXiv:1512.03385), section 3.4; a scale of 8/7 alone is AlexNet's crop",
    ),
    "random_resized_crop": StepSpec(
        "a window of `area` times the middle square's and of a drawn shape, resized to the input",
        {"area": span((0.25, 1.0), 0.01, 1.0), "ratio": span((3 / 4, 4 / 3), 0.1, 10.0)},
        crops=True,
        source="Szegedy et al. 2015 (arXiv:1409.4842), section 6",
    ),
    "translation": StepSpec(
        "shifted by up to `x` and `y` times the side",
        {"x": Parameter(0.1), "y": Parameter(0.1), "fill": _FILL},
    ),
    "rotation": StepSpec(
        "turned by up to `degrees` either way",
        {"degrees": Parameter(15.0, 0.0, 180.0), "fill": _FILL},
        ("rotation",),
    ),
    "quarter_turns": StepSpec("turned by 0, 90, 180 or 270 degrees", {}, ("rotation", "upside-down")),
    "shear": StepSpec("slanted", {"x": Parameter(0.1), "y": Parameter(0.0), "fill": _FILL}, ("rotation",)),
    "zoom": StepSpec(
        "shown from further away or nearer, by a factor drawn from `scale`; the middle stays",
        {"scale": span((0.8, 1.25), 0.2, 5.0), "fill": _FILL},
    ),
    "perspective": StepSpec(
        "seen from aside: each corner moved by up to half of `strength` times its coordinates",
        {"strength": Parameter(0.2)},
        ("rotation",),
    ),
    "elastic": StepSpec(
        "bent smoothly",
        {"strength": Parameter(0.3, 0.05, 1.0), "fill": _FILL},
        source="Simard et al. 2003",
    ),
    "brightness": StepSpec(
        "lighter or darker by up to `strength` times 255", {"strength": _STRENGTH}, _COLOUR
    ),
    "contrast": StepSpec(
        "distances from the mean colour times 1 +- `strength`", {"strength": _STRENGTH}, _COLOUR
    ),
    "saturation": StepSpec("colours paler or stronger", {"strength": _STRENGTH}, _COLOUR),
    "hue": StepSpec(
        "hues turned by up to `strength` times half the colour circle",
        {"strength": Parameter(0.1)},
        _COLOUR,
    ),
    "color_jitter": StepSpec(
        "brightness, contrast, saturation and hue as above, one after another",
        {
            "brightness": _STRENGTH,
            "contrast": _STRENGTH,
            "saturation": _STRENGTH,
            "hue": Parameter(0.0),
        },
        _COLOUR,
    ),
    "pca_noise": StepSpec(
        "colour moved along the principal axes of train's colours, by their variances times N(0, `sigma`)",
        {"sigma": Parameter(0.1)},
        _COLOUR,
        source="Krizhevsky et al. 2012, section 4.1",
    ),
    "grayscale": StepSpec("colours taken away", {}, _COLOUR, 0.1),
    "invert": StepSpec("every value v becomes 255 - v", {}, _COLOUR, 0.1),
    "blur": StepSpec(
        "smoothed by a Gaussian of `sigma` pixels", {"sigma": span((0.1, 2.0), 0.01, 20.0)}, (), 0.5
    ),
    "noise": StepSpec("Gaussian noise of `sigma` times 255 on each value", {"sigma": Parameter(0.03)}),
    "sharpness": StepSpec("blurred or sharpened, by `strength`", {"strength": Parameter(0.5)}),
    "posterize": StepSpec("only the first `bits` of each value kept", {"bits": whole(4, 1, 8)}, _COLOUR, 0.5),
    "solarize": StepSpec(
        "values from `threshold` on become 255 - v", {"threshold": Parameter(128.0, 0.0, 255.0)}, _COLOUR, 0.2
    ),
    "equalize": StepSpec("each channel's values spread evenly over 0..255", {}, _COLOUR, 0.2),
    "autocontrast": StepSpec("each channel stretched to 0..255", {}, _COLOUR, 0.2),
    "trivial_augment": StepSpec(
        "one of 14 changes, of any strength (TrivialAugment, wide)",
        {},
        ("rotation", "colour"),
        source="Mueller and Hutter 2021 (arXiv:2103.10158), table 2",
    ),
    "rand_augment": StepSpec(
        "`steps` of 14 changes one after another, each of strength `magnitude` of 30",
        {"steps": whole(2, 1, 6), "magnitude": Parameter(9.0, 0.0, 30.0)},
        ("rotation", "colour"),
        source="Cubuk et al. 2019 (arXiv:1909.13719)",
    ),
    "auto_augment": StepSpec(
        "one of the 25 pairs of changes that were found for ImageNet",
        {},
        ("rotation", "colour"),
        source="Cubuk et al. 2018 (arXiv:1805.09501), table 9",
    ),
    "augmix": StepSpec(
        "a blend of the image and `chains` chains of up to `depth` changes of strength `severity` of 10",
        {"chains": whole(3, 1, 6), "depth": whole(3, 1, 6), "severity": Parameter(3.0, 0.1, 10.0)},
        ("rotation", "colour"),
        source="Hendrycks et al. 2019 (arXiv:1912.02781)",
    ),
    "random_erasing": StepSpec(
        "a rectangle with sides of `scale` times the image's filled with noise",
        {"scale": span((0.15, 0.45), 0.01, 1.0)},
        (),
        0.25,
        source="Zhong et al. 2017 (arXiv:1708.04896)",
    ),
    "cutout": StepSpec(
        "a square with a side of `size` times the image's made grey",
        {"size": Parameter(0.4, 0.01, 1.0)},
        source="DeVries and Taylor 2017 (arXiv:1708.04552)",
    ),
    "mixup": StepSpec(
        "each image and label blended with another's, by a share drawn from Beta(`alpha`, `alpha`)",
        {"alpha": Parameter(0.2, 0.01, 10.0)},
        mixes=True,
        source="Zhang et al. 2017 (arXiv:1710.09412)",
    ),
    "cutmix": StepSpec(
        "a rectangle of each image taken from another, labels blended by area; Beta(`alpha`, `alpha`)",
        {"alpha": Parameter(1.0, 0.01, 10.0)},
        mixes=True,
        source="Yun et al. 2019 (arXiv:1905.04899)",
    ),
}  # fmt: skip

# Layers of these packages may be named too, such as `keras_cv.GridMask`, with their own arguments.
PACKAGES = ("keras_cv", "keras")
# Those of them that work on whole batches and their labels.
BATCH_LAYERS = ("MixUp", "CutMix", "FourierMix", "Mosaic", "RepeatedAugmentation")
