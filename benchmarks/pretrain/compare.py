"""What pretraining on drawn pictures is worth: its features against random and ImageNet's, and against pixels.

    python benchmarks/pretrain/compare.py RESULTS.jsonl --backbone mobilenet_0.25:128 --weights-dir DIR \
        --weights drawn=OUT/backbone.weights.h5 random=none imagenet=imagenet \
        --set flowers=FOLDER --per-class 10 50 100 --seed 0 1 2
    python benchmarks/pretrain/compare.py RESULTS.jsonl --table

Draws and classifiers are those of `benchmarks/decision/linear.py`: everything is chosen by cross-validation
on what is learned from. `pixels` are 16 x 16 of them, logistic regression, its strength chosen likewise.
A line is appended for each set, draw and kind of features; those that stand in RESULTS are skipped.
"""

import argparse
import hashlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "decision"))
from linear import drawn, keep, opened, read, started, top1

KEY = ("set", "features", "backbone", "weights", "test", "per_class", "seed")
SIDE = 16


def of_network(bank: Any, sample: Any, judge: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    """Test top-1 of `multistage`'s choice, and of the discriminant on means of the last stage."""
    from threadpoolctl import threadpool_limits

    from transferkit.strategies import STRATEGIES, FeatureSet, Setting
    from transferkit.training.choosing import choose_classifier

    stages = tuple(bank.widths)
    setting = Setting(stages=stages, train_images=len(sample.rows), classes=sample.classes)
    phase = STRATEGIES["multistage"](setting)[-1]
    with threadpool_limits(1, user_api="blas"):
        best = choose_classifier(bank, sample, phase.choices, phase.classifiers)[0]
        last = choose_classifier(bank, sample, [FeatureSet(stages=stages[-1:])], ("discriminant",))[0]
        return {
            "multistage": top1(bank, best, sample=sample, judge=judge),
            "last": top1(bank, last, sample=sample, judge=judge),
        }


def of_pixels(pixels: np.ndarray, sample: Any, judge: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    """Test top-1 of logistic regression on standardised pixels, its strength by 5-fold cross-validation."""
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(
        StandardScaler(), LogisticRegressionCV(Cs=np.logspace(-5, 0, 6), cv=5, max_iter=500)
    )
    model.fit(pixels[sample.rows], sample.labels)
    return {"multistage": float(np.mean(model.predict(pixels[judge[0]]) == judge[1]))}


def pixels_of(index: Any) -> np.ndarray:
    """`(N, 16 * 16 * 3)` of the images of an index."""
    from transferkit.data.decode import DecodePolicy, decode

    policy = DecodePolicy(size_px=SIDE)
    paths = [index.root / path for path in index.files["path"]]
    return np.stack([decode(path, policy).reshape(-1) for path in paths]).astype(np.float32)


def digest(weights: str) -> str:
    """The first digits of a file's SHA-256; `imagenet` and `none` as they are."""
    file = Path(weights)
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12] if file.is_file() else weights


def draws(asked: argparse.Namespace, done: set[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """A line for each set, draw and kind of features that is not done."""
    from transferkit.data.splits import fold_numbers
    from transferkit.training.choosing import FOLDS
    from transferkit.training.sample import Sample

    kinds = dict(given.split("=", 1) for given in asked.weights)
    for features, weights in kinds.items():
        extractor = started(asked.backbone, asked.weights_dir, weights)
        for name, _, folder in (given.partition("=") for given in asked.set):
            index, bank = opened(Path(folder), extractor)
            pixels = pixels_of(index) if features == next(iter(kinds)) else None
            classes = {label: number for number, label in enumerate(index.labels)}
            labels = index.targets(classes, len(classes))
            for seed, per_class in itertools.product(asked.seed, asked.per_class):
                parts = drawn(index.files, labels, per_class=per_class, test=asked.test, seed=seed)
                if parts is None:
                    continue
                rows, others = parts
                folds = fold_numbers(index.files.iloc[rows], FOLDS, seed)
                sample, judge = Sample(rows=rows, labels=labels[rows], folds=folds), (others, labels[others])
                values = (name, features, asked.backbone, digest(weights), asked.test, per_class, seed)
                key = dict(zip(KEY, values, strict=True))
                if tuple(key.values()) not in done:
                    yield key | {"top1": of_network(bank, sample, judge)}
                key |= {"features": "pixels", "backbone": "", "weights": ""}
                if pixels is not None and tuple(key.values()) not in done:
                    yield key | {"top1": of_pixels(pixels, sample, judge)}


def table(lines: list[dict[str, Any]]) -> str:
    """Median (range) over the seeds of each set, amount and kind of features, in percent."""
    kinds = list(dict.fromkeys(line["features"] for line in lines))
    cells: dict[tuple[str, int], dict[str, list[float]]] = {}
    for line in lines:
        row = cells.setdefault((line["set"], line["per_class"]), {})
        row.setdefault(line["features"], []).append(100 * line["top1"]["multistage"])
    rows = [f"| set | per class | {' | '.join(kinds)} |", "|---" * (len(kinds) + 2) + "|"]
    for (name, per_class), row in sorted(cells.items()):
        each = [
            f"{np.median(row[kind]):.1f} ({min(row[kind]):.1f}-{max(row[kind]):.1f})" if kind in row else ""
            for kind in kinds
        ]
        rows.append(f"| {name} | {per_class} | {' | '.join(each)} |")
    return "\n".join(rows)


def told(line: dict[str, Any]) -> str:
    scores = ", ".join(f"{name} {one:.3f}" for name, one in line["top1"].items())
    return " ".join(str(one) for one in [*(line[key] for key in KEY), scores] if one)


def main() -> None:
    """Compare, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--table", action="store_true", help="print the table of RESULTS")
    parser.add_argument("--backbone", metavar="NAME:SIZE")
    parser.add_argument("--weights-dir", type=Path)
    parser.add_argument("--weights", nargs="+", default=[], metavar="FEATURES=imagenet|none|FILE")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--per-class", nargs="+", type=int, default=[10, 50, 100])
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--test", type=int, default=60, help="images of a class, at most")
    asked = parser.parse_args()
    lines = read(asked.results)
    if asked.table:
        print(table(lines))
        return
    if not (asked.backbone and asked.weights and asked.set):
        parser.error("--backbone, --weights and --set are needed, or --table.")
    keep(asked.results, draws(asked, {tuple(line[key] for key in KEY) for line in lines}), told)


if __name__ == "__main__":
    main()
