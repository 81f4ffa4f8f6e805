"""What a classifier costs to keep and to ask."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of the model of a run.

    Attributes:
        parameters: weights in it.
        macs: multiply-adds of one image in the backbone.
        file_bytes: of `model.keras`.
        activation_bytes: of all layers' outputs for one image, as computed.
        images_per_second: through the network, images being decoded; None where it was not timed.
        device: that was timed, with the size of the batch.
        image_size: side in pixels.
    """

    parameters: int
    macs: int
    file_bytes: int
    activation_bytes: int
    images_per_second: float | None
    device: str
    image_size: int
