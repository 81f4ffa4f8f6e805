"""Which epoch of a fine-tuning phase should be kept: rules compared on val and test of every epoch.

    python benchmarks/decision/epochs.py FOLDER --weights-dir DIR --backbone mobilenet_0.25:128 \
        --set flowers=FOLDER:12,40 --seed 0 [--strategy finetune-top]
    python benchmarks/decision/epochs.py FOLDER --table

The first form leaves a file for each phase in FOLDER (those that are there are skipped), the second prints,
for each rule, points of test top-1 that the kept epoch lies above the start. Sets, amounts and images as
in `study.py`.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from study import cases, table

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def watched(recipe: dict[str, Any], images: Any) -> dict[str, np.ndarray]:
    """Probabilities `(epochs + 1, N, C)` of val and test, the start first; of blends; and the labels."""
    import keras

    from transferkit.api import candidates, finetune, tuned_candidates
    from transferkit.recipe import Recipe
    from transferkit.training import blending, phases

    keras.backend.clear_session()
    found: dict[str, Any] = {"val": [], "test": [], "blends_val": [], "blends_test": []}
    measure, tuned = phases.measure, tuned_candidates.tuned_candidate

    def watching(name: str) -> Callable[[Any, np.ndarray], Any]:
        def measured(job: Any, rows: np.ndarray) -> Any:
            told = measure(job, rows)
            if rows is job.val:
                found[f"{name}val"].append(told[0])
                found[f"{name}test"].append(measure(job, found["rows"])[0])
            return told

        return measured

    def start(work: Any, *arguments: Any) -> Any:
        found["rows"] = work.rows["test"]
        found["labels_val"], found["labels_test"] = (work.labels[work.rows[s]] for s in ("val", "test"))
        return tuned(work, *arguments)

    phases.measure, blending.measure = watching(""), watching("blends_")
    candidates.tuned_candidate = start
    try:
        with tempfile.TemporaryDirectory() as out:
            finetune(images, Recipe.from_mapping(recipe), out=Path(out) / "run")
    finally:
        phases.measure = blending.measure = measure
        candidates.tuned_candidate = tuned
    return {name: np.asarray(values) for name, values in found.items()}


def rules(found: Any) -> dict[str, int]:
    """The epoch that each rule keeps; 0 is the start."""
    from transferkit.training.linear import score
    from transferkit.training.stopping import Standing, best_epoch, smoothed

    labels = found["labels_val"]
    top1, loss = np.array([score(each, labels) for each in found["val"]]).T
    smooth = np.concatenate([loss[:1], smoothed(loss[1:].tolist(), 0.5)])
    standings = [Standing(*pair) for pair in zip(top1, smooth, strict=True)]

    def lowest(allowed: Callable[[int], bool]) -> int:
        return min(filter(allowed, range(1, len(top1))), key=lambda epoch: smooth[epoch], default=0)

    return {
        "an epoch by the rule for epochs": best_epoch(standings[0], standings[1:], len(labels), ranked=False),
        "top-1, then loss, beats the start": lowest(lambda e: standings[e].score > standings[0].score),
        "lower loss than the start": lowest(lambda e: smooth[e] < smooth[0]),
        "lowest loss": lowest(lambda e: True),
        "last": len(top1) - 1,
        "best on test, in hindsight": int(np.argmax(_test(found))),
    }


def _with_blends(found: Any) -> float:
    """Test top-1 of what is kept now: of blends that beat the start the lowest val loss, else an epoch's."""
    from transferkit.training.linear import score
    from transferkit.training.stopping import Standing, beats

    labels = found["labels_val"]
    start = Standing(*score(found["val"][0], labels))
    best, test = np.inf, _test(found)[rules(found)["an epoch by the rule for epochs"]]
    for val, of_test in zip(found["blends_val"], _test(found, "blends_test"), strict=True):
        new = Standing(*score(val, labels))
        if beats(new, start, len(labels), ranked=False) and new.loss < best:
            best, test = new.loss, of_test
    return float(test)


def _test(found: Any, which: str = "test") -> np.ndarray:
    return 100 * np.mean(found[which].argmax(-1) == found["labels_test"], axis=-1)


def tell(folder: Path) -> None:
    """Print each rule's mean and worst gain over the start."""
    gains: dict[str, list[float]] = {}
    for file in sorted(folder.glob("*.npz")):
        found = np.load(file)
        test = _test(found)
        for rule, epoch in rules(found).items():
            gains.setdefault(rule, []).append(test[epoch] - test[0])
        gains.setdefault("a blend, else that (kept now)", []).append(_with_blends(found) - test[0])
    print(f"{len(next(iter(gains.values())))} phases\n\n| kept | mean | worst | best |\n|---|---|---|---|")
    for rule, each in gains.items():
        print(f"| {rule} | {np.mean(each):+.2f} | {min(each):+.1f} | {max(each):+.1f} |")


def main() -> None:
    """Watch phases, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--weights-dir")
    parser.add_argument("--backbone", nargs="+", default=[], metavar="NAME:SIZE")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=FOLDER:AMOUNTS")
    parser.add_argument("--seed", nargs="+", type=int, default=[0])
    parser.add_argument("--strategy", nargs="+", default=["finetune-top"])
    parser.add_argument("--test", type=int, default=60, help="images of a class, at most")
    asked = parser.parse_args()
    if asked.table:
        return tell(asked.folder)
    asked.folder.mkdir(parents=True, exist_ok=True)
    for case, images_in in cases(asked):
        told = ("set", "backbone", "per_class", "seed", "strategy")
        file = asked.folder / f"{'-'.join(str(case[key]) for key in told)}.npz"
        if file.exists():
            continue
        images = table(images_in, case["per_class"], asked.test, case["seed"])
        recipe = {key: case[key] for key in ("backbone", "image_size", "seed", "strategy")}
        np.savez_compressed(file, **watched(recipe | {"weights_dir": asked.weights_dir}, images))
        print(file.name, flush=True)


if __name__ == "__main__":
    main()
