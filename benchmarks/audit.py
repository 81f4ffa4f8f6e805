"""`transferkit inspect`: its speed against plain decoding, and planted copies that it must find.

    python benchmarks/audit.py DATA... [--rounds 5] [--seed 0 1 2] [--copies 300]

Speed: one pass of Pillow (`Image.open(path).load()` for each file, in one thread) against the whole
audit with an empty cache (listing, scan, comparison, findings), then the audit again with its cache,
in turns within one process; files are in the page cache, imports are left out. Planted into a copy of
DATA: `copies` files copied byte by byte, as many changed (half each: JPEG quality 60, 90 % of the size),
and a third as many mirrored; found is a copy with a finding that names its original. Prints JSON.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps


def plain(paths: list[Path]) -> float:
    started = time.perf_counter()
    for path in paths:
        with Image.open(path) as image:
            image.load()
    return time.perf_counter() - started


def audited(data: Path, cache: str) -> tuple[float, Any]:
    from transferkit.api import audit

    os.environ["TRANSFERKIT_CACHE"] = cache
    started = time.perf_counter()
    found = audit(data)
    return time.perf_counter() - started, found


def speed(data: Path, rounds: int) -> dict[str, Any]:
    from transferkit.data.folder import index_folder

    index = index_folder(data)
    paths = [data / path for path in index.files["path"]]
    times: dict[str, list[float]] = {"plain": [], "inspect": [], "again": []}
    for _ in range(rounds + 1):
        times["plain"].append(plain(paths))
        with tempfile.TemporaryDirectory() as cache:
            times["inspect"].append(audited(data, cache)[0])
            times["again"].append(audited(data, cache)[0])
    ratios = [own / other for own, other in zip(times["inspect"], times["plain"], strict=True)][1:]
    return {
        "files": len(paths),
        "seconds": {name: round(statistics.median(values[1:]), 3) for name, values in times.items()},
        "inspect_by_plain": [round(pick(ratios), 2) for pick in (statistics.median, min, max)],
    }


def changed(image: Image.Image, way: str) -> Image.Image:
    if way == "90 % size":
        return image.resize([round(side * 0.9) for side in image.size], Image.Resampling.BICUBIC)
    return ImageOps.mirror(image) if way == "mirrored" else image


QUALITY = {"quality 60": 60, "90 % size": 90, "mirrored": 90}


def way_of(place: int, copies: int) -> str:
    """The first `copies` are exact, as many re-encoded or resized, and a third as many mirrored."""
    if place < copies:
        return "exact"
    return ("quality 60", "90 % size")[place % 2] if place < 2 * copies else "mirrored"


def planted(data: Path, copies: int, seed: int) -> dict[str, Any]:
    """Recall by way of copying, and pairs that were not planted."""
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryDirectory() as cache:
        root = Path(place) / "data"
        shutil.copytree(data, root)
        files = sorted(path for path in root.rglob("*.*") if path.is_file())
        drawn = np.random.default_rng(seed).permutation(len(files))[: 2 * copies + copies // 3]
        made: dict[str, dict[str, str]] = {"exact": {}, **{way: {} for way in QUALITY}}
        for place_in, row in enumerate(drawn):
            original = files[row]
            way = way_of(place_in, copies)
            copy = original.with_name(f"planted-{place_in}-{original.stem}{original.suffix}")
            if way == "exact":
                shutil.copy(original, copy)
            else:
                with Image.open(original) as image:
                    changed(image.convert("RGB"), way).save(copy, "JPEG", quality=QUALITY[way])
            made[way][copy.relative_to(root).as_posix()] = original.relative_to(root).as_posix()
        _, found = audited(root, cache)
        return counted(found, made)


def counted(found: Any, made: dict[str, dict[str, str]]) -> dict[str, Any]:
    names = ["duplicate", "near-duplicate", "label-conflict"]
    rows = found.findings[found.findings["finding"].isin(names)]
    how = r"^(?:same bytes as|looks like|mirrored copy of) (.*?)(?:, labelled .*)?$"
    told = {frozenset((row.path, re.sub(how, r"\1", row.detail))) for row in rows.itertuples()}
    # A copy of a file that has a copy in the set already may be told as a copy of that one.
    same = rows[rows["finding"] == "duplicate"]
    origin = {row.path: re.sub(how, r"\1", row.detail) for row in same.itertuples()}
    result: dict[str, Any] = {}
    for way, pairs in made.items():
        hits = sum(
            frozenset((copy, original)) in told or (copy in origin and origin[copy] == origin.get(original))
            for copy, original in pairs.items()
        )
        result[way] = {"planted": len(pairs), "found": hits, "recall": round(hits / len(pairs), 3)}
    known = {frozenset(pair) for pairs in made.values() for pair in pairs.items()}
    result["other_pairs"] = len(told - known)
    result["other_pairs_by_images"] = round(len(told - known) / found.files, 5)
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", nargs="*", type=int, default=[])
    parser.add_argument("--copies", type=int, default=300)
    asked = parser.parse_args()
    result = {}
    for data in asked.data:
        result[data.name] = {
            "speed": speed(data, asked.rounds) if asked.rounds else None,
            "planted": {str(seed): planted(data, asked.copies, seed) for seed in asked.seed},
        }
    print(json.dumps({"cpu_cores": os.cpu_count(), **result}, indent=2))


if __name__ == "__main__":
    main()
