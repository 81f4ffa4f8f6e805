"""The train images that classifiers are cross-validated on."""

from dataclasses import dataclass, replace

import numpy as np

from transferkit.data.balance import sample_weights
from transferkit.data.loader import times_before
from transferkit.strategies.cost import CHOICE_IMAGES

MOST_IMAGES = CHOICE_IMAGES
# Images that each class has among them at least, if it has as many.
LEAST_OF_CLASS = 5


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The train images that are cross-validated.

    Attributes:
        rows: of the index, `(n,)`.
        labels: of these rows: class numbers `(n,)` or a matrix `(n, C)`.
        folds: fold of each `(n,)`; no class lies in one fold whole.
        weights: of the classes `(C,)`, or None.
        views: of each image that may train with it, see `with_views`.
        images: N of the index: row r + v N is view v of row r.
    """

    rows: np.ndarray
    labels: np.ndarray
    folds: np.ndarray
    weights: np.ndarray | None = None
    views: int = 0
    images: int = 0

    @property
    def several(self) -> bool:
        """Whether an image may have several classes."""
        return self.labels.ndim == 2

    @property
    def classes(self) -> int:
        """C."""
        return self.labels.shape[1] if self.several else int(self.labels.max()) + 1

    @property
    def image_weights(self) -> np.ndarray | None:
        """Of the images that are judged, or None."""
        return None if self.weights is None else sample_weights(self.own_labels, self.weights)

    @property
    def own_labels(self) -> np.ndarray:
        """Of the images that are judged: themselves, not their views."""
        return self.labels[: len(self.labels) // (self.views + 1)]

    def with_views(self, views: int) -> "Sample":
        """The sample with views behind the images, each in the fold of its image; images alone are judged."""
        return replace(
            self,
            rows=np.concatenate([self.rows + view * self.images for view in range(views + 1)]),
            labels=np.concatenate([self.labels] * (views + 1)),
            folds=np.tile(self.folds, views + 1),
            views=views,
        )


def drawn_rows(rows: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """The rows of train that are cross-validated, ascending: all, or a draw with every class in it.

    Args:
        rows: of the index, `(N,)`.
        labels: of these rows: class numbers `(N,)` or a matrix `(N, C)` of 0 and 1.
        seed: of the draw.
    """
    classes = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1
    most = max(MOST_IMAGES, LEAST_OF_CLASS * classes)
    if len(rows) <= most:
        return rows
    shuffled = np.random.default_rng(seed).permutation(len(rows))
    if labels.ndim == 2:
        rank = np.cumsum(labels[shuffled], axis=0)
        first = ((labels[shuffled] > 0) & (rank <= LEAST_OF_CLASS)).any(axis=1)
    else:
        first = times_before(labels[shuffled]) < LEAST_OF_CLASS
    place = np.arange(len(rows)) / len(rows)
    return np.sort(rows[shuffled[np.argsort(place - first, kind="stable")[:most]]])
