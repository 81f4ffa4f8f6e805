"""A small report with made-up numbers, for the tests of everything that makes or reads one."""

import numpy as np

from transferkit.evaluation.metrics import evaluate
from transferkit.evaluation.report import Data, Decision, Report


def make_report(*, labels=None, predicted=None, classes=10, splits=("val", "test"), **changes):
    """A report whose splits hold `labels` called `predicted` (-1: not finite), else all right.

    `changes` replace fields of the report.
    """
    labels = list(range(classes)) if labels is None else labels
    predicted = labels if predicted is None else predicted
    names = changes.get("class_names", tuple(f"class {i}" for i in range(classes)))
    probabilities = np.full((len(labels), classes), 0.1 / max(classes - 1, 1))
    for row, number in zip(probabilities, predicted, strict=True):
        row[number] = np.nan if number < 0 else 0.9
    found = evaluate(probabilities, np.array(labels), names)
    counts = {split: dict.fromkeys(names, 3) for split in ("train", *splits)}
    return Report(**{**_fields(names, counts), "splits": dict.fromkeys(splits, found), **changes})


def _fields(names, counts):
    epochs = (("head", 1), ("head", 2), ("thaw", 1))
    return dict(
        title="toys",
        data=Data(name="toys", classes=len(names), counts=counts),
        class_names=names,
        backbone="mobilenet",
        strategy="finetune-top",
        decision=Decision(
            quadrant="similar, lots",
            similarity="similar",
            amount="lots",
            reasons=("500 images a class are lots",),
            phases=({"name": "head", "features": ("stage4", "stage5"), "learning_rate": 0.001},),
        ),
        linear_top1={"val": 0.5, "test": 0.55},
        majority_top1={"val": 0.2, "test": 0.25},
        kept="fine-tuned",
        kept_reason="it is better on val.",
        history=tuple(
            dict(phase=phase, epoch=epoch, loss=1.0, val_loss=1.5, top1=0.9, val_top1=top1)
            for (phase, epoch), top1 in zip(epochs, (0.5, 0.6, 0.7), strict=True)
        ),
        linear_path=tuple(dict(l2=10.0**i, val_top1=0.5, val_nll=1.0) for i in range(-3, 3)),
        seconds={"bank": 2.0, "total": 3.5},
        environment={"keras": "3.12"},
    )
