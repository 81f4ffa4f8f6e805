"""What the loop of this package sees to, for those who call Keras' `fit` themselves."""

import math
from typing import Any

import keras
import numpy as np

from transferkit.errors import DataError, TrainingError, UsageError
from transferkit.evaluation.diagnosis import Curves, Diagnosis, diagnose
from transferkit.progress import say
from transferkit.training.stopping import Standing, beats, surely_higher, surely_lower

# Below it a probability is taken to be it: no single image shall make a loss infinite.
LEAST = 1e-7


class KeepBest(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """Leave the model with its best epoch's weights, and never with less than it began with.

    Keras' own `EarlyStopping(restore_best_weights=True)` knows no start: if every epoch is worse than the
    model that `fit` was given, it keeps the least bad. Here an epoch takes the place of the start if it is
    right on no fewer val images and its log-loss is lower by more than one standard error of the difference,
    image by image, or it is right on surely more; of such epochs that of the lowest log-loss is kept.

    Attributes:
        kept: the epoch whose weights the model has, from 1; 0 for what it began with.
        top1: of val, of what is kept, 0..1.
    """

    def __init__(self, images: Any, labels: Any, batch_size: int = 32) -> None:
        """Hold on to val.

        Args:
            images: of val, as the model takes them, `(n, S, S, 3)`.
            labels: class numbers `(n,)`, or one-hot `(n, C)`.
            batch_size: images in a step.

        Raises:
            DataError: not as many labels as images, or none.
        """
        super().__init__()
        labels = np.asarray(labels)
        self._images, self._batch = images, batch_size
        self._labels = labels.argmax(axis=1) if labels.ndim == 2 and labels.shape[1] > 1 else labels.ravel()
        if not len(self._labels) or len(self._labels) != len(images):
            raise DataError(f"{len(images)} val images and {len(self._labels)} labels: as many are needed.")
        self.kept, self.top1 = 0, math.nan

    def on_train_begin(self, logs: Any = None) -> None:
        """Judge what `fit` was given."""
        self.kept = 0
        self._start, self._start_losses = self._judged()
        self._best, self._weights = self._start, self.model.get_weights()
        self.top1 = self._start.reached

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Judge an epoch, and hold on to it if it is the best."""
        found, losses = self._judged()
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
        self.model.set_weights(self._weights)

    def _judged(self) -> tuple[Standing, list[float]]:
        chunks = range(0, len(self._labels), self._batch)
        found = [self.model(self._images[at : at + self._batch], training=False) for at in chunks]
        given = np.concatenate([keras.ops.convert_to_numpy(part) for part in found]).astype(np.float64)
        if given.shape[1] == 1:
            given = np.concatenate([1 - given, given], axis=1)
        if given.min() < 0 or not np.allclose(given.sum(axis=1), 1, atol=1e-3):
            raise UsageError("KeepBest needs a model that gives probabilities; end it with a softmax.")
        own = given[np.arange(len(given)), self._labels.astype(int)]
        losses = -np.log(np.maximum(own, LEAST))
        # Ties go to the other class: no constant answer is right.
        others = given.copy()
        others[np.arange(len(given)), self._labels.astype(int)] = -1
        right = float((own > others.max(axis=1)).mean())
        return Standing(right, float(losses.mean())), losses.tolist()


class Diagnose(keras.callbacks.Callback):  # type: ignore[misc]
    """Say at the end of `fit` what its curves show: overfitting, underfitting, a rate too high or too low.

    It needs `validation_data`, and `metrics=["accuracy"]` in `compile`.

    Attributes:
        findings: what was found, the most pressing first; see `evaluation.diagnosis`.
    """

    def __init__(self, val_images: int) -> None:
        """Of a val set of some size.

        Args:
            val_images: how many images it has: what the noise of its accuracy is judged by.
        """
        super().__init__()
        self._images = val_images
        self.findings: tuple[Diagnosis, ...] = ()
        self._rows: list[dict[str, float]] = []
        self._rate = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        """Forget an earlier `fit`."""
        self._rows, self._rate, self.findings = [], 0.0, ()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Take down an epoch."""
        row = {key.replace("sparse_categorical_", "").replace("categorical_", ""): float(value)
               for key, value in (logs or {}).items()}  # fmt: skip
        missing = [key for key in ("loss", "accuracy", "val_loss", "val_accuracy") if key not in row]
        if missing:
            raise UsageError(
                f"Diagnose finds no {missing[0]} in {', '.join(row) or 'the logs'}: give fit "
                'validation_data, and compile metrics=["accuracy"].'
            )
        self._rows.append(row)
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        self._rate = max(self._rate, float(rate))

    def on_train_end(self, logs: Any = None) -> None:
        """Read the curves."""
        if not self._rows:
            return
        curves = Curves(
            phase="fit",
            train_top1=self._curve("accuracy"),
            val_top1=self._curve("val_accuracy"),
            train_loss=self._curve("loss"),
            val_loss=self._curve("val_loss"),
            val_images=self._images,
            epochs=self.params["epochs"],
            rate=self._rate,
        )
        self.findings = diagnose(curves)
        for finding in self.findings:
            say(finding.sentence)

    def _curve(self, key: str) -> tuple[float, ...]:
        return tuple(row[key] for row in self._rows)


class FreezeProof(keras.callbacks.Callback):  # type: ignore[misc]
    """Prove at the end of `fit` that what should not train did not, to the bit.

    A layer whose `trainable` is set to False after `compile` looks frozen and trains on; Keras does not tell.

    Attributes:
        moved: paths of the weights that changed.
        stayed: of those that did not.
    """

    def on_train_begin(self, logs: Any = None) -> None:
        """Take down what there is."""
        self.moved: list[str] = []
        self.stayed: list[str] = []
        self._frozen = {
            weight.path for layer in _inner(self.model) if not layer.trainable for weight in layer.weights
        }
        self._before = {weight.path: np.array(weight.numpy()) for weight in self.model.weights}

    def on_train_end(self, logs: Any = None) -> None:
        """Compare.

        Raises:
            TrainingError: a weight of a layer that is frozen moved.
        """
        for weight in self.model.weights:
            same = np.array_equal(self._before[weight.path], weight.numpy(), equal_nan=True)
            (self.stayed if same else self.moved).append(weight.path)
        if wrong := [path for path in self.moved if path in self._frozen]:
            raise TrainingError(
                f"{len(wrong)} weights of frozen layers moved, such as {wrong[0]}. Set `trainable` before "
                "`compile`, or compile again."
            )


def _inner(model: Any) -> list[Any]:
    """Its layers, those of models within it too."""
    return [one for layer in model.layers for one in (_inner(layer) if hasattr(layer, "layers") else [layer])]
