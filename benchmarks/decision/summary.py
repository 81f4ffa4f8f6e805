"""The study's lines as tables: test top-1 of each strategy, the regret of `auto`, and what it costs.

    python benchmarks/decision/summary.py RESULTS.jsonl... [--seed 3 4 5] [--redecide] [--cold COLD.jsonl...] > SUMMARY.md

The regret of a run is the best strategy's test top-1 on the same images less its own. The best of several
noisy figures is too high by itself, so each cell's regret against the one strategy that was best there over
all seeds stands beside it. The cost is the seconds of `auto` by those of the strategy it chose, in runs
with caches of their own (`study.py --cold`) and without the start of the program. With `--redecide` the rules
of today choose from the evidence that each run of `auto` kept, and its line is that of the strategy they
choose: on the same images and seed it is the same run.
"""

import argparse
import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

FIXED = ("linear", "multistage", "finetune-top", "finetune-deep", "full")
ALL = (*FIXED, "auto")
Cell = tuple[str, str, int, int]
Runs = dict[str, dict[str, Any]]


def read(paths: list[Path]) -> dict[Cell, dict[int, Runs]]:
    """Cell (set, backbone, image size, images per class) to seed to strategy to its line."""
    found: dict[Cell, dict[int, Runs]] = defaultdict(lambda: defaultdict(dict))
    for path in paths:
        for text in path.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            cell = (line["set"], line["backbone"], line["image_size"], line["per_class"])
            found[cell][line["seed"]][line["strategy"]] = line
    return found


def redecided(seeds: dict[int, Runs]) -> dict[int, Runs]:
    """The lines of a cell with those of `auto` by the rules of today."""
    from transferkit.strategies.evidence import Evidence
    from transferkit.strategies.matrix import place

    found = {}
    for seed, runs in seeds.items():
        if not set(ALL) <= set(runs):
            continue
        known = runs["auto"]["evidence"]
        cell = place(
            similarity=None,
            amount=None,
            per_class=known["train_images_per_class_median"],
            images=known["train_images"],
            evidence=Evidence(**known["measured"]),
        )
        found[seed] = runs | {"auto": runs[cell.strategy] | {"chosen": cell.strategy}}
    return found


def complete(cells: dict[Cell, dict[int, Runs]]) -> dict[Cell, list[Runs]]:
    """The seeds of each cell for which every strategy was run."""
    whole = {
        cell: [runs for _, runs in sorted(seeds.items()) if set(ALL) <= set(runs)]
        for cell, seeds in cells.items()
    }
    return {cell: runs for cell, runs in whole.items() if runs}


def tests(runs: list[Runs], strategy: str) -> list[float]:
    """Test top-1 in percent, a value a seed."""
    return [100 * run[strategy]["test"] for run in runs]


def regrets(runs: list[Runs], strategy: str) -> list[float]:
    """Points that a strategy lies behind the best fixed one of the same seed; below zero where ahead."""
    best = [max(each) for each in zip(*(tests(runs, name) for name in FIXED), strict=True)]
    return [top - own for top, own in zip(best, tests(runs, strategy), strict=True)]


def fixed_regret(runs: list[Runs], strategy: str) -> float:
    """Points that a strategy's mean lies behind that of the one strategy that was best in the cell."""
    return max(statistics.mean(tests(runs, name)) for name in FIXED) - statistics.mean(tests(runs, strategy))


def row(cell: Cell, runs: list[Runs]) -> str:
    """A cell's line: median and range of test top-1, what `auto` chose and kept, both regrets."""
    shown = []
    for name in ALL:
        found = tests(runs, name)
        shown.append(f"{statistics.median(found):.1f} ({min(found):.1f}-{max(found):.1f})")
    chosen = "/".join(sorted({run["auto"]["chosen"] for run in runs}))
    kept = "/".join(run["auto"]["kept"] for run in runs)
    lost = [f"{each:+.1f}" for each in (statistics.mean(regrets(runs, "auto")), fixed_regret(runs, "auto"))]
    name, backbone, size, per_class = cell
    cells = [name, f"{backbone} {size}", str(per_class), *shown, chosen, kept, *lost]
    return f"| {' | '.join(cells)} |"


def strategies(cells: dict[Cell, list[Runs]]) -> list[str]:
    """A line for each strategy over all cells, which count alike."""
    columns = ["strategy", "mean test", "mean regret", "worst cell", "worst run"]
    columns += ["mean regret to the fixed best", "worst cell"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name in ALL:
        own = [statistics.mean(regrets(runs, name)) for runs in cells.values()]
        fixed = [fixed_regret(runs, name) for runs in cells.values()]
        test = statistics.mean(statistics.mean(tests(runs, name)) for runs in cells.values())
        run = max(max(regrets(runs, name)) for runs in cells.values())
        figures = (statistics.mean(own), max(own), run, statistics.mean(fixed), max(fixed))
        lines.append(f"| {name} | {test:.2f} | {' | '.join(f'{each:.2f}' for each in figures)} |")
    return lines


def costs(cells: dict[Cell, dict[int, Runs]]) -> list[str]:
    """Seconds of `auto` by those of the strategy it chose."""
    ratios = []
    for seeds in cells.values():
        for runs in seeds.values():
            other = runs.get(runs["auto"]["chosen"]) if "auto" in runs else None
            if other:
                ratios.append(_work(runs["auto"]) / _work(other))
    if not ratios:
        return []
    middle = statistics.median(ratios)
    return [
        f"Cost of auto by that of the strategy it chose, {len(ratios)} pairs of cold runs: median {middle:.2f} "
        f"({min(ratios):.2f}-{max(ratios):.2f})."
    ]


def _work(line: dict[str, Any]) -> float:
    return float(line["parts"]["total"] - line["parts"]["startup"])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--cold", nargs="+", type=Path, default=[])
    parser.add_argument("--redecide", action="store_true", help="by the rules of today")
    parser.add_argument("--seed", nargs="+", type=int, help="these alone")
    asked = parser.parse_args()
    lines = read(asked.results)
    if asked.seed:
        lines = {
            cell: {seed: runs for seed, runs in seeds.items() if seed in asked.seed}
            for cell, seeds in lines.items()
        }
    if asked.redecide:
        lines = {cell: redecided(seeds) for cell, seeds in lines.items()}
    cells = complete(lines)
    if not cells:
        raise SystemExit(f"no set was run with each of {', '.join(ALL)}: nothing to compare")
    columns = ["set", "backbone", "per class", *ALL, "auto chose", "kept", "regret", "to the fixed best"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    print(*(row(cell, runs) for cell, runs in sorted(cells.items())), sep="\n")
    print("", *strategies(cells), "", *costs(read(asked.cold)), sep="\n")


if __name__ == "__main__":
    main()
