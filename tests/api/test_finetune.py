import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from tests.bad_files import jpeg, picture
from tests.conftest import SHARED, draw_classes, toy_network
from transferkit.api import evaluate, finetune, plan, predict, settling
from transferkit.api.inputs import open_data, start
from transferkit.backbone.catalogue import lookup
from transferkit.errors import DataError, OutputExists, UsageError, WeightsError
from transferkit.recipe import Recipe, read_recipe
from transferkit.strategies import Phase
from transferkit.training.job import Job
from transferkit.training.linear import LinearClassifier
from transferkit.training.phases import Trained

QUICK = {"backbone": "toy", "weights": "none", "batch_size": 8, "epochs": 2, "learning_rate": 1e-3}
STRATEGIES = ("linear", "multistage", "finetune-top", "finetune-deep", "full")


def recipe(**values: object) -> Recipe:
    return Recipe.from_mapping({**QUICK, **values})


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_run_never_ships_less_on_val_than_its_linear_classifier(
    strategy: str, photos: Path, tmp_path: Path
):
    run = finetune(photos, recipe(strategy=strategy), out=tmp_path / "run")
    assert run.metrics["splits"]["val"]["top1"] >= run.metrics["linear_top1"]["val"]
    assert run.plan["strategy"] == strategy


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("strategy", ["linear", "multistage", "finetune-deep"])
def test_the_saved_model_gives_the_predictions_of_the_run(strategy: str, photos: Path, tmp_path: Path):
    run = finetune(photos, recipe(strategy=strategy, learning_rate=3e-3), out=tmp_path / "run")
    rows = run.predictions
    frame, failed = predict(run, [photos / path for path in rows["path"]])
    assert not failed
    assert list(frame["pred"]) == list(rows["pred"])
    assert np.abs(frame["p"].astype(float).to_numpy() - rows["p"].to_numpy()).max() < 1e-4


@pytest.mark.usefixtures("toy")
def test_the_folder_holds_what_its_contract_names(photos: Path, tmp_path: Path):
    (photos / "red" / "broken.png").write_bytes(b"no image")
    run = finetune(photos, recipe(strategy="finetune-top"), out=tmp_path / "run")
    splits = pd.read_csv(run.folder / "splits.csv")
    assert list(splits.columns) == ["path", "label", "split"]
    assert splits.groupby("split")["label"].nunique().to_dict() == {"train": 3, "val": 3, "test": 3}
    assert len(splits) == 60
    content = pd.read_csv(run.folder / "content.csv")
    assert list(content.columns) == ["path", "sha256", "split"]
    assert content["path"].to_list() == splits["path"].to_list()
    excluded = pd.read_csv(run.folder / "excluded.csv")
    assert excluded["path"].to_list() == ["red/broken.png"]
    history = pd.read_csv(run.folder / "history.csv")
    assert list(history.columns) == [
        "phase", "epoch", "loss", "val_loss", "top1", "val_top1", "learning_rate", "seconds",
    ]  # fmt: skip
    assert history["phase"].to_list() == ["linear", "multistage", "finetune", "finetune"]
    assert list(run.predictions.columns) == ["path", "label", "split", "pred", "p", "top5"]
    assert len(run.predictions) == (splits["split"] != "train").sum()
    assert run.labels == ["blue", "green", "red"]
    assert set(run.plan) >= {"quadrant", "strategy", "phases", "reasons", "evidence"}
    parts = {
        "total",
        "startup",
        "index",
        "decode",
        "bank",
        "linear",
        "pilot",
        "phases",
        "evaluation",
        "report",
    }
    assert set(run.environment["seconds"]) == parts
    assert run.metrics["schema"] == 1
    wanted = {"n", "top1", "top5", "top1_ci95", "macro_f1", "balanced_accuracy", "nll", "ece", "per_class"}
    for split in run.metrics["splits"].values():
        assert wanted <= set(split)
    assert (run.folder / "report.md").read_text().startswith("# photos")
    assert (run.folder / "figures" / "confusion.svg").stat().st_size > 1000


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("strategy", ["multistage", "finetune-deep"])
def test_the_same_seed_gives_the_same_bytes(strategy: str, photos: Path, tmp_path: Path, own_cache: Path):
    runs = []
    for name in ("first", "second"):
        runs.append(finetune(photos, recipe(strategy=strategy), out=tmp_path / name))
    for file in ("splits.csv", "metrics.json", "predictions.csv"):
        first, second = ((run.folder / file).read_bytes() for run in runs)
        assert first == second, file


