"""A user's program that calls the whole public API; `test_notebook_api` has it checked by a type checker."""

from pathlib import Path

import numpy as np
import pandas as pd

import transferkit as tk


def train(photos: Path) -> tk.Run:
    recipe: tk.Recipe = tk.Recipe.load("fast").replace(seed=1)
    planned: tk.Planned = tk.plan(photos, recipe)
    print(planned.plan.strategy, planned.as_dict())
    run: tk.Run = tk.finetune(photos, "similar-little", out="runs/mine", backbone="resnet50")
    return tk.load(run.folder) if not run.interrupted else tk.resume(run.folder)


def use(run: tk.Run, photos: Path, pixels: np.ndarray) -> pd.DataFrame:
    print(run.report.numbers.score("test"), run.report.html)
    found: pd.DataFrame = run.predict([photos / "new.jpg"])
    arrays: pd.DataFrame = run.predict(pixels, views="flip")
    table: pd.DataFrame = run.predict(pd.DataFrame({"path": ["a.jpg"]}))
    judged: tk.Evaluation = run.evaluate(photos, views="10crop")
    why: tk.Explanation = run.explain(photos / "new.jpg", stage="stage4")
    print(judged.metrics, why.images, tk.evaluate(run, photos).seen, tk.explain(run, ["new.jpg"]).stage)
    compared: tk.Comparison = tk.compare([run, "runs/other"])
    audited: tk.Audit = tk.audit(photos)
    print(tk.predict(run, ["new.jpg"])[0], compared.runs, audited, tk.report(run.folder))
    try:
        sure: pd.DataFrame = run.predict([photos], sets=True, reject=True)
        print(sure["accepted"])
    except (tk.UnknownName, tk.OutputExists) as error:
        print(error.exit_code)
    return pd.concat([found, arrays, table])


def look(photos: Path) -> None:
    findings: pd.DataFrame = tk.inspect(photos)
    print(findings, tk.audit(photos).findings, tk.backbones(), tk.datasets(), tk.recipes())
    made: tk.Augmented = tk.augment(photos, augment="light")
    made.save("sheet.png")
    place: Path = tk.fetch_dataset("hymenoptera", url="file:///data/hymenoptera.zip")
    print(place, tk.find_weights("resnet50", weights_dir=photos), tk.verify_weights(["resnet50"]))
    tk.show_progress(False)


def learn(images: list[str], labels: list[str]) -> None:
    classifier = tk.TransferClassifier("mobilenet_v2", "linear", l2=1.0)
    print(classifier.fit(images, labels).predict(images), classifier.predict_proba(images).shape)
    features = tk.BackboneFeatures("mobilenet_v2", stages="all")
    print(features.fit(images).transform(images).shape, features.get_feature_names_out())
    model = tk.build_model("mobilenet_v2", 10, freeze_depth=3)
    bottom, top = tk.split_backbone(model, at="stage2")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    arrays, numbers = np.zeros((4, 32, 32, 3)), np.zeros(4, int)
    best, why, proof = tk.KeepBest(arrays, numbers), tk.Diagnose(arrays, numbers), tk.FreezeProof()
    model.fit(arrays, numbers, validation_data=(arrays, numbers), callbacks=[best, why, proof])
    print(best.kept, best.top1, [one.sentence for one in why.findings], proof.moved, proof.stayed)
    print(bottom, top, tk.Augmentation("strong", 224)(np.zeros((1, 256, 256, 3))))


def mend(photos: Path) -> None:
    try:
        train(photos)
    except tk.TransferkitError as error:
        print(error.exit_code)
