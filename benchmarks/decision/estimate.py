"""What `plan` says a run takes, beside what the run takes: seconds and peak memory, caches cold.

    python benchmarks/decision/estimate.py RESULTS.jsonl --weights-dir DIR --backbone mobilenet_0.25:128 \
        --set flowers=FOLDER:40 --seed 0 --strategy linear finetune-top
    python benchmarks/decision/estimate.py RESULTS.jsonl --table

Sets, amounts and images as in `study.py`. Plan and run are each a process of their own with a cache of its
own, as a user starts them; a line is appended for each pair. Seconds are those of the run's report, which
begin when the program stands.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from study import KEY, cases, done, table


def child(images: Path, asked: dict[str, Any], what: str, cache: str) -> dict[str, Any]:
    """`plan` or `finetune` in a process of its own: what `told` prints there."""
    command = [sys.executable, __file__, "--child", what, json.dumps(asked), str(images)]
    environment = os.environ | {"TRANSFERKIT_CACHE": cache, "TF_CPP_MIN_LOG_LEVEL": "3"}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def told(what: str, asked: dict[str, Any], images: str) -> dict[str, Any]:
    """In the child: seconds and bytes, as estimated or as they were."""
    import transferkit as tk
    from transferkit.allocation import keep_memory

    keep_memory()  # as the commands do

    if what == "plan":
        found = tk.plan(images, **asked)
        total = found.estimate.total
        return {"expected": total.expected, "at_most": total.at_most, "memory": found.estimate.peak}
    with tempfile.TemporaryDirectory() as out:
        seconds = tk.finetune(images, out=Path(out) / "run", **asked).report.numbers.seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"total": seconds["total"], "memory": peak, "parts": seconds}


def pair(case: dict[str, Any], folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """A line: the estimate and the run."""
    recipe = {part: case[part] for part in ("backbone", "image_size", "seed", "strategy")}
    recipe |= {"weights_dir": asked.weights_dir}
    with tempfile.TemporaryDirectory() as place:
        images = Path(place) / "images.csv"
        table(folder, case["per_class"], asked.test, case["seed"]).to_csv(images, index=False)
        found = {what: child(images, recipe, what, f"{place}/{what}") for what in ("plan", "run")}
    return case | found


def show(results: Path) -> None:
    """A row for each line."""
    print("| set | backbone | per class | strategy | expected, s | at most | took | memory told, MB | was |")
    print("|---|---|---|---|---|---|---|---|---|")
    for text in results.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        plan, run = line["plan"], line["run"]
        network = f"{line['backbone']}:{line['image_size']}"
        seconds = f"{plan['expected']:.0f} | {plan['at_most']:.0f} | {run['total']:.0f}"
        memory = f"{plan['memory'] / 1e6:.0f} | {run['memory'] / 1e6:.0f}"
        print(
            f"| {line['set']} | {network} | {line['per_class']} | {line['strategy']} | {seconds} | {memory} |"
        )


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        _, _, what, recipe, images = sys.argv
        print(json.dumps(told(what, json.loads(recipe), images)))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--weights-dir")
    parser.add_argument("--backbone", nargs="+", default=["mobilenet_0.25:128"], metavar="NAME:SIZE")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=FOLDER:AMOUNTS")
    parser.add_argument("--seed", nargs="+", type=int, default=[0])
    parser.add_argument("--strategy", nargs="+", default=["linear", "finetune-top"])
    parser.add_argument("--test", type=int, default=60, help="images of a class, at most")
    asked = parser.parse_args()
    if not asked.table:
        finished = done(asked.results, KEY)
        for case, folder in cases(asked):
            if tuple(case[part] for part in KEY) not in finished:
                line = pair(case, folder, asked)
                with asked.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
    show(asked.results)


if __name__ == "__main__":
    main()
