"""Small reports with made-up numbers, for the tests of everything that makes or reads one."""

from dataclasses import replace

import numpy as np

from transferkit.evaluation.calibration import calibrate
from transferkit.evaluation.cost import Cost
from transferkit.evaluation.crossval import summarise
from transferkit.evaluation.gallery import Gallery, Picture
from transferkit.evaluation.growth import grow
from transferkit.evaluation.metrics import evaluate
from transferkit.evaluation.multilabel import evaluate_multilabel
from transferkit.evaluation.paired import Against, paired
from transferkit.evaluation.rejection import conformal, rejection
from transferkit.evaluation.report import Data, Decision, Doubts, Report
from transferkit.evaluation.unknown import judge_strangeness
from transferkit.reports.pictures import overlay, thumbnail

PAIRS = ("train & val", "train & test", "val & test")


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


DECIDED = Decision(
    quadrant="different-lots",
    similarity="different",
    amount="lots",
    reasons=("317 images a class are lots",),
    phases=({"phase": "thaw", "freeze_depth": 1, "learning_rate": 0.00075},),
    tried={"linear": tuple(
        dict(features=f"means of stage{number}", classifier="discriminant", views=0,
             score=0.61 + number / 100, nll=1.07 - number / 100)
        for number in (1, 2)
    )},
    stages=tuple(dict(name=f"stage{n}", cut=f"add{n}", size_px=112 // n, channels=24 * n) for n in (1, 2)),
    freeze=tuple(
        dict(phase="thaw", stage=f"stage{n}", trains=("nothing", "all")[n - 1], batch_norm="frozen",
             rate_share=(n - 1) * 0.75, weights=("stayed", "moved")[n - 1], scales="stayed",
             statistics="stayed", parameters=4321 * n)
        for n in (1, 2)
    ),
    gauges=({"words": "Similarity: .37 of .41", "place": 45, "low": "similar", "high": "different"},),
)  # fmt: skip


def make_full_report(folder=None, *, classes=10, images=300, names=None, **changes):
    """A report with every part there is; with a `folder` the pictures it names are written there."""
    random = np.random.default_rng(0)
    names = tuple(names or (f"class {i}" for i in range(classes)))
    labels = random.integers(0, classes, images)
    logits = random.normal(size=(images, classes))
    logits[np.arange(images), labels] += 1.5
    p = np.exp(2 * logits) / np.exp(2 * logits).sum(axis=1, keepdims=True)
    half = images // 2
    splits = {"val": (p[:half], labels[:half]), "test": (p[half:], labels[half:])}
    beliefs = calibrate({k: v[0] for k, v in splits.items()}, {k: v[1] for k, v in splits.items()})

    def picture(number, name):
        files = (f"pictures/{number}.jpg", f"pictures/{number}-heat.jpg")
        if folder is not None:
            (folder / "pictures").mkdir(exist_ok=True)
            pixels = random.integers(0, 256, (64, 64, 3)).astype(np.uint8)
            thumbnail(pixels, folder / files[0])
            overlay(pixels, random.random((4, 4)), folder / files[1])
        return Picture(
            path=f"{name}/{number}.jpg", split="test", label=name, answer=names[0], p=0.9, p_label=0.05,
            thumbnail=files[0], heat=files[1],
        )  # fmt: skip

    def suspect(one, like):
        return replace(one, like=(like.thumbnail,), neighbours=(like.path,))

    shown = tuple(picture(number, names[number % classes]) for number in range(4))
    fields = {
        "class_names": names,
        "splits": {split: evaluate(*found, names) for split, found in splits.items()},
        "data": Data(
            name="toys",
            classes=classes,
            counts={split: dict.fromkeys(names, 3) for split in ("train", "val", "test")},
            excluded=((f"{names[0]}.jpg", "broken"),),
            findings={"dark": 2},
        ),
        "calibration": beliefs,
        "rejection": rejection(*splits.values(), split="test"),
        "conformal": conformal(*splits.values(), split="test"),
        "strangeness": judge_strangeness(
            np.linspace(0, 0.4, half), np.linspace(0.1, 0.5, half),
            [f"{names[0]}/{number}.jpg" for number in range(half)], "test",
        ),
        "gallery": Gallery(mistakes=shown[:2], wrong=9, unsure=shown[2:3]),
        "doubts": Doubts(suspects=(suspect(shown[3], shown[0]),), images=images, doubted=5),
        "growth": grow(((100.0, 0.5), (200.0, 0.6), (400.0, 0.7)), judged=200, trained=500, classes=classes),
        "stage_probes": {"stage1": 0.5, "stage2": 0.7, "all": 0.8},
        "over_linear": paired(np.arange(100) < 50, np.arange(100) >= 40),
        "against": Against(
            name="runs/old", backbone="vgg16", top1=0.5, own_top1=0.6, top5=0.77 if classes > 5 else None,
            paired=paired(np.arange(100) < 50, np.arange(100) < 60),
        ),
        "decision": DECIDED,
        "history": tuple(
            dict(phase="thaw", epoch=epoch, loss=2.5 - epoch / 8, val_loss=2.25 - epoch / 16, top1=0.375,
                 val_top1=0.4375 + epoch / 32, learning_rate=0.00075 / (1 + epoch), seconds=1.5)
            for epoch in range(3)
        ),
        "linear_top5": {"val": 0.625, "test": 0.65} if classes > 5 else {},
        "baseline_top5": {"val": 0.51, "test": 0.52} if classes > 5 else {},
        "cost": Cost(
            parameters=10**6, macs=10**8, file_bytes=10**6, activation_bytes=10**7, images_per_second=50.0,
            device="cpu, batches of 16", image_size=224,
        ),
    }  # fmt: skip
    judged = fields.pop("splits")
    return replace(make_report(classes=classes, **{**fields, **changes}), splits=judged)


def make_multilabel_report(*, targets=None, splits=("val", "test"), **changes):
    """A report on images that may have several of three classes, or none; `changes` as above.

    The probabilities are 0.9 where row and column numbers are equal modulo 3, else 0.2; at the
    threshold 0.35 these are the classes that are predicted.
    """
    targets = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]] if targets is None else targets)
    names = changes.get("class_names", ("sea", "sky", "snow"))
    hits = np.arange(len(targets))[:, None] % 3 == np.arange(targets.shape[1]) % 3
    found = evaluate_multilabel(np.where(hits, 0.9, 0.2), targets, names, threshold=0.35)
    counts = {split: dict.fromkeys(names, 3) for split in ("train", *splits)}
    fields = _fields(names, counts) | {
        "measure": "map",
        "data": Data(
            name="views", classes=len(names), counts=counts, images=dict.fromkeys(("train", *splits), 4)
        ),
        "history": tuple(
            dict(phase="thaw", epoch=epoch, loss=1.0, val_loss=1.5, top1=None, val_top1=None, val_map=score)
            for epoch, score in ((0, 0.4), (1, 0.5), (2, 0.625))
        ),
        "linear_path": tuple(dict(l2=10.0**i, val_map=0.5 + i / 10, val_nll=1.0) for i in range(-3, 3)),
        "cross_validation": {"linear": summarise([0.5, 0.6, 0.7], 12, "map")},
    }
    return Report(**{**fields, "splits": dict.fromkeys(splits, found), **changes})


def _fields(names, counts):
    epochs = (("head", 1), ("head", 2), ("thaw", 1))
    return dict(
        title="toys",
        data=Data(
            name="toys",
            classes=len(names),
            counts=counts,
            intersections={what: dict.fromkeys(PAIRS, 0) for what in ("path", "content")},
            findings={"dark": 2, "leak": 1},
        ),
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
        linear_score={"val": 0.5, "test": 0.55},
        baseline_score={"val": 0.2, "test": 0.25},
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
