"""What the loop of this package sees to, for those who call Keras' `fit` themselves."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from transferkit.errors import DataError, TrainingError, UsageError
from transferkit.evaluation.curves import Asked, Curves
from transferkit.evaluation.diagnosis import Diagnosis, diagnose
from transferkit.progress import say
from transferkit.training.stopping import Standing, beats, surely_higher, surely_lower

# Below it a probability is taken to be it: no single image shall make a loss infinite.
LEAST = 1e-7
# How far the sum of a softmax may be from 1: bfloat16 has eight bits.
ROUNDED = 1e-2
ADVICE = {
    "rate too high": "Compile with a third of the rate",
    "rate too low": "Compile with three times the rate",
    "overfitting": (
        "More images, augmentation (Augmentation), fewer layers that train, dropout or label smoothing work "
        "against it"
    ),
    "underfitting": "Let more layers train, take a larger backbone, or augment less where train is under val",
    "not finished": "Give fit more epochs",
}


class _Val:
    """Labelled images that a model is judged by.

    Args:
        images: as the model takes them, `(n, S, S, 3)`; or a batched `tf.data.Dataset` of images and labels,
            always in the same order.
        labels: class numbers `(n,)` or `(n, 1)`, or one-hot `(n, C)`; None where the dataset has them.
        batch_size: images in a step.
    """

    def __init__(self, images: Any, labels: Any, batch_size: int) -> None:
        self._images, self._batch = images, batch_size
        self._labels = None if labels is None else _numbers(labels)
        if self._labels is None:
            return
        count = len(images) if hasattr(images, "shape") else -1
        if count < 1 or count != len(self._labels):
            told = "images that are no array" if count < 0 else f"{count} val images"
            raise DataError(
                f"{told} and {len(self._labels)} labels: as many are needed in one array, or a "
                "batched tf.data.Dataset of both without labels beside it."
            )

    def _batches(self) -> Iterator[tuple[Any, np.ndarray]]:
        if self._labels is None:
            for given in self._images:
                if not isinstance(given, tuple) or len(given) < 2:
                    raise DataError(
                        "val gives images without labels; a dataset of (images, labels) is needed."
                    )
                yield given[0], _numbers(keras.ops.convert_to_numpy(given[1]))
            return
        for at in range(0, len(self._labels), self._batch):
            yield self._images[at : at + self._batch], self._labels[at : at + self._batch]

    def judged(self, model: Any) -> tuple[Standing, list[float]]:
        """Top-1 and mean log-loss, and the log-loss of each image; NaN where the model gives no numbers.

        Raises:
            UsageError: the model gives no probabilities.
            DataError: labels that are no classes of the model.
        """
        losses, right = [], []
        for images, labels in self._batches():
            given = np.asarray(model.predict_on_batch(images), np.float64)
            own, others = _split(given, labels)
            losses += (-np.log(np.maximum(own, LEAST))).tolist()
            # Ties go to the other class: no constant answer is right.
            right += (own > others).tolist()
        if not losses:
            raise DataError("val has no image.")
        return Standing(float(np.mean(right)), float(np.mean(losses))), losses


def _numbers(labels: Any) -> np.ndarray:
    found = np.asarray(labels)
    if found.dtype.kind not in "iufb":
        raise DataError(
            f"labels such as {found.ravel()[:1].tolist()}: class numbers from 0, or one-hot rows, are needed."
        )
    several = found.ndim == 2 and found.shape[1] > 1
    return np.asarray(found.argmax(axis=1) if several else found.ravel(), np.int64)


def _split(given: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability of the own class, and the highest of the others, of each image."""
    if given.ndim != 2:
        raise UsageError(f"the model gives an array of shape {given.shape}; probabilities (N, C) are needed.")
    if given.shape[1] == 1:
        given = np.concatenate([1 - given, given], axis=1)
    finite = np.isfinite(given).all()
    if finite and (given.min() < 0 or not np.allclose(given.sum(axis=1), 1, atol=ROUNDED)):
        raise UsageError("what the model gives are no probabilities; end it with a softmax.")
    if labels.min() < 0 or labels.max() >= given.shape[1]:
        raise DataError(
            f"labels {labels.min()} to {labels.max()}, and the model has {given.shape[1]} classes: numbers "
            f"0 to {given.shape[1] - 1} are needed."
        )
    rows = np.arange(len(given))
    others = given.copy()
    others[rows, labels] = -1
    return given[rows, labels], others.max(axis=1)


