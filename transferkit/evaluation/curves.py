"""The numbers of a run that its diagnosis is read from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Ends the name of a phase in the history of an attempt that was given up.
EXPLODED = "(exploded)"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is in force already, so that it is not advised again.

    Attributes:
        augmented: whether training images are changed.
        dropout, stochastic_depth, label_smoothing: as in the recipe.
        classes: of the data.
        freeze_depth: stages that do not train; `stages` of the backbone.
        multilabel: whether an image may have several classes.
        comparable: whether a step's loss is val's but for smoothed labels: no weights of classes, no pull
            towards the pretrained weights, no mixed images.
        mixed: whether images are blended, so that train's top-1 is of other images than there are.
        fittable: whether nothing stands in train's loss that cannot be taken away: no mixed images, no pull
            towards the pretrained weights.
    """

    augmented: bool = False
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    label_smoothing: float = 0.0
    classes: int = 2
    freeze_depth: int = 0
    stages: int = 0
    multilabel: bool = False
    comparable: bool = True
    mixed: bool = False
    fittable: bool = True

    @property
    def floor(self) -> float:
        """The lowest loss that smoothed labels allow: their own entropy."""
        if self.multilabel:
            # Each class on its own is drawn towards a half.
            half = self.label_smoothing / 2
            return -sum(p * math.log(p) for p in (half, 1 - half) if p)
        other = self.label_smoothing / self.classes
        own = 1 - self.label_smoothing + other
        return -sum(p * math.log(p) for p in (own, *[other] * (self.classes - 1)) if p)


NOTHING_ASKED = Asked()


@dataclass(frozen=True, kw_only=True)
class Curves:
    """The numbers of a run that are read.

    Attributes:
        phase: its name; `linear` and the like for a classifier fitted on the bank.
        train_top1: after each epoch (or the fit), 0..1; measured while training, so with augmentation and
            dropout lower than it would be without.
        val_top1, train_loss, val_loss: likewise. Without top-1, where an image may have several classes,
            both are empty and `val_map` has the mAP of val.
        start_loss: of val before the first epoch; None for what was fitted.
        val_images: of val.
        epochs: that were allowed.
        rate: the highest learning rate; 0 for what was fitted.
        exploded: rates of the attempts at fine-tuning that were given up, the highest first; where the curves
            are those of a classifier that was fitted, the last attempt was among them.
        kept: whether the run keeps what came of it.
        worth: whether that is better on val than its start, such as a blend of both ends.
        interrupted: whether Ctrl-C ended it.
        asked: how it was trained.
    """

    phase: str
    train_top1: tuple[float, ...]
    val_top1: tuple[float, ...]
    train_loss: tuple[float, ...]
    val_loss: tuple[float, ...]
    val_images: int
    start_loss: float | None = None
    epochs: int = 0
    rate: float = 0.0
    exploded: tuple[float, ...] = ()
    kept: bool = True
    worth: bool = False
    interrupted: bool = False
    asked: Asked = NOTHING_ASKED
    val_map: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """Of the phase, as it is told."""
        return self.phase if self.kept else f"{self.phase} (not kept)"

    @property
    def when(self) -> str:
        """What the last figures are of."""
        return "" if self.start_loss is None else " in its last epoch"


def curves_of(
    history: Sequence[Mapping[str, Any]],
    *,
    val_images: int,
    epochs: int = 0,
    kept: str = "",
    interrupted: bool = False,
    asked: Asked = NOTHING_ASKED,
) -> Curves | None:
    """The curves of a run's history that are read: of fine-tuning, else of the classifier that is kept.

    Args:
        history: rows of phase, epoch, loss, val_loss, top1, val_top1 (or val_map), learning_rate.
        val_images: of val.
        epochs: of the fine-tuning phase, as allowed.
        kept: `linear`, `multistage` or `fine-tuned`; "" where it is not known.
        interrupted: whether Ctrl-C ended fine-tuning.
        asked: how it was trained.

    Returns:
        None where nothing was fitted.
    """
    fitted = [row for row in history if row["epoch"] == 0]
    if not fitted:
        return None
    trained = trained_epochs(history)
    rows = trained or [row for row in fitted if row["phase"] == kept][-1:] or fitted[-1:]
    return Curves(
        phase=str(rows[0]["phase"]),
        train_top1=() if asked.multilabel else tuple(row["top1"] for row in rows),
        val_top1=() if asked.multilabel else tuple(row["val_top1"] for row in rows),
        val_map=tuple(row["val_map"] for row in rows) if asked.multilabel else (),
        train_loss=tuple(row["loss"] for row in rows),
        val_loss=tuple(row["val_loss"] for row in rows),
        val_images=val_images,
        start_loss=min(row["val_loss"] for row in fitted) if trained else None,
        epochs=epochs,
        rate=max(row["learning_rate"] for row in rows),
        exploded=_exploded(history),
        kept=not trained or kept in ("", "fine-tuned"),
        worth=bool(trained) and kept == "fine-tuned",
        interrupted=interrupted and bool(trained),
        asked=asked,
    )


def trained_epochs(history: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows of a history that led to the model: no linear classifiers, no attempts that were given up."""
    return [row for row in history if row.get("epoch", 1) >= 1 and not _gone(row)]


def _gone(row: Mapping[str, Any]) -> bool:
    return str(row["phase"]).endswith(EXPLODED)


def _exploded(history: Sequence[Mapping[str, Any]]) -> tuple[float, ...]:
    """The highest rate of each attempt that was given up, in order; one begins with its first epoch."""
    rates: list[float] = []
    for row in filter(_gone, history):
        if row["epoch"] == 1:
            rates.append(0.0)
        rates[-1] = max(rates[-1], row["learning_rate"])
    return tuple(rates)
