"""Augmentation policies against each other: test top-1 of each strategy on the same images.

    python benchmarks/augmentation/policies.py RESULTS.jsonl --weights-dir DIR --backbone mobilenet_0.25:128 \
        --set flowers=FOLDER:10,50,100 --set signs=FOLDER:10,50,100 --seed 0 1 2 \
        --policy none light standard strong auto --strategy linear finetune-top
    python benchmarks/augmentation/policies.py RESULTS.jsonl --table

Sets, amounts and what is kept apart for the test are as in `benchmarks/decision/study.py`; a line is
appended for each run, and runs that stand in RESULTS are skipped.
"""

import argparse
import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "decision"))

from study import KEY, cases, done, one_run, table

POLICIES = ("none", "light", "standard", "strong", "auto")


def measure(asked: argparse.Namespace) -> None:
    """Run what is not in RESULTS yet."""
    key = (*KEY, "policy")
    finished = done(asked.results, key)
    for case, folder in cases(asked):
        images = table(folder, case["per_class"], asked.test, case["seed"])
        for policy in asked.policy:
            named = case | {"policy": policy}
            if tuple(named[part] for part in key) in finished:
                continue
            recipe = {part: case[part] for part in ("backbone", "image_size", "seed", "strategy")}
            recipe |= {"weights_dir": asked.weights_dir, "augment": policy}
            found = one_run(images, recipe, None, False)
            found["augment"] = found.pop("evidence", {}).get("measured", {}).get("safety")
            with asked.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(named | found) + "\n")
            print(*named.values(), found["kept"], f"{found['test']:.3f}", found["seconds"], flush=True)


def show(results: Path) -> None:
    """Median (range) of test top-1 over seeds, a line for each strategy, set and amount; then means.

    The means are over the draws that every policy has, by amount and over all; the last lines say of how many
    draws the fine-tuned network was kept, not the linear classifier.
    """
    kept: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    cells: dict[tuple[Any, ...], dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for text in results.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        where = (line["strategy"], line["set"], int(line["per_class"]))
        cells[where][line["policy"]][line["seed"]] = 100 * line["test"]
        kept[line["strategy"]][line["policy"]].append(line["kept"] == "fine-tuned")
    policies = [name for name in POLICIES if any(name in found for found in cells.values())]
    print(f"| strategy | set | per class | {' | '.join(policies)} |")
    print("|---" * (3 + len(policies)) + "|")
    means: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (strategy, name, amount), found in sorted(cells.items()):
        shown = [_shown(list(found[policy].values())) for policy in policies]
        print(f"| {strategy} | {name} | {amount} | {' | '.join(shown)} |")
        for seed in set.intersection(*(set(found[policy]) for policy in policies)):
            for policy in policies:
                for group in (f"at {amount}", "of all"):
                    means[strategy, group][policy].append(found[policy][seed])
    for (strategy, group), each in sorted(means.items()):
        shown = [f"**{statistics.mean(each[policy]):.2f}**" for policy in policies]
        print(f"| {strategy} | mean {group} | {len(each[policies[0]])} draws | {' | '.join(shown)} |")
    for strategy in sorted(set(kept) - {"linear"}):
        counts = [f"{sum(kept[strategy][policy])} of {len(kept[strategy][policy])}" for policy in policies]
        print(f"| {strategy} | kept | | {' | '.join(counts)} |")


def _shown(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.1f} (one seed)" if values else ""
    return f"{statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--table", action="store_true", help="only show what is there")
    parser.add_argument("--weights-dir")
    parser.add_argument("--backbone", nargs="+", default=["mobilenet_0.25:128"], metavar="NAME:SIZE")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=FOLDER:AMOUNTS")
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--strategy", nargs="+", default=["linear", "finetune-top"])
    parser.add_argument("--policy", nargs="+", default=list(POLICIES))
    parser.add_argument("--test", type=int, default=60, help="images of a class, at most")
    asked = parser.parse_args()
    if not asked.table:
        measure(asked)
    show(asked.results)


if __name__ == "__main__":
    main()