class KeepBest(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """Leave the model with its best epoch's weights, and never with less than it began with.

    Keras' own `EarlyStopping(restore_best_weights=True)` knows no start: if every epoch is worse than the
    model that `fit` was given, it keeps the least bad. Here an epoch takes the place of the start if it is
    right on no fewer val images and its log-loss is lower by more than one standard error of the difference,
    image by image, or it is right on surely more; of such epochs that of the lowest log-loss is kept. An
    epoch that gives no numbers is none of them.

    Args:
        images: of val, as the model takes them, `(n, S, S, 3)`; or a batched `tf.data.Dataset` of images and
            labels, always in the same order.
        labels: class numbers `(n,)`, or one-hot `(n, C)`; None where the dataset has them.
        batch_size: images in a step.

    Attributes:
        kept: the epoch that is best, from 1; 0 for what `fit` began with.
        top1: of val, of that epoch, 0..1.

    Raises:
        DataError: not as many labels as images, none, or labels that are no classes of the model.
        UsageError: in `fit`: the model gives no probabilities.
    """

    def __init__(self, images: Any, labels: Any = None, batch_size: int = 32) -> None:
        super().__init__()
        self._val = _Val(images, labels, batch_size)
        self.kept, self.top1 = 0, math.nan

    def on_train_begin(self, logs: Any = None) -> None:
        """Judge what `fit` was given."""
        self._start, self._start_losses = self._val.judged(self.model)
        if not math.isfinite(self._start.loss):
            raise TrainingError("the model gives no numbers before it has been trained: NaN or infinity.")
        self.kept, self.top1 = 0, self._start.reached
        self._best, self._weights = self._start, self.model.get_weights()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Judge an epoch, and hold on to it if it is the best."""
        found, losses = self._val.judged(self.model)
        if not beats(found, self._start, len(losses), ranked=False):
            return
        higher = surely_higher(found, self._start, len(losses))
        if not higher and not surely_lower(losses, self._start_losses):
            return
        if not self.kept or found.loss < self._best.loss:
            self.kept, self.top1 = epoch + 1, found.reached
            self._best, self._weights = found, self.model.get_weights()

    def on_train_end(self, logs: Any = None) -> None:
        """Give the model what is kept."""
        self.restore()

    def restore(self) -> None:
        """Give the model what is kept; to be called where `fit` was interrupted and so did not."""
        self.model.set_weights(self._weights)


class Diagnose(keras.callbacks.Callback):  # type: ignore[misc]
    """Say at the end of `fit` what its curves show: overfitting, underfitting, a rate too high or too low.

    It needs `metrics=["accuracy"]` in `compile`, and judges val itself.

    Args:
        images, labels, batch_size: of val, see `KeepBest`.

    Attributes:
        findings: what was found, the most pressing first, each with `finding`, `evidence` and `advice`.

    Raises:
        DataError, UsageError: see `KeepBest`; no accuracy among the metrics.
    """

    def __init__(self, images: Any, labels: Any = None, batch_size: int = 32) -> None:
        super().__init__()
        self._val = _Val(images, labels, batch_size)
        self.findings: tuple[Diagnosis, ...] = ()

    def on_train_begin(self, logs: Any = None) -> None:
        """Judge what `fit` was given, and forget an earlier one."""
        self.findings, self._rate = (), 0.0
        self._losses: list[float] = []
        self._top1: list[float] = []
        self._val_losses: list[float] = []
        self._val_top1: list[float] = []
        self._start, losses = self._val.judged(self.model)
        self._images = len(losses)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Take down an epoch."""
        told = {key: float(value) for key, value in (logs or {}).items() if not key.startswith("val_")}
        names = [key for key in told if key == "acc" or key.endswith("accuracy")]
        if not names:
            raise UsageError(
                f"Diagnose finds no accuracy in {', '.join(told) or 'the logs'}: compile "
                'metrics=["accuracy"].'
            )
        found, _ = self._val.judged(self.model)
        self._losses.append(told["loss"])
        self._top1.append(told[names[0]])
        self._val_losses.append(found.loss)
        self._val_top1.append(found.reached)
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        self._rate = max(self._rate, float(rate))

    def on_train_end(self, logs: Any = None) -> None:
        """Read the curves."""
        if not self._losses:
            return
        found = self._lost() or diagnose(
            Curves(
                phase="fit",
                train_top1=tuple(self._top1),
                val_top1=tuple(self._val_top1),
                train_loss=tuple(self._losses),
                val_loss=tuple(self._val_losses),
                val_images=self._images,
                start_loss=self._start.loss,
                epochs=len(self._losses),
                rate=self._rate,
                # Nobody tells it; where train is fitted less than val, something made it harder.
                asked=Asked(augmented=True),
            )
        )
        # The rules advise by options of the command line.
        self.findings = tuple(replace(one, advice=ADVICE.get(one.finding, "")) for one in found)
        for one in self.findings:
            say(one.sentence)

    def _lost(self) -> tuple[Diagnosis, ...]:
        """What there is to say where the loss is no number any more."""
        for epoch, both in enumerate(zip(self._losses, self._val_losses, strict=True), start=1):
            if not all(map(math.isfinite, both)):
                told = f"fit: the loss is no number from epoch {epoch} on, at the rate {self._rate:.2g}"
                return (Diagnosis("rate too high", told, ""),)
        return ()


class FreezeProof(keras.callbacks.Callback):  # type: ignore[misc]
    """Prove after each epoch that what should not train did not, to the bit.

    A layer whose `trainable` is set to False after `compile` looks frozen and trains on; Keras does not tell.

    Attributes:
        moved: paths of the weights that had changed after some epoch.
        stayed: of those that had not.

    Raises:
        TrainingError: in `fit`: a weight of a layer that is frozen moved.
    """

    def on_train_begin(self, logs: Any = None) -> None:
        """Take down what there is."""
        frozen = {
            id(weight) for layer in _inner(self.model) if not layer.trainable for weight in layer.weights
        }
        # By place: two networks built alike have weights of the same path.
        self._frozen = [id(weight) in frozen for weight in self.model.weights]
        self._before = [np.array(values) for values in self.model.get_weights()]
        self._paths = [weight.path for weight in self.model.weights]
        self._changed = [False] * len(self._paths)
        self.moved: list[str] = []
        self.stayed = list(self._paths)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compare: here, for at the end `KeepBest` may have put the start back."""
        pairs = zip(self._before, self.model.get_weights(), strict=True)
        differ = [not np.array_equal(old, new, equal_nan=old.dtype.kind == "f") for old, new in pairs]
        self._changed = [one or other for one, other in zip(self._changed, differ, strict=True)]
        told = list(zip(self._paths, self._changed, self._frozen, strict=True))
        self.moved = [path for path, changed, _ in told if changed]
        self.stayed = [path for path, changed, _ in told if not changed]
        if wrong := [path for path, changed, frozen in told if changed and frozen]:
            raise TrainingError(
                f"{len(wrong)} weights of frozen layers moved, such as {wrong[0]}. Set `trainable` before "
                "`compile`, or compile again."
            )


def _inner(model: Any) -> list[Any]:
    """Its layers, those of models within it too."""
    return [one for layer in model.layers for one in (_inner(layer) if hasattr(layer, "layers") else [layer])]
