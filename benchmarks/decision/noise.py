"""By how much a fine-tuned network was ahead on val, and what came of it on test: one line for each run.

    python benchmarks/decision/noise.py RESULTS.jsonl --weights-dir DIR --backbone mobilenet_0.25:128 \
        --set fashion=FOLDER:12 --set signs=FOLDER:12 --seed 6 7 --strategy finetune-deep
    python benchmarks/decision/noise.py RESULTS.jsonl --table

Sets and amounts are as in `study.py`. `gain` is the mean log-loss of val images by the best linear classifier less
that by the network, `se` its standard error; `val` and `test` are top-1 of both. The table says what rules that
ask for so many standard errors would have brought (points of test top-1), with those of today's candidates.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from study import cases, done, table


def seen(work: Any, new: Any, best: Any) -> dict[str, Any]:
    """How two candidates compare."""
    from transferkit.api.candidates import losses

    labels = {split: work.labels[rows] for split, rows in work.rows.items()}
    own, other = (np.array(losses(one.probabilities["val"], labels["val"])) for one in (new, best))
    gains = other - own
    found: dict[str, Any] = {"moved": new.moved, "val_images": len(gains), "gain": float(gains.mean())}
    found["se"] = float(gains.std(ddof=1) / len(gains) ** 0.5)
    for split in ("val", "test"):
        pair = [float((one.probabilities[split].argmax(1) == labels[split]).mean()) for one in (best, new)]
        found[split] = pair
    return found


def measure(asked: argparse.Namespace) -> None:
    import keras

    from transferkit.api import candidates, finetune
    from transferkit.recipe import Recipe

    finished, told, own = done(asked.results), [], candidates.beats

    def spy(work: Any, new: Any, best: Any) -> Any:
        if new.name == "fine-tuned":
            told.append(seen(work, new, best))
        return own(work, new, best)

    candidates.beats = spy
    for case, folder in cases(asked):
        if tuple(case.values()) in finished:
            continue
        keras.backend.clear_session()
        told.clear()
        images = table(folder, case["per_class"], asked.test, case["seed"])
        recipe = {key: case[key] for key in ("backbone", "image_size", "seed", "strategy")}
        with tempfile.TemporaryDirectory() as out:
            finetune(
                images,
                Recipe.from_mapping(recipe | {"weights_dir": asked.weights_dir}),
                out=Path(out) / "run",
            )
        with asked.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(case | told[-1]) + "\n")
        print(*case.values(), told[-1], flush=True)


def show(results: Path) -> None:
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    print(
        f"| standard errors that are asked for | kept of {len(lines)} | mean | worst | best |\n|---|---|---|---|---|"
    )
    for errors in (0.0, 0.5, 1.0, 1.645):
        kept = [
            one
            for one in lines
            if one["moved"] and one["val"][1] >= one["val"][0] and one["gain"] > errors * one["se"]
        ]
        points = [100 * (one["test"][1] - one["test"][0]) for one in kept]
        every = [*points, *[0.0] * (len(lines) - len(kept))]
        print(f"| {errors:g} | {len(kept)} | {np.mean(every):+.2f} | {min(every):+.1f} | {max(every):+.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--table", action="store_true", help="only show what is there")
    parser.add_argument("--weights-dir")
    parser.add_argument("--backbone", nargs="+", default=["mobilenet_0.25:128"], metavar="NAME:SIZE")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=FOLDER:AMOUNTS")
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--strategy", nargs="+", default=["finetune-deep"])
    parser.add_argument("--test", type=int, default=60, help="images of a class, at most")
    asked = parser.parse_args()
    if not asked.table:
        measure(asked)
    show(asked.results)


if __name__ == "__main__":
    main()
