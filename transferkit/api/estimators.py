"""scikit-learn's side: a classifier of images and a transformer of images to features.

Both keep what a backbone makes of an image in the feature bank, by the image's content. So a grid search over
strengths, folds and classifiers sends each image through each backbone once.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from transferkit.api.features import Backbone, by_path, files_of, opened_backbone
from transferkit.data.index import BETWEEN_NAMES
from transferkit.errors import DataError, UsageError
from transferkit.recipe import Recipe
from transferkit.strategies import FeatureSet
from transferkit.training.pooling import WIDTHS


class _OfImages(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both share: images are no table of numbers, and scikit-learn's tags say so."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.no_validation = True
        return tags


class TransferClassifier(ClassifierMixin, _OfImages):  # type: ignore[misc]
    """A classifier of images: `fit(images, y)` decides by the matrix and trains, as `finetune` does.

    `images` are paths of files, an array `(N, H, W, 3)` or a sequence of arrays (RGB or grey, 0..255), or a
    DataFrame with a column `path`. Part of them is set aside as val, to choose with. Nothing is written but
    the bank: for a run folder with its report use `finetune`.

    Args:
        backbone: its name, see `backbones`.
        strategy: `auto`, or one of those of `finetune`.
        l2: strength of the logistic regression's penalty; `auto` lets val choose.
        weights: `imagenet`, `none` or a file; `weights_dir` is looked in first.
        weights_dir: folder of ImageNet weights.
        image_size: side in pixels; `auto` takes the backbone's own.
        augment: policy that changes training images, see `finetune --augment`.
        val_fraction: part of the images that are chosen with.
        device: `auto`, `cpu`, `gpu` or `gpu:N`.
        random_state: seed of the split and of all that is drawn.
        settings: any other keys of the recipe.

    Attributes:
        classes_: labels `(C,)`, in the order of `predict_proba`'s columns.
        model_: the complete Keras model: images RGB 0..255 to probabilities, in the order of its own classes.
        plan_: what was decided, and why.
        kept_: `linear`, `multistage` or `fine-tuned`: what is best on val.
        val_score_: top-1 on val.
    """

    def __init__(
        self,
        backbone: str = "mobilenet_v2",
        strategy: str = "auto",
        *,
        l2: float | str = "auto",
        weights: str = "imagenet",
        weights_dir: str | None = None,
        image_size: int | str = "auto",
        augment: Any = "none",
        val_fraction: float = 0.15,
        device: str = "auto",
        random_state: int = 0,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.backbone, self.strategy, self.l2 = backbone, strategy, l2
        self.weights, self.weights_dir, self.image_size = weights, weights_dir, image_size
        self.augment, self.val_fraction = augment, val_fraction
        self.device, self.random_state, self.settings = device, random_state, settings

    def fit(self, images: Any, y: Any) -> Self:
        """Train on images and their labels `(N,)`.

        Raises:
            TransferkitError: as `finetune`.
        """
        import pandas as pd

        from transferkit.api.candidates import run_phases
        from transferkit.api.planning import opened_work

        labels = np.asarray(y)
        files = files_of(images)
        if labels.ndim != 1 or len(labels) != len(files):
            raise DataError(
                f"{len(files)} images and labels of shape {labels.shape}; one label an image is needed."
            )
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            raise DataError(
                f"{int((~np.isfinite(labels)).sum())} of {len(labels)} labels are NaN or infinite; every "
                "image needs a class."
            )
        try:
            self.classes_ = np.unique(labels)
        except TypeError as error:
            kinds = ", ".join(sorted({type(label).__name__ for label in labels}))
            raise DataError(f"labels of several types ({kinds}); give all as one.") from error
        names = [str(label) for label in self.classes_]
        for name in names:
            if BETWEEN_NAMES in name or not name or name != name.strip():
                raise DataError(
                    f"label {name!r}: a name without {BETWEEN_NAMES!r} and without space around it is needed."
                )
        table = pd.DataFrame({"path": map(str, files), "label": labels.astype(str)}).drop_duplicates()
        work = opened_work(table, self._recipe())
        _, best = run_phases(work)
        self._columns = np.array([work.class_names.index(name) for name in names])
        self.model_, self.kept_, self.val_score_ = best.model, best.name, best.score[0]
        self.plan_, self._policy = work.plan, work.extractor.policy
        # A frozen backbone is asked by way of the bank, which knows the images of other folds already.
        self._linear = best.fitted if best.name != "fine-tuned" else None
        self._backbone = Backbone(work.extractor) if self._linear else None
        return self

    def predict_proba(self, images: Any) -> np.ndarray:
        """float32 `(N, C)`, columns as in `classes_`."""
        check_is_fitted(self)
        files = files_of(images)
        if self._linear is not None and self._backbone is not None:
            assert self._linear.features is not None
            found = self._linear.probabilities(self._backbone.features(files, self._linear.features))
        else:
            found = by_path(self.model_, files, self._policy, int(self._recipe().batch_size))
        return np.asarray(found[:, self._columns])

    def predict(self, images: Any) -> np.ndarray:
        """The most probable label of each image, `(N,)`."""
        found = self.predict_proba(images)
        return np.asarray(self.classes_[found.argmax(axis=1)])

    def _recipe(self) -> Recipe:
        given = ("backbone", "strategy", "l2", "weights", "weights_dir", "image_size", "augment")
        values = {key: getattr(self, key) for key in (*given, "val_fraction", "device")}
        values |= {"seed": self.random_state, "test_fraction": 0}
        return Recipe.from_mapping(values | dict(self.settings or {}), "")

    def __getstate__(self) -> dict[str, Any]:
        # What is pickled needs no bank: its model holds all.
        return {**super().__getstate__(), "_backbone": None}


class BackboneFeatures(TransformerMixin, _OfImages):  # type: ignore[misc]
    """A transformer: images to what a frozen backbone makes of them, float32 `(N, D)`.

    Args:
        backbone: its name, see `backbones`.
        stages: `last`, `all`, or names such as `("stage4", "stage5")`.
        kinds: of each stage: `means`, `deviations` and `grids` (2 by 2) of its channels over the image.
        normalised: each stage and kind at unit length, so that none outweighs the others.
        weights: `imagenet`, `none` or a file; `weights_dir` is looked in first.
        weights_dir: folder of ImageNet weights.
        image_size: side in pixels; `auto` takes the backbone's own.
        resize: `crop`, `pad` or `stretch`.
        batch_size: images in a forward pass.
        device: `auto`, `cpu`, `gpu` or `gpu:N`.

    Attributes:
        stages_: names of the backbone's stages, nearest the input first.
        n_features_out_: D.
    """

    def __init__(
        self,
        backbone: str = "mobilenet_v2",
        *,
        stages: Any = "last",
        kinds: Any = ("means",),
        normalised: bool = False,
        weights: str = "imagenet",
        weights_dir: str | None = None,
        image_size: int | str = "auto",
        resize: str = "crop",
        batch_size: int = 32,
        device: str = "auto",
    ) -> None:
        self.backbone, self.stages, self.kinds, self.normalised = backbone, stages, kinds, normalised
        self.weights, self.weights_dir, self.image_size = weights, weights_dir, image_size
        self.resize, self.batch_size, self.device = resize, batch_size, device

    def fit(self, images: Any, y: Any = None) -> Self:
        """Open the backbone; nothing is learned from the images.

        Raises:
            UsageError, WeightsError: no such backbone, stage or kind, or no weights.
        """
        self.stages_ = self._opened().stages
        self.n_features_out_ = len(self._backbone.names(self._asked))
        return self

    def transform(self, images: Any) -> np.ndarray:
        """float32 `(N, D)`: stages in the order asked, in each the kinds in theirs.

        Raises:
            DataError: an image that cannot be read; names it.
        """
        return self._opened().features(files_of(images), self._asked)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """`STAGE_KIND_NUMBER` of each feature."""
        return np.array(self._opened().names(self._asked), dtype=object)

    def _opened(self) -> Backbone:
        keys = ("backbone", "weights", "weights_dir", "image_size", "resize", "batch_size", "device")
        asked = {key: getattr(self, key) for key in keys}
        if getattr(self, "_known", None) != asked:
            self._backbone = opened_backbone(Recipe.from_mapping(asked, ""))
            self._known = asked
        self._asked = self._features(self._backbone.stages)
        return self._backbone

    def _features(self, known: tuple[str, ...]) -> FeatureSet:
        words = {"last": known[-1:], "all": known}
        stages = (
            words.get(self.stages, (self.stages,)) if isinstance(self.stages, str) else tuple(self.stages)
        )
        kinds = (self.kinds,) if isinstance(self.kinds, str) else tuple(self.kinds)
        for what, asked, allowed in (("stage", stages, known), ("kind", kinds, tuple(WIDTHS))):
            for one in asked:
                if one not in allowed:
                    raise UsageError(f"{what} {one!r} is not there. Allowed: {', '.join(allowed)}.")
        return FeatureSet(stages=stages, kinds=kinds, normalised=self.normalised)

    def __getstate__(self) -> dict[str, Any]:
        return {
            key: value for key, value in super().__getstate__().items() if key not in ("_backbone", "_known")
        }
