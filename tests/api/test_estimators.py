"""scikit-learn's side, on toys: what a user of Pipeline, GridSearchCV, clone and pickle counts on."""

import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from tests.conftest import TOY as TOY_SPEC
from tests.conftest import toy_network
from transferkit import BackboneFeatures, TransferClassifier
from transferkit.backbone import build, table
from transferkit.errors import DataError, UnknownName, UsageError
from transferkit.training import bank

pytestmark = pytest.mark.usefixtures("toy")
TOY: dict[str, Any] = {"backbone": "toy", "weights": "none"}


@pytest.fixture
def images(photos: Path) -> pd.DataFrame:
    files = sorted(photos.rglob("*.png"))
    return pd.DataFrame({"path": [str(file) for file in files], "y": [file.parent.name for file in files]})


def classifier(**more: Any) -> TransferClassifier:
    return TransferClassifier(**{**TOY, "strategy": "linear", **more})


def test_paths_arrays_and_tables_are_the_same_images(images: pd.DataFrame):
    one = classifier().fit(list(images["path"]), images["y"])
    arrays = np.stack([np.asarray(Image.open(path)) for path in images["path"]])
    expected = one.predict_proba(images["path"])
    for given in (images[["path"]], arrays, list(arrays), arrays.astype(float)):
        np.testing.assert_allclose(one.predict_proba(given), expected, atol=1e-6)
    assert one.score(images["path"], images["y"]) > 0.9
    assert one.kept_ == "linear" and one.plan_.strategy == "linear"


@pytest.mark.parametrize(
    "names", [{"blue": 10, "green": 9, "red": 2}, {"blue": True, "green": False, "red": True}]
)
def test_labels_come_back_in_their_type_and_columns_in_the_order_of_classes(images: pd.DataFrame, names: Any):
    y = images["y"].map(names).to_numpy()
    fitted = classifier().fit(images["path"], y)
    assert fitted.classes_.tolist() == sorted(set(names.values()))
    assert (fitted.predict(images["path"]) == y).mean() > 0.9
    assert fitted.predict(images["path"]).dtype == y.dtype


@pytest.mark.parametrize("strategy", ["linear", "full"])
def test_what_is_pickled_says_the_same(images: pd.DataFrame, strategy: str):
    fitted = classifier(strategy=strategy, settings={"epochs": 1}).fit(images["path"], images["y"])
    again = pickle.loads(pickle.dumps(fitted))
    some = images["path"][::7]
    np.testing.assert_allclose(again.predict_proba(some), fitted.predict_proba(some), atol=1e-5)


def test_it_fits_twice_the_same_and_a_clone_is_not_fitted(images: pd.DataFrame):
    first = classifier().fit(images["path"], images["y"])
    parameters = first.get_params()
    found = first.predict_proba(images["path"])
    assert (first.fit(images["path"], images["y"]).predict_proba(images["path"]) == found).all()
    assert first.get_params() == parameters
    with pytest.raises(NotFittedError):
        clone(first).predict(images["path"])


def test_a_part_of_the_images_gets_what_it_gets_among_all(images: pd.DataFrame):
    fitted = classifier().fit(images["path"], images["y"])
    order = np.random.default_rng(0).permutation(len(images))[:17]
    np.testing.assert_array_equal(
        fitted.predict_proba(images["path"].iloc[order]), fitted.predict_proba(images["path"])[order]
    )


def test_a_grid_search_sends_each_image_through_each_backbone_once(images: pd.DataFrame, monkeypatch: Any):
    passed: Counter[int] = Counter()
    forward = bank._padded_forward

    def counted(model: Any, batch: np.ndarray, batch_size: int) -> np.ndarray:
        if model.output_shape[-1] > 100:  # the pooling network, not a classifier
            passed[model.input_shape[1]] += len(batch)
        return forward(model, batch, batch_size)

    monkeypatch.setattr(bank, "_padded_forward", counted)
    other = replace(TOY_SPEC, name="other", image_size=48)
    monkeypatch.setattr(table, "TABLE", (*table.TABLE, other))
    monkeypatch.setattr(
        build, "build", lambda spec, size=None, classifier=False: toy_network(size or spec.image_size)
    )
    grid = {"backbone": ["toy", "other"], "l2": [0.1, 10.0, 1000.0]}
    search = GridSearchCV(classifier(), grid, cv=3).fit(images["path"], images["y"])
    assert passed == {32: len(images), 48: len(images)}
    assert search.best_score_ > 0.9
    found = pd.DataFrame(search.cv_results_)
    assert found.groupby("param_l2")["mean_test_score"].mean().nunique() > 1, "the strength does nothing"


def test_features_serve_a_pipeline_and_cross_validation(images: pd.DataFrame):
    features = BackboneFeatures(**TOY, stages="all", kinds=("means", "deviations"))
    pipe = make_pipeline(features, StandardScaler(), LogisticRegression())
    assert cross_val_score(pipe, images["path"], images["y"], cv=3).mean() > 0.9
    pipe.fit(images["path"], images["y"])
    names = pipe[:1].get_feature_names_out()
    assert len(names) == 2 * (8 + 12 + 16) == features.fit(images["path"]).n_features_out_
    assert (names[0], names[-1]) == ("stage1_means_0", "stage3_deviations_15")
    assert pickle.loads(pickle.dumps(features)).transform(images["path"][:3]).shape == (3, 72)


