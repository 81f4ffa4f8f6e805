"""What test-time views bring: top-1 with and without, on images that no run has seen.

    python benchmarks/augmentation/views.py WEIGHTS_DIR SET=FOLDER:PER_CLASS ... [--backbone mobilenet_0.25:128]
        [--strategy linear] [--seed 0 1 2]

Sets are drawn as in `benchmarks/decision/study.py`. Prints a Markdown table: median (range) over seeds of the
gain in points, and how many of the intervals lie above or below 0.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "decision"))

from study import table

VIEWS = ("flip", "10crop", "multiscale")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("weights_dir")
    parser.add_argument("sets", nargs="+", metavar="SET=FOLDER:PER_CLASS")
    parser.add_argument("--backbone", default="mobilenet_0.25:128", metavar="NAME:SIZE")
    parser.add_argument("--strategy", default="linear")
    parser.add_argument("--augment", default="none")
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2])
    asked = parser.parse_args()

    from transferkit.api import evaluate, finetune
    from transferkit.recipe import Recipe

    name, _, size = asked.backbone.partition(":")
    recipe = {"backbone": name, "image_size": int(size or 224), "weights_dir": asked.weights_dir}
    recipe |= {"strategy": asked.strategy, "augment": asked.augment}
    print(f"| set | per class | plain | {' | '.join(VIEWS)} |\n{'|---' * (3 + len(VIEWS))}|")
    for given in asked.sets:
        title, _, rest = given.partition("=")
        folder, _, per_class = rest.rpartition(":")
        plain: list[float] = []
        gains: dict[str, list[tuple[float, int]]] = {views: [] for views in VIEWS}
        for seed in asked.seed:
            images = table(Path(folder), int(per_class), 60, seed)
            with tempfile.TemporaryDirectory() as out:
                run = finetune(images, Recipe.from_mapping(recipe | {"seed": seed}), out=Path(out) / "run")
                unseen = images[images["split"] == "test"]
                for views in VIEWS:
                    found = evaluate(run, unseen, views=views)
                    gain = found.gain
                    gains[views].append((100 * gain.value, (gain.low > 0) - (gain.high < 0)))
                plain.append(100 * found.plain.top1)
        cells = [_shown(gains[views]) for views in VIEWS]
        print(f"| {title} | {per_class} | {statistics.median(plain):.1f} | {' | '.join(cells)} |", flush=True)


def _shown(found: list[tuple[float, int]]) -> str:
    values = [value for value, _ in found]
    sure = [f"{sum(sign == s for _, sign in found)} {word}" for s, word in ((1, "above"), (-1, "below"))]
    return f"{statistics.median(values):+.1f} ({min(values):+.1f} to {max(values):+.1f}; {', '.join(sure)})"


if __name__ == "__main__":
    main()
