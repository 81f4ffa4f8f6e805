"""The study's lines as tables: test top-1 of each strategy, and the regret of `auto`.

    python benchmarks/decision/summary.py RESULTS.jsonl... > SUMMARY.md

The regret of a run is the best strategy's test top-1 on the same images and seed less its own. The best
of several noisy figures is too high by itself, so the regret of the best *fixed* choice per set and
amount (median over seeds) stands beside it.
"""

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

FIXED = ("linear", "multistage", "finetune-top", "finetune-deep", "full")
ALL = (*FIXED, "auto")
Cell = tuple[str, str, int, int]


def read(paths: list[str]) -> dict[Cell, dict[int, dict[str, Any]]]:
    """Cell (set, backbone, image size, images per class) to seed to strategy to its line."""
    found: dict[Cell, dict[int, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for path in paths:
        for text in Path(path).read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            cell = (line["set"], line["backbone"], line["image_size"], line["per_class"])
            found[cell][line["seed"]][line["strategy"]] = line
    return found


def complete(cells: dict[Cell, dict[int, dict[str, Any]]]) -> dict[Cell, list[dict[str, Any]]]:
    """The seeds of each cell for which every strategy was run."""
    whole = {
        cell: [runs for _, runs in sorted(seeds.items()) if set(ALL) <= set(runs)]
        for cell, seeds in cells.items()
    }
    return {cell: runs for cell, runs in whole.items() if runs}


def regrets(runs: list[dict[str, Any]], strategy: str) -> list[float]:
    """Points that a strategy lies behind the best fixed one, a value a seed; below zero where ahead."""
    return [100 * (max(run[name]["test"] for name in FIXED) - run[strategy]["test"]) for run in runs]


def row(cell: Cell, runs: list[dict[str, Any]]) -> str:
    tests = {name: [run[name]["test"] for run in runs] for name in ALL}
    shown = [
        f"{statistics.median(found):.3f} ({min(found):.3f}-{max(found):.3f})" for found in tests.values()
    ]
    chosen = "/".join(sorted({run["auto"]["chosen"] for run in runs}))
    regret = statistics.mean(regrets(runs, "auto"))
    name, backbone, size, per_class = cell
    cells = [name, f"{backbone} {size}", str(per_class), *shown, chosen, f"{regret:+.1f}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    cells = complete(read(sys.argv[1:]))
    head = ["set", "backbone", "per class", *ALL, "auto chose", "regret"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for cell in sorted(cells):
        print(row(cell, cells[cell]))
    print("\n| strategy | mean regret | worst cell | worst run | mean test |\n|---|---|---|---|---|")
    for name in ALL:
        by_cell = [regrets(runs, name) for runs in cells.values()]
        mean = statistics.mean(statistics.mean(found) for found in by_cell)
        worst = max(statistics.mean(found) for found in by_cell)
        single = max(max(found) for found in by_cell)
        test = statistics.mean(statistics.mean(run[name]["test"] for run in runs) for runs in cells.values())
        print(f"| {name} | {mean:.2f} | {worst:.1f} | {single:.1f} | {test:.4f} |")


if __name__ == "__main__":
    main()
