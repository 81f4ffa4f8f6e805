"""What the report says of trust, checked on real sets: temperature, conformal sets, suspects, unknown images.

    python benchmarks/report/trust.py WEIGHTS_DIR DATA_DIR [--backbone mobilenet_0.25] [--image-size 128] [--seed 0 1 2]
        [--strategy linear] [--part trust suspects unknown]

DATA_DIR has hymenoptera, flowers, satellite and signs, each a folder of class folders (hymenoptera in train and
val). One run for each set and seed, and of flowers once more with 5 % of the labels swapped at random; prints a
Markdown line for each. Fails where the sets of classes of flowers or satellite hold the right one in a share whose
interval leaves their target out, or where the first tenth of the list holds less than 70 % of what was swapped.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
SETS = {"hymenoptera": None, "flowers": 120, "satellite": 120, "signs": 60}
PARTS = ("trust", "suspects", "unknown")
SWAPPED, FIRST, SUSPECTS = 0.05, 0.1, 250
JUDGED, LEAST_FOUND = ("flowers", "satellite"), 0.7


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
        "strategy": asked.strategy,
    }
    return finetune(images, Recipe.from_mapping(values | {"image_size": asked.image_size}), out=out)


def trusted(report: Any) -> str:
    before, after = (each["test"].nll for each in (report.calibration.before, report.calibration.after))
    sets = report.conformal
    inside = "yes" if sets.low <= sets.target <= sets.high else "NO"
    return (
        f"{report.kept} | {report.calibration.temperature:.2f} | {before:.3f} | {after:.3f} | {sets.coverage:.3f} "
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
    root = Path(made.report.numbers.data.root)
    told = {str((root / path).resolve()) for path in listed}
    return sum(images["path"].iloc[row] in told for row in wrong) / len(wrong)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("weights_dir", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--backbone", default="mobilenet_0.25")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--strategy", default="linear")
    parser.add_argument("--part", nargs="+", default=PARTS, choices=PARTS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("TRANSFERKIT_CACHE", f"{folder}/cache")
        missed = trust(asked, Path(folder)) if "trust" in asked.part else []
        missed += suspects(asked, Path(folder)) if "suspects" in asked.part else []
        if "unknown" in asked.part:
            unknown(asked, Path(folder))
    if missed:
        raise SystemExit(f"not reached: {'; '.join(missed)}")


def trust(asked: argparse.Namespace, folder: Path) -> list[str]:
    """The table of temperatures and sets; where these miss their target."""
    from transferkit.reports import record

    missed = []

    heads = "set | seed | kept | temperature | test NLL as it is | tempered | coverage of sets for .9 (95 %) | classes"
    print(f"| {heads} in a set |\n{'|---' * 8}|")
    for name, per_class in SETS.items():
        for seed in asked.seed:
            made = run(manifest(asked.data / name, per_class, seed), asked, seed, folder / f"{name}-{seed}")
            found = record.read(made.folder)
            print(f"| {name} | {seed} | {trusted(found)} |", flush=True)
            if name in JUDGED and not found.conformal.low <= found.conformal.target <= found.conformal.high:
                missed.append(f"sets of classes of {name}, seed {seed}")
    return missed


def suspects(asked: argparse.Namespace, folder: Path) -> list[str]:
    """Swapped labels that are found; the draws in which too few are."""
    missed = []
    print("\n| flowers, 5 % swapped: found in the first tenth | seed |\n|---|---|")
    for seed in asked.seed:
        images = manifest(asked.data / "flowers", SUSPECTS, seed)
        found = suspected(images, asked, seed, folder / f"swapped-{seed}")
        print(f"| {found:.2f} | {seed} |", flush=True)
        if found < LEAST_FOUND:
            missed.append(f"suspect labels, seed {seed}")
    return missed


def unknown(asked: argparse.Namespace, folder: Path) -> None:
    from transferkit.api.evaluating import evaluate

    print("\n| run | unknown | AUROC | FPR at 95 % TPR |\n|---|---|---|---|")
    for known in ("flowers", "satellite", "signs"):
        images = manifest(asked.data / known, SETS[known], asked.seed[0])
        made = run(images, asked, asked.seed[0], folder / f"known-{known}")
        test = made.predictions[made.predictions["split"] == "test"]
        root = Path(made.report.numbers.data.root)
        judged = test.assign(path=[str(root / path) for path in test["path"]])[["path", "label"]]
        for other in (name for name in SETS if name != known):
            strange = manifest(asked.data / other, 60, 0)
            found = evaluate(made, judged, unknown=strange, allow_missing=True).unknown
            print(f"| {known} | {other} | {found.auroc:.3f} | {found.fpr95:.3f} |", flush=True)


if __name__ == "__main__":
    main()