def test_features_are_the_means_of_the_network(images: pd.DataFrame):
    import keras

    from tests.conftest import toy_network

    pixels = np.stack([np.asarray(Image.open(path).resize((32, 32))) for path in images["path"][:5]])
    network = toy_network(32)
    expected = keras.ops.convert_to_numpy(network(pixels)).mean(axis=(1, 2))
    found = BackboneFeatures(**TOY, image_size=32, resize="stretch").fit(None).transform(images["path"][:5])
    assert found.shape == expected.shape == (5, 16)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        (np.zeros((5, 3)), DataError, r"shape \(5, 3\) is not many images"),
        (np.full((5, 8, 8, 3), 0.5), DataError, "multiply them by 255"),
        (np.full((5, 8, 8, 3), 300), DataError, "pixels from 300 to 300; 0..255 is needed"),
        (np.zeros((5, 8, 8, 2), np.uint8), DataError, r"shape \(8, 8, 2\) is no image"),
        ([], UsageError, "no images"),
        ([1, 2], DataError, "1 is no image"),
        ("one.png", UsageError, r"give \[path\]"),
        (["a.png", np.zeros((8, 8), np.uint8)], DataError, "paths and arrays are mixed"),
        (pd.DataFrame({"file": ["a.png"]}), UsageError, "no column 'path', but file"),
    ],
)
def test_what_is_no_image_is_refused(given: Any, error: type[Exception], told: str):
    with pytest.raises(error, match=told):
        BackboneFeatures(**TOY).fit_transform(given)


def test_bad_parameters_are_told_when_it_fits(images: pd.DataFrame):
    with pytest.raises(UnknownName, match="mobilenet"):
        TransferClassifier(backbone="mobilnet").fit(images["path"], images["y"])
    with pytest.raises(UsageError, match="stage 'stage9' is not there. Allowed: stage1, stage2, stage3"):
        BackboneFeatures(**TOY, stages="stage9").fit(None)
    with pytest.raises(DataError, match="60 images and labels of shape"):
        classifier().fit(images["path"], images["y"][:9])
    with pytest.raises(DataError, match=r"labels of several types \(int, str\)"):
        classifier().fit(images["path"], np.array([1, "1"] * 30, dtype=object))
    with pytest.raises(DataError, match=r"label 'red\|blue': a name without '\|'"):
        classifier().fit(images["path"], images["y"].replace("red", "red|blue"))
    with pytest.raises(DataError, match="1 of 60 labels are NaN or infinite"):
        classifier().fit(images["path"], np.where(np.arange(60) == 4, np.nan, np.arange(60) % 2))
    images.loc[3, "path"] = "gone.png"
    with pytest.raises(DataError, match=r"1 images cannot be read, such as .*gone\.png"):
        BackboneFeatures(**TOY).fit_transform(images["path"])


# Of scikit-learn's checks those that hand over a table of numbers, which is no image. What they look at is
# tested on images above: it fits twice the same, a part of the images gets what it gets among all, pickling.
TABLES = "its input is a table of numbers, which is refused"
NOT_FOR_IMAGES = dict.fromkeys(
    (
        "check_classifier_data_not_an_array", "check_classifiers_classes", "check_classifiers_one_label",
        "check_classifiers_train", "check_dict_unchanged", "check_dont_overwrite_parameters",
        "check_estimator_sparse_array", "check_estimator_sparse_matrix", "check_estimators_dtypes",
        "check_estimators_fit_returns_self", "check_estimators_overwrite_params", "check_estimators_pickle",
        "check_f_contiguous_array_estimator", "check_fit2d_1feature", "check_fit2d_1sample",
        "check_fit_check_is_fitted", "check_fit_idempotent", "check_fit_score_takes_y",
        "check_methods_sample_order_invariance", "check_methods_subset_invariance",
        "check_pipeline_consistency", "check_positive_only_tag_during_fit", "check_readonly_memmap_input",
        "check_transformer_general", "check_transformer_preserve_dtypes", "check_estimator_sparse_tag",
    ),
    TABLES,
)  # fmt: skip


@pytest.mark.parametrize("kind", [TransferClassifier, BackboneFeatures])
def test_scikit_learns_checks_pass_as_far_as_they_apply_to_images(kind: Any):
    class Tabular(kind):  # type: ignore[misc]
        """Claims to take tables, so that scikit-learn runs all of its checks."""

        def __sklearn_tags__(self) -> Any:
            tags = super().__sklearn_tags__()
            tags.input_tags.two_d_array = True
            return tags

    found = check_estimator(Tabular(**TOY), expected_failed_checks=NOT_FOR_IMAGES, on_skip=None, on_fail=None)
    failed = {one["check_name"]: one["exception"] for one in found if one["status"] == "failed"}
    assert failed == {}
    assert Counter(one["status"] for one in found)["passed"] >= 18
