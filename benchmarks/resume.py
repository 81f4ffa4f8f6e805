"""Whether a killed run that is gone on with is, to the bit, the run that was never killed.

`python benchmarks/resume.py DATA --kills 20 --seed 0 -- --backbone mobilenet_0.25 --strategy finetune-deep ...`

A process is started with an empty cache, killed (SIGKILL) at a random time of the run's duration, and
gone on with by `finetune --resume`; a resumed process is killed again three times in ten. In the end
history.csv (but for the seconds), all weights of model.keras, predictions.csv and metrics.json are
compared with those of a run that was never killed. Prints a JSON document.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "transferkit", "finetune", *words]


def process(words: list[str], cache: Path, log: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"TRANSFERKIT_CACHE": str(cache), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with log.open("ab") as stream:
        return subprocess.Popen(command(*words), env=environment, stdout=stream, stderr=stream)


def content(folder: Path) -> dict[str, str]:
    import keras

    history = pd.read_csv(folder / "history.csv").drop(columns="seconds").to_csv()
    weights = keras.models.load_model(folder / "model.keras").get_weights()
    files = {name: (folder / name).read_text() for name in ("predictions.csv", "metrics.json")}
    return files | {"history.csv": history, "model.keras": b"".join(w.tobytes() for w in weights).hex()}


def stage(place: Path, log: Path) -> str:
    """How far a process had come, by what it left."""
    if place.with_name("run").is_dir():
        return "moved"
    if not (place / "source.json").is_file():
        return "before it had begun"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:80] if lines else "starting"


def killed(data: str, words: list[str], duration: float, rng: random.Random, work: Path) -> list[str]:
    """Start, kill and go on until it ends; where it was each time it was killed."""
    cache, out, place, log = work / "cache", work / "run", work / "run.unfinished", work / "log"
    told: list[str] = []
    while True:
        begun = (place / "source.json").is_file() or (place / "whole.json").is_file()
        if told and not begun and out.is_dir():
            return told
        arguments = ["--resume", str(out)] if begun else [data, *words, "--out", str(out)]
        running = process(arguments, cache, log)
        if not told or rng.random() < 0.3:
            try:
                running.wait(rng.uniform(0, duration))
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
                told.append(stage(place, log))
                continue
        if running.wait() != 0:
            raise SystemExit(log.read_text(errors="replace"))
        if told:
            return told
        for folder in (cache, out):  # it was quicker than the time that was drawn
            shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    own, _, words = " ".join(sys.argv[1:]).partition(" -- ")
    given = parser.parse_args(own.split())
    given.words = words.split()
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        started = time.perf_counter()
        whole = process(
            [given.data, *given.words, "--out", str(root / "whole")], root / "cache", root / "log"
        )
        if whole.wait() != 0:
            raise SystemExit((root / "log").read_text(errors="replace"))
        duration = time.perf_counter() - started
        expected, rows = content(root / "whole"), []
        for number in range(given.kills):
            work = root / str(number)
            work.mkdir()
            told = killed(given.data, given.words, duration, rng, work)
            found = content(work / "run")
            other = [name for name in expected if found[name] != expected[name]]
            rows.append({"killed": told, "differs": other})
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
            shutil.rmtree(work)
    document = {
        "words": given.words, "seconds": round(duration, 1), "epochs": expected["history.csv"].count("\n") - 2,
        "runs": len(rows), "kills": sum(len(row["killed"]) for row in rows),
        "equal": sum(not row["differs"] for row in rows), "rows": rows,
    }  # fmt: skip
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
