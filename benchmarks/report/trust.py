"""What the report says of trust, checked on real sets: temperature, conformal sets, suspects, unknown images.

    python benchmarks/report/trust.py WEIGHTS_DIR DATA_DIR [--backbone mobilenet_0.25] [--image-size 128] [--seed 0 1 2]

DATA_DIR has hymenoptera, flowers, satellite and signs, each a folder of class folders (hymenoptera in train and
val). One `linear` run for each set and seed (flowers once more with 5 % of the labels swapped at random); prints
a Markdown line for each, the means last.
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
SETS = {"hymenoptera": None, "flowers": 120, "satellite": 120, "signs": 60}
SWAPPED, FIRST = 0.05, 0.1


def manifest(folder: Path, per_class: int | None, seed: int) -> Any:
    """`path,label` of a draw of images; whole and in its own splits where no number is given."""
    import pandas as pd

    random, rows = np.random.default_rng(seed), []
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    for label in sorted({path.parent.name for path in found}):
        files = [str(path.resolve()) for path in found if path.parent.name == label]
        rows += [(path, label) for path in random.permutation(files)[:per_class]]
    return pd.DataFrame(rows, columns=["path", "label"])


def run(images: Any, asked: argparse.Namespace, seed: int, out: Path) -> Any:
    import keras

    from transferkit.api import finetune
    from transferkit.recipe import Recipe

    keras.backend.clear_session()
    values = {
        "backbone": asked.backbone,
        "weights_dir": str(asked.weights_dir),
        "seed": seed,
        "strategy": "linear",
    }
    return finetune(images, Recipe.from_mapping(values | {"image_size": asked.image_size}), out=out)


def trusted(report: Any) -> str:
    before, after = (each["test"].nll for each in (report.calibration.before, report.calibration.after))
    sets = report.conformal
    inside = "yes" if sets.low <= sets.target <= sets.high else "NO"
    return (
        f"{report.calibration.temperature:.2f} | {before:.3f} | {after:.3f} | {sets.coverage:.3f} "
        f"({sets.low:.3f}-{sets.high:.3f}) {inside} | {sets.mean_size:.2f}"
    )


def suspected(images: Any, asked: argparse.Namespace, seed: int, out: Path) -> float:
    """Share of the swapped labels in the first tenth of the ranking, as a run's fixes.csv has it."""
    import pandas as pd

    random = np.random.default_rng(seed)
    wrong = random.permutation(len(images))[: round(SWAPPED * len(images))]
    names = sorted(set(images["label"]))
    labels = list(images["label"])
    for row in wrong:
        labels[row] = random.choice([name for name in names if name != labels[row]])
    made = run(images.assign(label=labels), asked, seed, out)
    listed = pd.read_csv(made.folder / "fixes.csv")["path"][: round(FIRST * len(images))]
    root = Path(made.report["data"]["root"])
    told = {str((root / path).resolve()) for path in listed}
    return sum(images["path"].iloc[row] in told for row in wrong) / len(wrong)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("weights_dir", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--backbone", default="mobilenet_0.25")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2])
    asked = parser.parse_args()
    from transferkit.api.evaluating import evaluate
    from transferkit.reports import record

    print(
        "| set | seed | temperature | test NLL as it is | tempered | coverage of sets for .9 (95 %) | classes in a set |"
    )
    print("|---|---|---|---|---|---|---|")
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, per_class in SETS.items():
            for seed in asked.seed:
                images = manifest(asked.data / name, per_class, seed)
                runs[name, seed] = run(images, asked, seed, Path(folder) / f"{name}-{seed}")
                print(f"| {name} | {seed} | {trusted(record.read(runs[name, seed].folder))} |", flush=True)
        print("\n| flowers, 5 % swapped: found in the first tenth | seed |\n|---|---|")
        for seed in asked.seed:
            out = Path(folder) / f"swapped-{seed}"
            share = suspected(manifest(asked.data / "flowers", SETS["flowers"], seed), asked, seed, out)
            print(f"| {share:.2f} | {seed} |", flush=True)
            shutil.rmtree(out)
        print("\n| run | unknown | AUROC | FPR at 95 % TPR |\n|---|---|---|---|")
        for known in ("flowers", "satellite", "signs"):
            made = runs[known, asked.seed[0]]
            images = made.predictions.merge(made.content[["path", "sha256"]], on="path")
            root = Path(made.report["data"]["root"])
            test = images[images["split"] == "test"].assign(path=lambda f: [str(root / p) for p in f["path"]])  # noqa: B023
            for other in SETS:
                if other == known:
                    continue
                strange = manifest(asked.data / other, 60, 0)
                found = evaluate(made, test[["path", "label"]], unknown=strange, allow_missing=True).unknown
                print(f"| {known} | {other} | {found.auroc:.3f} | {found.fpr95:.3f} |", flush=True)


if __name__ == "__main__":
    main()
