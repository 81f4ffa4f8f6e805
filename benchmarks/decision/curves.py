"""Learning curves from kept lines: the best linear classifier, what fine-tuning makes of it, and the gain.

    python benchmarks/decision/curves.py benchmarks/results/decision-curves.jsonl

MobileNet 0.25 at 128 px, seeds 8 to 10, test top-1 in percent, median (range); the gain is the mean over seeds.
"""

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path

NETWORK, SEEDS = ("mobilenet_0.25", 128), (8, 9, 10)
TUNED = {"flowers": "finetune-top", "satellite": "finetune-deep", "signs": "finetune-deep"}


def shown(values: list[float]) -> str:
    """Median, and the range where there are several."""
    middle = f"{statistics.median(values):.1f}"
    return f"{middle} ({min(values):.1f}-{max(values):.1f})" if len(values) > 1 else middle


def main() -> None:
    found: dict[tuple[str, int], dict[tuple[str, int], float]] = defaultdict(dict)
    for text in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if (line["backbone"], line["image_size"]) == NETWORK and line["seed"] in SEEDS:
            found[line["set"], line["per_class"]][line["strategy"], line["seed"]] = 100 * line["test"]
    print(
        "| set | per class | seeds | multistage | fine-tuned | mean gain (range) |\n|---|---|---|---|---|---|"
    )
    for (name, amount), scores in sorted(found.items()):
        tuned = TUNED.get(name, "")
        seeds = [n for n in SEEDS if ("multistage", n) in scores and (tuned, n) in scores]
        if not seeds:
            continue
        plain, fine = ([scores[strategy, n] for n in seeds] for strategy in ("multistage", tuned))
        gains = [b - a for a, b in zip(plain, fine, strict=True)]
        gain = f"{statistics.mean(gains):+.1f} ({min(gains):+.1f} to {max(gains):+.1f})"
        print(f"| {name} | {amount} | {len(seeds)} | {shown(plain)} | {shown(fine)} | {gain} |")


if __name__ == "__main__":
    main()
