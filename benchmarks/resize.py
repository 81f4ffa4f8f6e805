"""Wide pictures by `--resize`: what `auto` does with them, and what each way is worth.

    python benchmarks/resize.py DATA BACKBONE WEIGHTS_DIR [--seed 0 1 2]

Each picture of DATA is pasted, at its height, into one of three places of a canvas of 3 to 1, the rest of
which is the mean colour of the picture: things are anywhere in the width. Prints test top-1 of `linear`.
"""

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
SIDE = 240


def widen(data: Path, target: Path) -> None:
    random = np.random.default_rng(0)
    for path in sorted(data.rglob("*.jpg")):
        with Image.open(path) as image:
            square = image.convert("RGB").resize((SIDE, SIDE))
        colour = tuple(int(value) for value in np.asarray(square).mean(axis=(0, 1)))
        canvas = Image.new("RGB", (3 * SIDE, SIDE), colour)
        canvas.paste(square, (int(random.integers(3)) * SIDE, 0))
        (target / path.parent.name).mkdir(parents=True, exist_ok=True)
        canvas.save(target / path.parent.name / path.name, quality=90)


def main() -> None:
    from transferkit.api import finetune
    from transferkit.recipe import Recipe

    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("backbone")
    parser.add_argument("weights_dir")
    parser.add_argument("--seed", nargs="*", type=int, default=[0, 1, 2])
    asked = parser.parse_args()
    result: dict[str, object] = {"data": asked.data.name, "backbone": asked.backbone}
    with tempfile.TemporaryDirectory() as place:
        wide = Path(place) / "wide"
        widen(asked.data, wide)
        for resize in ("auto", "crop", "pad", "stretch"):
            found, chosen = [], ""
            for seed in asked.seed:
                recipe = Recipe(backbone=asked.backbone, weights_dir=asked.weights_dir, strategy="linear")
                recipe = recipe.updated({"resize": resize, "seed": seed}, "benchmark")
                run = finetune(wide, recipe, out=Path(place) / f"{resize}-{seed}")
                found.append(round(run.metrics["splits"]["test"]["top1"], 4))
                chosen = run.plan["resize"]
            range_ = [min(found), max(found)]
            result[resize] = {"is": chosen, "median": statistics.median(found), "range": range_}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
