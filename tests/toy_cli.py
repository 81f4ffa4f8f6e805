"""The command line with the toy backbone as a process of its own: `python -m tests.toy_cli finetune ...`."""

from typing import Any

import numpy as np

from tests.conftest import TOY, toy_network
from transferkit.api import finetuning, linear_candidates
from transferkit.backbone import build, catalogue, table
from transferkit.backbone.catalogue import BackboneSpec
from transferkit.cli import main
from transferkit.training.linear import LinearClassifier


def built(spec: BackboneSpec, image_size: int | None = None, *, classifier: bool = False) -> Any:
    return toy_network(image_size or 32)


def know_little(train: Any, val: Any, classes: int, strengths: int, **_: Any) -> LinearClassifier:
    """A linear classifier that leaves something to win: pictures of plain colours are too easy."""
    kernel = np.random.default_rng(0).normal(0, 0.3, (train[0].shape[1], classes)).astype(np.float32)
    return LinearClassifier(kernel, np.zeros(classes, np.float32), 1.0, ())


if __name__ == "__main__":
    table.TABLE = (*catalogue.every(), TOY)
    build.build = built
    linear_candidates.fit_linear = know_little
    finetuning.told = lambda work, best, device, folder: {}  # what a report tells is another test's
    main()
