"""One class cut to a few images: macro-F1 by `--balance`, on a test set that is not cut.

    python benchmarks/imbalance.py DATA BACKBONE WEIGHTS_DIR [--keep 10] [--seed 0 1 2] [--strategy linear]

For each seed and each class to cut in turn: 60 images of every class are the test folder, `keep` of the
cut class and all of the others are train; val is taken from train. Prints JSON with medians and ranges
over the seeds of the mean over the classes cut.
"""

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
TEST = 60
SCORES = ("macro_f1", "balanced_accuracy", "top1", "nll", "ece")


def table(data: Path, cut: str, keep: int, seed: int) -> Any:
    import pandas as pd

    random = np.random.default_rng(seed)
    rows = []
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        files = random.permutation(sorted(str(path) for path in folder.iterdir()))
        train = files[TEST:][: keep if folder.name == cut else None]
        rows += [(path, folder.name, "test") for path in files[:TEST]]
        rows += [(path, folder.name, "train") for path in train]
    return pd.DataFrame(rows, columns=["path", "label", "split"])


def one_run(images: Any, cut: str, recipe: dict[str, Any]) -> dict[str, float]:
    from transferkit.api import finetune
    from transferkit.recipe import Recipe

    with tempfile.TemporaryDirectory() as out:
        run = finetune(images, Recipe.from_mapping(recipe), out=Path(out) / "run")
        scores = run.metrics["splits"]["test"]
        recall = next(row["recall"] for row in scores["per_class"] if row["label"] == cut)
        return {name: scores[name] for name in SCORES} | {"recall_of_cut": recall}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("backbone")
    parser.add_argument("weights_dir")
    parser.add_argument("--keep", type=int, default=10)
    parser.add_argument("--seed", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--balance", nargs="*", default=["none", "auto"])
    parser.add_argument("--strategy", default="linear")
    parser.add_argument("--classes", nargs="*", help="to cut; all without")
    asked = parser.parse_args()
    classes = asked.classes or sorted(path.name for path in asked.data.iterdir() if path.is_dir())
    found: dict[str, dict[str, list[float]]] = {}
    for seed in asked.seed:
        for balance in asked.balance:
            recipe = {"backbone": asked.backbone, "weights_dir": asked.weights_dir, "seed": seed}
            recipe |= {"strategy": asked.strategy, "balance": balance}
            runs = [one_run(table(asked.data, cut, asked.keep, seed), cut, recipe) for cut in classes]
            for name in runs[0]:
                mean = statistics.mean(run[name] for run in runs)
                found.setdefault(balance, {}).setdefault(name, []).append(round(mean, 4))
    result = {
        balance: {
            name: {"median": statistics.median(values), "range": [min(values), max(values)], "seeds": values}
            for name, values in scores.items()
        }
        for balance, scores in found.items()
    }
    print(json.dumps({"cut_to": asked.keep, "classes_cut": classes, **vars_of(asked), **result}, indent=2))


def vars_of(asked: argparse.Namespace) -> dict[str, Any]:
    return {"data": asked.data.name, "backbone": asked.backbone, "strategy": asked.strategy}


if __name__ == "__main__":
    main()
