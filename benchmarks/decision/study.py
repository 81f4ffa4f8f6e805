"""Every strategy and `auto` on many data sets, amounts, backbones and seeds: test top-1 of each run.

    python benchmarks/decision/study.py RESULTS.jsonl --weights-dir DIR --backbone mobilenet_0.25:128 \
        --set flowers=FOLDER:20,100 --set satellite=FOLDER:10,50 --seed 0 1 2 [--strategy linear auto]

A set is a folder of class folders (in splits too: they are joined) and the numbers of images per class that
the tool is given: it draws val from them itself. Up to `--test` images of each class are kept apart for the
test, the same for all amounts of a seed. A line is appended for each run; runs that stand in RESULTS already are skipped, so a
study that was stopped goes on. `summary.py` reads the lines. With `--cold` each run has a cache of its own,
so that `seconds` are those of a first run; without it the bank is shared. With `--decide`, `auto` is decided
but not carried out: its line is that of the strategy it chose, which on the same images and seed is the
same run (`decided` in the line; cold runs, which are carried out, show that it is).
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
STRATEGIES = ("linear", "multistage", "finetune-top", "finetune-deep", "full", "auto")
KEY = ("set", "backbone", "image_size", "per_class", "seed", "strategy")


def table(folder: Path, per_class: int, test: int, seed: int) -> Any:
    """The manifest of a subset: `per_class` images to learn from, up to `test` of the rest to judge."""
    import pandas as pd

    random = np.random.default_rng(seed)
    rows = []
    found = [path.resolve() for path in folder.rglob("*") if path.is_file()]
    for label in sorted({path.parent.name for path in found}):
        files = random.permutation(sorted(str(path) for path in found if path.parent.name == label))
        held = min(test, len(files) // 2)
        if held + per_class > len(files):
            raise SystemExit(
                f"{folder}: {label} has {len(files)} images; with {held} kept for the test (--test) at most "
                f"{len(files) - held} can be given, and {per_class} were asked for."
            )
        rows += [(path, label, "test") for path in files[:held]]
        rows += [(path, label, "train") for path in files[held : held + per_class]]
    return pd.DataFrame(rows, columns=["path", "label", "split"])


def one_run(images: Any, recipe: dict[str, Any], keep: Path | None, cold: bool) -> dict[str, Any]:
    """Scores of one run, and what was decided in it; `keep` gets its predictions."""
    import keras

    from transferkit.api import finetune
    from transferkit.recipe import Recipe

    keras.backend.clear_session()
    with tempfile.TemporaryDirectory() as out:
        if cold:
            os.environ["TRANSFERKIT_CACHE"] = f"{out}/cache"
        started = time.perf_counter()
        run = finetune(images, Recipe.from_mapping(recipe), out=Path(out) / "run")
        metrics, plan = run.metrics, run.plan
        seconds = run.environment["seconds"]
        if keep:
            keep.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(run.folder / "predictions.csv", keep)
    return {
        "chosen": plan["strategy"],
        "quadrant": plan["quadrant"],
        "kept": metrics["kept"],
        "val": metrics["splits"]["val"]["top1"],
        "val_nll": metrics["splits"]["val"]["nll"],
        "val_images": metrics["splits"]["val"]["n"],
        "test": metrics["splits"]["test"]["top1"],
        "test_images": metrics["splits"]["test"]["n"],
        "seconds": round(time.perf_counter() - started, 2),
        "parts": {name: round(value, 2) for name, value in seconds.items()},
        "evidence": plan["evidence"],
    }


def one_decision(images: Any, case: dict[str, Any], recipe: dict[str, Any], results: Path) -> dict[str, Any]:
    """The line of the strategy that `auto` chooses, with what it was chosen by."""
    import keras

    from transferkit.api.planning import decided
    from transferkit.recipe import Recipe

    keras.backend.clear_session()
    plan = decided(images, Recipe.from_mapping(recipe))
    wanted = case | {"strategy": plan.strategy}
    lines = map(json.loads, results.read_text(encoding="utf-8").splitlines())
    found = next((line for line in lines if all(line[key] == wanted[key] for key in KEY)), None)
    if found is None:
        raise SystemExit(
            f"auto chose {plan.strategy} for {case}, and {results} has no such run: add it to --strategy, "
            "before auto."
        )
    told = {"chosen": plan.strategy, "quadrant": plan.quadrant, "evidence": json_plain(plan.evidence)}
    return found | case | told | {"decided": True}


def json_plain(values: dict[str, Any]) -> Any:
    """The values as JSON gives them back."""
    return json.loads(json.dumps(values))


def cases(asked: argparse.Namespace) -> Iterator[tuple[dict[str, Any], Path]]:
    """What is to be run, in an order that finishes a seed of everything before the next begins."""
    for seed in asked.seed:
        for backbone in asked.backbone:
            name, _, size = backbone.partition(":")
            for given in asked.set:
                title, _, rest = given.partition("=")
                folder, _, amounts = rest.rpartition(":")
                for per_class in map(int, amounts.split(",")):
                    for strategy in asked.strategy:
                        values = (title, name, int(size or 224), per_class, seed, strategy)
                        yield dict(zip(KEY, values, strict=True)), Path(folder)


def done(results: Path, key: tuple[str, ...] = KEY) -> set[tuple[Any, ...]]:
    """The keys of the runs that stand in a file of results."""
    if not results.exists():
        return set()
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    return {tuple(line[part] for part in key) for line in lines}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--weights-dir", required=True)
    parser.add_argument("--backbone", nargs="+", required=True, metavar="NAME:SIZE")
    parser.add_argument("--set", action="append", required=True, metavar="NAME=FOLDER:AMOUNTS")
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--strategy", nargs="+", default=STRATEGIES)
    parser.add_argument("--cold", action="store_true", help="a new cache for each run")
    parser.add_argument("--decide", action="store_true", help="auto by its decision, not carried out")
    parser.add_argument("--keep", type=Path, help="folder for each run's predictions.csv")
    parser.add_argument("--test", type=int, default=60, help="images of a class, at most")
    asked = parser.parse_args()
    finished = done(asked.results)
    for case, folder in cases(asked):
        if tuple(case.values()) in finished:
            continue
        images = table(folder, case["per_class"], asked.test, case["seed"])
        recipe = {key: case[key] for key in ("backbone", "image_size", "seed", "strategy")}
        named = "-".join(str(value) for value in case.values())
        keep = asked.keep / f"{named}.csv" if asked.keep else None
        recipe |= {"weights_dir": asked.weights_dir}
        if asked.decide and case["strategy"] == "auto":
            found = one_decision(images, case, recipe, asked.results)
        else:
            found = one_run(images, recipe, keep, asked.cold)
        with asked.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(case | found) + "\n")
        print(*case.values(), found["chosen"], found["kept"], f"{found['test']:.3f}", found["seconds"])


if __name__ == "__main__":
    main()