@pytest.mark.usefixtures("toy")
def test_a_saved_recipe_repeats_its_run(photos: Path, tmp_path: Path):
    first = finetune(photos, recipe(strategy="linear", seed=3), out=tmp_path / "first")
    second = finetune(photos, first.recipe, out=tmp_path / "second")
    assert first.metrics == second.metrics


THAWED = {"linear": (), "multistage": (), "finetune-top": (3,), "finetune-deep": (2, 3), "full": (1, 2, 3)}


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_frozen_weights_stay_to_the_byte_and_thawed_ones_move(
    strategy: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import keras

    def know_nothing(train: Any, val: Any, classes: int, strengths: int, **_: Any) -> LinearClassifier:
        """A start that leaves something to win."""
        zero = np.zeros((train[0].shape[1], classes), np.float32)
        return LinearClassifier(zero, zero[0], 1.0, ())

    monkeypatch.setattr("transferkit.api.linear_candidates.fit_linear", know_nothing)
    numbers = {"learning_rate": 1e-2, "epochs": 20, "patience": 20, "val_fraction": 0.3}
    asked = recipe(strategy=strategy, classifier="logistic", features="means", **numbers)
    run = finetune(photos, asked, out=tmp_path / "run")
    before = {layer.name: layer for layer in toy_network().layers if layer.weights}
    after = keras.models.load_model(run.folder / "model.keras")
    moved = set()
    for name, layer in before.items():
        pairs = zip(layer.weights, after.get_layer(name).weights, strict=True)
        same = {weight.name: np.array_equal(weight, other) for weight, other in pairs}
        if "bn" in name:
            assert same["moving_mean"] and same["moving_variance"], name
        if not all(same.values()):
            moved.add(name)
    assert moved == {f"{kind}{n}" for n in THAWED[strategy] for kind in ("conv", "bn", "side")}
    assert (run.metrics["kept"] == "fine-tuned") == bool(THAWED[strategy])


@pytest.mark.usefixtures("toy")
def test_a_phase_that_makes_it_worse_leaves_what_it_started_from(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def worse(job: Job, phase: Phase, **_: Any) -> Trained:
        random = np.random.default_rng(0)
        for weight in job.model.trainable_variables:
            weight.assign(random.normal(0, 9, weight.shape) ** 2)
        return Trained([], ["went wrong"], 1)

    monkeypatch.setattr("transferkit.api.tuned_candidates.run_phase", worse)
    plain = {"classifier": "logistic", "features": "means"}
    run = finetune(photos, recipe(strategy="full", **plain), out=tmp_path / "run")
    linear = finetune(photos, recipe(strategy="multistage", **plain), out=tmp_path / "linear")
    assert run.metrics["kept"] == linear.metrics["kept"]
    assert run.metrics["splits"] == linear.metrics["splits"]
    assert "went wrong" in (run.folder / "report.md").read_text()
    frame, _ = predict(run, [photos / path for path in run.predictions["path"]])
    assert np.abs(frame["p"].to_numpy() - run.predictions["p"].to_numpy()).max() < 1e-4


@pytest.mark.usefixtures("toy")
def test_features_stay_with_their_images_when_files_are_left_out(photos: Path, tmp_path: Path):
    for n in range(5):
        (photos / "blue" / f"000{n}.png").write_bytes(b"no image" + bytes([n]))
    run = finetune(photos, recipe(strategy="linear"), out=tmp_path / "run")
    frame, _ = predict(run, [photos / path for path in run.predictions["path"]])
    assert np.abs(frame["p"].to_numpy() - run.predictions["p"].to_numpy()).max() < 1e-4


@pytest.mark.usefixtures("toy")
def test_unreadable_files_are_told_though_the_bank_knows_others(photos: Path, tmp_path: Path):
    finetune(photos, recipe(strategy="linear"), out=tmp_path / "run")
    for n, label in enumerate("aaabbb"):
        (tmp_path / "bad" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "bad" / label / f"{n}.jpg").write_bytes(b"no image" + bytes([n]))
    with pytest.raises(DataError, match="not one of 6 files could be read"):
        finetune(tmp_path / "bad", recipe(strategy="linear"), out=tmp_path / "other")


@pytest.mark.usefixtures("toy")
def test_pictures_under_two_labels_are_told_near_duplicates_too(photos: Path, tmp_path: Path):
    pixels = picture("which", 128, 128, cells=8)
    (photos / "red" / "which.jpg").write_bytes(jpeg(pixels))
    (photos / "blue" / "which.jpg").write_bytes(jpeg(pixels, quality=60))
    run = finetune(photos, recipe(strategy="linear"), out=tmp_path / "run")
    told = (
        "WARNING: 2 files show a picture that stands under another label too, such as blue/which.jpg: looks "
    )
    assert told in (run.folder / "report.md").read_text()
    assert {"red/which.jpg", "blue/which.jpg"} <= set(pd.read_csv(run.folder / "splits.csv")["path"])


@pytest.mark.usefixtures("toy")
def test_a_folder_that_holds_no_picture_is_not_evaluated(photos: Path, tmp_path: Path):
    run = finetune(photos, recipe(strategy="linear"), out=tmp_path / "run")
    for path in photos.rglob("*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(
        DataError, match=r"not one of 60 files could be read .* such as blue/000\.png: not an image"
    ):
        evaluate(run, photos)


@pytest.mark.usefixtures("toy")
def test_given_splits_that_share_images_are_told_in_the_report(tmp_path: Path):
    draw_classes(tmp_path / "data" / "train", 8)
    draw_classes(tmp_path / "data" / "val", 4)
    run = finetune(tmp_path / "data", recipe(strategy="linear"), out=tmp_path / "run")
    assert (
        "12 files were left out because val or test has their like" in (run.folder / "report.md").read_text()
    )
    assert not any(n for found in run.metrics["intersections"].values() for n in found.values())


@pytest.mark.usefixtures("toy")
def test_a_saved_recipe_names_its_files_from_the_root(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "left-out.txt").write_text("red/000.png\n")
    run = finetune(photos, recipe(strategy="linear", exclude="left-out.txt"), out=tmp_path / "run")
    assert run.recipe.exclude == str(tmp_path / "left-out.txt")


def test_a_cache_that_cannot_be_written_is_told_first(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRANSFERKIT_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="Set TRANSFERKIT_CACHE"):
        finetune(photos, recipe(strategy="linear"), out=tmp_path / "run")


@pytest.mark.usefixtures("toy")
def test_a_run_from_a_gpu_predicts_where_there_is_none(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = finetune(photos, recipe(strategy="linear"), out=tmp_path / "run")
    text = (run.folder / "recipe.yaml").read_text()
    (run.folder / "recipe.yaml").write_text(text.replace("device: auto", "device: gpu"))
    assert len(predict(run, [photos / "red"])[0]) == 20


@pytest.mark.usefixtures("toy")
def test_a_damaged_model_is_told(photos: Path, tmp_path: Path):
    run = finetune(photos, recipe(strategy="linear"), out=tmp_path / "run")
    with (run.folder / "model.keras").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(DataError, match="is damaged: model.keras"):
        predict(run, [photos / "red"])


def test_random_weights_are_those_of_the_seed():
    def fingerprint(seed: int) -> str:
        asked = Recipe(backbone="mobilenet_0.25", weights="none", image_size=32, seed=seed)
        return start(lookup("mobilenet_0.25"), None, asked, "crop")[1].fingerprint

    assert fingerprint(1) == fingerprint(1) != fingerprint(2)


@pytest.mark.usefixtures("toy")
def test_given_folders_are_respected_and_no_test_is_made(tmp_path: Path):
    draw_classes(tmp_path / "data" / "train", 8)
    draw_classes(tmp_path / "data" / "valid", 3, seed=500)
    run = finetune(tmp_path / "data", recipe(strategy="linear"), out=tmp_path / "run")
    assert set(run.metrics["splits"]) == {"val"}
    assert run.metrics["splits"]["val"]["n"] == 9
    assert "val chose the model" in (run.folder / "report.md").read_text()


@pytest.mark.usefixtures("toy")
def test_augmentation_leaves_the_bank_in_use(photos: Path, tmp_path: Path, own_cache: Path):
    run = finetune(photos, recipe(strategy="finetune-top", augment="light"), out=tmp_path / "run")
    history = pd.read_csv(run.folder / "history.csv")
    kept = list((own_cache / "maps").glob("*.npy"))
    assert (history["phase"] == "finetune").any()
    # The activations of all images, and of eight views of each training image.
    assert len(kept) == 1 + 8 and len(list((own_cache / "maps").glob("*-view*.npy"))) == 8
    assert {np.load(file, mmap_mode="r").dtype for file in kept} == {np.dtype(np.float32)}
    assert run.plan["augment"]["name"] == "light" and run.plan["augment"]["views"] == 4
    page = (run.folder / "report.md").read_text()
    assert "Augmentation stated: light" in page and "tried with 4 changed views" in page
    assert "draws among 8 kept views" in page


@pytest.mark.usefixtures("toy")
def test_a_run_keeps_the_steps_of_a_policy_file_not_its_path(photos: Path, tmp_path: Path):
    policy = tmp_path / "mine.yaml"
    policy.write_text("- rotation: {degrees: 5}\n")
    run = finetune(photos, recipe(strategy="linear", augment=str(policy)), out=tmp_path / "run")
    policy.unlink()
    again = Recipe.from_mapping(read_recipe(str(run.folder / "recipe.yaml")))
    steps = [{"rotation": {"degrees": 5.0, "fill": "reflect", "probability": 1.0}}]
    assert again.augment == {"mine": steps} and run.plan["augment"]["name"] == "mine"
    assert finetune(photos, again, out=tmp_path / "again").plan["augment"] == run.plan["augment"]


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    "policy",
    [
        ["horizontal_flip", "mixup"],
        [
            {
                "keras_cv.RepeatedAugmentation": {
                    "augmenters": [{"keras.RandomFlip": {}}, {"keras.RandomFlip": {}}]
                }
            }
        ],
        "strong",
    ],
)
def test_images_are_changed_anew_where_batches_are_mixed_or_all_trains(
    photos: Path, tmp_path: Path, own_cache: Path, policy: object
):
    strategy = "finetune-top" if isinstance(policy, list) else "full"
    run = finetune(photos, recipe(strategy=strategy, augment=policy, views=0), out=tmp_path / "run")
    kept = [np.load(file, mmap_mode="r") for file in (own_cache / "maps").glob("*.npy")]
    # Judged images as they are; training images larger: 8/7 of 32, and for crops, of files of 48 px, 11/7.
    assert sorted(maps.shape[1] for maps in kept) == [32, 37 if isinstance(policy, list) else 50]
    assert {maps.dtype for maps in kept} == {np.dtype(np.uint8)}
    assert run.plan["augment"]["views"] == 0


@pytest.mark.usefixtures("toy")
def test_an_augmented_run_is_the_same_again_and_another_with_another_policy(photos: Path, tmp_path: Path):
    def losses(name: str, **values: object) -> list[float]:
        run = finetune(photos, recipe(strategy="full", epochs=2, **values), out=tmp_path / name)
        return list(pd.read_csv(run.folder / "history.csv")["loss"])

    first = losses("first", augment="strong")
    assert losses("again", augment="strong") == first
    assert losses("other", augment="standard") != first


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("policy", ["none", "light", "standard", "auto"])
def test_every_policy_runs(photos: Path, tmp_path: Path, policy: str):
    run = finetune(photos, recipe(strategy="full", epochs=1, augment=policy), out=tmp_path / "run")
    (epoch,) = pd.read_csv(run.folder / "history.csv").query("epoch > 0").to_dict("records")
    assert np.isfinite([epoch["loss"], epoch["val_loss"]]).all()
    # No step of the policy is in the model: it has the layers of one that was trained without.
    model = keras.models.load_model(run.folder / "model.keras", compile=False)
    layers = {type(layer).__name__ for layer in model._flatten_layers()}
    assert not [name for name in layers if name.startswith(("Random", "Mix", "Cut", "AutoContrast"))]
    fed = run.numbers["decision"]["augment"].get("fed", "")
    assert fed.startswith("finetune: ") is (policy != "none")
    told = [reason for reason in run.plan["reasons"] if reason.startswith("Augmentation")]
    assert len(told) == (policy != "none")
    assert (run.plan["evidence"]["measured"]["safety"] != {}) is (policy == "auto")


@pytest.mark.usefixtures("toy")
def test_views_are_averaged_and_their_gain_is_told(photos: Path, tmp_path: Path):
    run = finetune(photos, recipe(strategy="linear"), out=tmp_path / "run")
    plain = evaluate(run, photos)
    assert plain.gain is None and plain.passes == 1
    assert repr(plain).startswith(f"top-1 {plain.metrics.top1:.1%} (95% ") and "recall" in repr(plain)
    found = evaluate(run, photos, views="10crop")
    assert found.gain is not None and found.plain is not None and found.passes == 10
    assert found.plain == plain.metrics
    told = f"10crop: {100 * found.gain.value:+.1f} points (95% {100 * found.gain.low:+.1f} to "
    assert repr(found).splitlines()[-1].startswith(told)
    assert found.gain.value == pytest.approx(found.metrics.top1 - plain.metrics.top1)
    assert found.gain.low <= found.gain.value <= found.gain.high
    assert list(found.predictions["path"]) == list(plain.predictions["path"])
    frame, failed = predict(run, [photos], views="10crop")
    assert not failed and np.allclose(sorted(frame["p"]), sorted(found.predictions["p"]), atol=1e-5)


@pytest.mark.usefixtures("toy")
def test_views_that_there_are_not_are_told(photos: Path, tmp_path: Path):
    run = finetune(photos, recipe(strategy="linear"), out=tmp_path / "run")
    with pytest.raises(UsageError, match="views '10crops' are not known. Allowed: 10crop, "):
        evaluate(run, photos, views="10crops")
    with pytest.raises(UsageError, match="are not known"):
        predict(run, [photos], views="ten")


@pytest.mark.usefixtures("toy")
def test_blended_labels_are_refused_before_any_work(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def looked(*_: Any, **__: Any) -> None:
        raise AssertionError("an image was looked at")

    monkeypatch.setattr(settling, "examine", looked)
    with pytest.raises(UsageError, match="views 4 says nothing to policy none"):
        finetune(photos, recipe(views=4), out=tmp_path / "run")
    with pytest.raises(UsageError, match="mixup mixes batches"):
        finetune(photos, recipe(strategy="linear", augment=["mixup"]), out=tmp_path / "run")
    with pytest.raises(UsageError, match="unknown policy 'lihgt'. Did you mean 'light'"):
        finetune(photos, recipe(augment="lihgt"), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("toy")
def test_without_room_for_a_bank_the_phase_decodes_anew(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    banked = finetune(photos, recipe(strategy="finetune-top"), out=tmp_path / "banked")
    monkeypatch.setenv("TRANSFERKIT_CACHE", str(tmp_path / "other"))
    anew = finetune(photos, recipe(strategy="finetune-top", bank_limit_gb=0), out=tmp_path / "anew")
    difference = banked.predictions["p"] - anew.predictions["p"]
    assert np.abs(difference).max() < 1e-3


@pytest.mark.usefixtures("toy")
def test_an_output_that_holds_something_is_not_touched(photos: Path, tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputExists):
            finetune(photos, recipe(strategy="linear"), out=tmp_path / "run", overwrite=overwrite)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


def test_missing_weights_are_told_before_an_image_is_read(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("transferkit.api.finetuning.open_training_data", None)
    with pytest.raises(WeightsError, match="no such file"):
        finetune(photos, Recipe(weights="no.h5"), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("toy")
def test_a_class_left_with_one_readable_image_is_refused(tmp_path: Path):
    photos = draw_classes(tmp_path / "photos", 8)
    for path in sorted((photos / "red").iterdir())[1:]:
        path.write_bytes(b"no image" + path.name.encode())
    with pytest.raises(DataError, match="'red' has a single image"):
        finetune(photos, recipe(strategy="linear"), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("toy")
def test_evaluation_joins_classes_by_name(photos: Path, tmp_path: Path):
    run = finetune(photos, recipe(strategy="linear"), out=tmp_path / "run")
    found = evaluate(run, photos)
    splits = pd.read_csv(run.folder / "splits.csv")["split"].value_counts()
    assert found.seen == splits["train"] + splits["val"] > splits["test"] > 0
    other = draw_classes(tmp_path / "other", 4, seed=900)
    (other / "blue").rename(other / "azure")
    with pytest.raises(DataError, match="azure"):
        evaluate(run, other)
    mapped = evaluate(run, other, renames={"azure": "blue"})
    assert mapped.seen == 0
    assert set(mapped.predictions["label"]) == {"blue", "green", "red"}
    assert mapped.metrics.n == 12


@pytest.mark.usefixtures("toy")
def test_predict_names_the_files_it_cannot_read(photos: Path, tmp_path: Path):
    run = finetune(photos, recipe(strategy="linear"), out=tmp_path / "run")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "bad.jpg").write_bytes(b"no image")
    frame, failed = predict(run, [tmp_path / "new", photos / "red" / "000.png"])
    assert list(frame["path"]) == [str(photos / "red" / "000.png")]
    assert list(failed) == [str(tmp_path / "new" / "bad.jpg")]


@pytest.mark.usefixtures("toy")
def test_the_plan_is_that_of_the_run(photos: Path, tmp_path: Path):
    asked = recipe(strategy="finetune-top")
    run = finetune(photos, asked, out=tmp_path / "run")
    shown = json.loads(json.dumps(plan(photos, asked).as_dict()))
    # The one tells what it will cost, the other what came of it.
    assert set(shown) ^ set(run.plan) == {"estimate", "tried", "freeze", "rates", "stages"}
    assert {key: shown[key] for key in shown if key != "estimate"}.items() <= run.plan.items()


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_and_answers_in_float32(precision: str, photos: Path, tmp_path: Path):
    import keras

    try:
        run = finetune(photos, recipe(strategy="finetune-top", precision=precision), out=tmp_path / "run")
        assert run.environment["precision"] == precision
        assert run.metrics["splits"]["val"]["non_finite"] == 0
        model = keras.models.load_model(run.folder / "model.keras")
        assert model.output.dtype == "float32"
        assert model.get_layer("logits").compute_dtype == "float32"
        assert model.get_layer("conv1").compute_dtype == precision.removeprefix("mixed_")
    finally:
        keras.config.set_dtype_policy("float32")


def test_a_data_set_goes_by_its_name():
    index = open_data("digits")
    assert len(index.files) == 1797
    assert index.labels == list("0123456789")


@pytest.mark.real
def test_real_photographs_with_real_weights(shared_data: Path, shared_weights: Path, tmp_path: Path):
    asked = Recipe(backbone="mobilenet_0.25", weights_dir=str(shared_weights), strategy="linear")
    run = finetune(shared_data / "hymenoptera", asked, out=tmp_path / "run")
    assert run.metrics["splits"]["val"]["top1"] >= 0.87
    assert run.environment["seconds"]["phases"] == 0
    frame, _ = predict(run, [shared_data / "hymenoptera" / p for p in run.predictions["path"][:40]])
    assert np.abs(frame["p"] - run.predictions["p"][:40]).max() < 1e-4


@pytest.mark.real
def test_several_stages_beat_the_last_on_satellite_pictures(
    shared_data: Path, shared_weights: Path, tmp_path: Path
):
    few = tmp_path / "satellite"
    for folder in sorted((SHARED / "data" / "satellite").iterdir()):
        (few / folder.name).mkdir(parents=True)
        for file in sorted(folder.iterdir())[:60]:
            (few / folder.name / file.name).symlink_to(file)
    asked = Recipe(backbone="mobilenet_0.25", weights_dir=str(shared_weights), strategy="multistage")
    run = finetune(few, asked, out=tmp_path / "run")
    assert run.metrics["splits"]["test"]["top1"] > run.metrics["linear_top1"]["test"]
