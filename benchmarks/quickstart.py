"""The README's first run as a stranger has it: a fresh environment, empty caches, no network.

    python -m venv FRESH && FRESH/bin/pip install .
    python benchmarks/quickstart.py RESULTS.json --command FRESH/bin/transferkit --seed 0 1 2

Each run is a process of its own with an empty home and cache, in a network namespace without any device
(`unshare --net`; told in the results where that is not allowed). Seconds are from start to end of the process.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

CUT_OFF = ["unshare", "--map-root-user", "--net"]


def cut_off() -> list[str]:
    """What runs a command without a network; nothing where that is not allowed."""
    tried = subprocess.run([*CUT_OFF, "true"], capture_output=True) if shutil.which(CUT_OFF[0]) else None
    return CUT_OFF if tried is not None and tried.returncode == 0 else []


def measured(command: str, seed: int, without_network: list[str]) -> dict[str, Any]:
    """One run: seconds and scores."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = {"HOME": folder, "TRANSFERKIT_CACHE": str(home / "cache"), "PATH": os.environ["PATH"]}
        asked = [
            "finetune",
            "digits",
            "--recipe",
            "quickstart",
            "--seed",
            str(seed),
            "--out",
            str(home / "run"),
        ]
        began = time.perf_counter()
        subprocess.run(
            [*without_network, command, *asked], env=env, cwd=folder, check=True, capture_output=True
        )
        seconds = time.perf_counter() - began
        report = json.loads((home / "run" / "report.json").read_text(encoding="utf-8"))
        metrics = json.loads((home / "run" / "metrics.json").read_text(encoding="utf-8"))
        return {
            "seed": seed,
            "seconds": round(seconds, 1),
            "test_top1": metrics["splits"]["test"]["top1"],
            "test_images": metrics["splits"]["test"]["n"],
            "pixels_top1": report["pixels_score"]["test"],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--command", required=True, metavar="FILE", help="transferkit of a fresh environment")
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2])
    asked = parser.parse_args()
    without_network = cut_off()
    runs = [measured(str(Path(asked.command).absolute()), seed, without_network) for seed in asked.seed]
    found = {"network": "none" if without_network else "as it is", "cores": os.cpu_count(), "runs": runs}
    asked.results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(asked.results.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
