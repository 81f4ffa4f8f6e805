"""Which linear classifier on which features of the bank: test top-1 of each and of what is chosen.

    python benchmarks/decision/linear.py RESULTS.jsonl --weights-dir DIR --backbone mobilenet_0.25:224 \
        --set flowers=FOLDER --set satellite=FOLDER --per-class 5 10 20 50 --seed 0 1 2
    python benchmarks/decision/linear.py --table RESULTS.jsonl > TABLES.md

A folder is data as `transferkit finetune` takes it, one class an image. For each draw so many images of each
class are learned from and up to `--test` of the others judge; where the folder has parts, those are drawn from
`train` and all the rest judges. A set that has too few images for an amount is left out there. Everything is
chosen by 5-fold cross-validation on what is learned from, the strength of a logistic regression too: where a
run has val for that, here is none. A line is appended for each draw; draws that stand in RESULTS are skipped.
Banks are kept in the cache (`TRANSFERKIT_CACHE`).
"""

import argparse
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
KEY = ("set", "backbone", "image_size", "per_class", "seed")
# A class keeps so many images to judge by, or half of what it has.
LEAST_TEST = 15
PLAIN, BEST = "plain logistic regression, means of the last stage", "best of these in hindsight"
SHIPS = ("linear", "multistage")


def drawn(
    files: Any, labels: np.ndarray, *, per_class: int, test: int, seed: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Rows to learn from and rows to judge; None where the median class has too few."""
    rng = np.random.default_rng(seed)
    given = (files["split"] != "").to_numpy()
    in_train = (~given | (files["split"] == "train")).to_numpy()
    train, judge, sizes = [], [], []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero((labels == label) & in_train))
        most = len(rows) if given.any() else max(len(rows) // 2, len(rows) - LEAST_TEST)
        learned, rest = np.split(rows, [min(per_class, most)])
        sizes.append(most)
        train.append(learned)
        judge.append(np.flatnonzero((labels == label) & ~in_train) if given.any() else rest[:test])
    if np.median(sizes) < per_class:
        return None
    return np.concatenate(train), np.concatenate(judge)


def top1(bank: Any, taken: Any, *, sample: Any, judge: tuple[np.ndarray, np.ndarray]) -> float:
    """Of the classifier that was taken, fitted on the whole sample, on (rows, labels)."""
    from transferkit.training.choosing import scaling_of
    from transferkit.training.discriminant import fit_discriminant
    from transferkit.training.logistic import Regression, rotate

    features = bank.at(taken.features, sample.rows)
    scaling = scaling_of(features, bank.block_widths(taken.features), taken.features)
    if taken.method == "discriminant":
        fitted = fit_discriminant(
            features, sample.labels, sample.classes, shrinkage=taken.strength, scaling=scaling
        )
        kernel, bias = fitted.kernel, fitted.bias
    else:
        rotated, axes = rotate(scaling.apply(features))
        first = np.zeros((rotated.shape[1] + 1, sample.classes))
        problem = Regression(rotated, sample.labels, sample.classes, None)
        weights = problem.solve(taken.strength, first, tolerance=1e-6)
        kernel, bias = scaling.folded(axes @ weights[:-1], weights[-1])
    rows, labels = judge
    return float(np.mean((bank.at(taken.features, rows) @ kernel + bias).argmax(axis=1) == labels))


def title(features: Any, stages: int) -> str:
    """A discriminant on some features, in the same words for every backbone."""
    count = len(features.stages)
    last = "all stages" if count == stages else f"the last {count} stages" if count > 1 else "the last stage"
    return f"discriminant, {', '.join(features.kinds)} of {last}"


def judged(bank: Any, sample: Any, *, judge: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    """Test top-1 by name of the classifier, and what the strategies chose."""
    from threadpoolctl import threadpool_limits

    from transferkit.strategies import STRATEGIES, FeatureSet, Setting
    from transferkit.training.choosing import choose_classifier

    stages = tuple(bank.widths)
    setting = Setting(stages=stages, train_images=len(sample.rows), classes=sample.classes)
    phases = {name: STRATEGIES[name](setting)[-1] for name in SHIPS}
    offered = {one: None for phase in phases.values() for one in phase.choices}
    asked: dict[str, tuple[Sequence[Any], Sequence[str]]] = {
        PLAIN: ([FeatureSet(stages=stages[-1:])], ("logistic",))
    }
    asked |= {title(one, len(stages)): ([one], ("discriminant",)) for one in offered}
    asked |= {name: (phase.choices, phase.classifiers) for name, phase in phases.items()}
    scores, chosen = {}, {}
    with threadpool_limits(1, user_api="blas"):  # see `fit_linear`
        for name, (choices, methods) in asked.items():
            taken = choose_classifier(bank, sample, choices, methods)[0]
            scores[name] = round(top1(bank, taken, sample=sample, judge=judge), 5)
            if name in SHIPS:
                chosen[name] = f"{taken.method}, {taken.features.name}"
    return {"top1": scores, "chosen": chosen}


def opened(folder: Path, extractor: Any) -> tuple[Any, Any]:
    """Index and bank of a folder; what cannot be decoded is in neither."""
    from transferkit.api.inputs import open_data
    from transferkit.data.examine import examine
    from transferkit.timing import Stopwatch
    from transferkit.training.bank import pooled_bank

    index = examine(open_data(folder), extractor.cache).usable
    bank = pooled_bank(extractor, index, Stopwatch())
    kept = np.flatnonzero(~index.files["path"].isin(bank.failed.keys()))
    index = index.without(bank.failed)
    if index.multilabel:
        raise SystemExit(f"{folder}: images of several classes are not for a discriminant.")
    return index, bank.keep(kept)


def started(backbone: str, weights_dir: Path | None, weights: str = "imagenet") -> Any:
    """The extractor of `NAME:SIZE` with its ImageNet weights, or others as a recipe names them."""
    from transferkit.api.inputs import start
    from transferkit.backbone.catalogue import lookup
    from transferkit.backbone.weights import resolve
    from transferkit.recipe import Recipe

    name, _, size = backbone.partition(":")
    spec = lookup(name)
    asked = {"backbone": name, "image_size": int(size or spec.image_size), "weights": weights}
    return start(spec, resolve(spec, weights, weights_dir), Recipe.from_mapping(asked), "crop")[1]


def draws(asked: argparse.Namespace, done: set[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """A line for each draw that is not done."""
    from transferkit.data.splits import fold_numbers
    from transferkit.training.choosing import FOLDS
    from transferkit.training.sample import Sample

    for backbone in asked.backbone:
        extractor = started(backbone, asked.weights_dir)
        place = (backbone.partition(":")[0], extractor.policy.size_px)
        for name, _, folder in (given.partition("=") for given in asked.set):
            index, bank = opened(Path(folder), extractor)
            classes = {label: number for number, label in enumerate(index.labels)}
            labels = index.targets(classes, len(classes))
            for seed, per_class in itertools.product(asked.seed, asked.per_class):
                key = dict(zip(KEY, (name, *place, per_class, seed), strict=True))
                parts = drawn(index.files, labels, per_class=per_class, test=asked.test, seed=seed)
                if parts is None or tuple(key.values()) in done:
                    continue
                rows, others = parts
                folds = fold_numbers(index.files.iloc[rows], FOLDS, seed)
                sample = Sample(rows=rows, labels=labels[rows], folds=folds)
                found = judged(bank, sample, judge=(others, labels[others]))
                yield key | {"train_images": len(rows), "test_images": len(others)} | found


def markdown(head: str, table: Any) -> str:
    """Rows and columns of points; empty where nothing was measured."""
    lines = [f"| {' | '.join([head, *map(str, table.columns)])} |", "|---" * (len(table.columns) + 1) + "|"]
    for name, row in table.iterrows():
        cells = ["" if np.isnan(value) else f"{value:.1f}" for value in row]
        lines.append(f"| {' | '.join([str(name), *cells])} |")
    return "\n".join(lines)


def tables(lines: list[dict[str, Any]]) -> str:
    """By set, by images per class, and what several stages gain, in Markdown."""
    import pandas as pd

    index = pd.MultiIndex.from_tuples([tuple(line[key] for key in KEY) for line in lines], names=KEY)
    scores = 100 * pd.DataFrame([line["top1"] for line in lines], index=index)
    scores[BEST] = scores.max(axis=1)
    by_set = scores.groupby("set").mean().T
    by_set["mean"] = scores.mean()
    parts = [f"Test top-1 in percent, means of {len(lines)} draws.", markdown("by set", by_set)]
    parts.append(markdown("by images per class", scores.groupby("per_class").mean().T))
    for other in ("linear", PLAIN):
        gain = (scores["multistage"] - scores[other]).groupby(["set", "per_class"]).mean().unstack()
        parts.append(markdown(f"multistage less {other}, points", gain))
    return "\n\n".join(parts)


def read(results: Path) -> list[dict[str, Any]]:
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]


def keep(results: Path, lines: Iterable[dict[str, Any]], words: Callable[[dict[str, Any]], str]) -> None:
    """Append each line as it comes, and print what `words` says of it."""
    for line in lines:
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(words(line), flush=True)


def told(line: dict[str, Any]) -> str:
    ships = ", ".join(f"{name} {line['top1'][name]:.3f}" for name in SHIPS)
    return " ".join(map(str, [*(line[key] for key in KEY), ships]))


def options(words: str | None, per_class: list[int]) -> argparse.ArgumentParser:
    """What studies on banks take: where lines are kept, networks, sets, amounts and seeds.

    Args:
        words: of the script that is asked for help.
        per_class: amounts where none are given.
    """
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--table", action="store_true", help="print the tables of RESULTS")
    parser.add_argument("--weights-dir", type=Path)
    parser.add_argument("--backbone", nargs="+", default=[], metavar="NAME:SIZE")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--per-class", nargs="+", type=int, default=per_class)
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2])
    return parser


def carry_out(
    parser: argparse.ArgumentParser,
    draws: Callable[[argparse.Namespace, set[tuple[Any, ...]]], Iterable[dict[str, Any]]],
    tables: Callable[[list[dict[str, Any]]], str],
    words: Callable[[dict[str, Any]], str],
) -> None:
    """Print the tables of what is kept, or keep a line for each draw that is not."""
    asked = parser.parse_args()
    lines = read(asked.results)
    if asked.table:
        if not lines:
            parser.error(f"{asked.results}: no lines.")
        print(tables(lines))
        return
    if not (asked.weights_dir and asked.backbone and asked.set):
        parser.error("--weights-dir, --backbone and --set are needed, or --table.")
    keep(asked.results, draws(asked, {tuple(line[key] for key in KEY) for line in lines}), words)


def main() -> None:
    parser = options(__doc__, [5, 10, 20, 50])
    parser.add_argument("--test", type=int, default=60, help="images of a class, at most")
    carry_out(parser, draws, tables, told)


if __name__ == "__main__":
    main()
