"""What the measures of similarity say of sets that are like ImageNet and of sets that are not.

    python benchmarks/decision/similarity.py RESULTS.jsonl --weights-dir DIR --backbone mobilenet_0.25:224 \
        --set flowers=FOLDER --set satellite=FOLDER --per-class 10 50 100 --seed 0 1 2
    python benchmarks/decision/similarity.py --table RESULTS.jsonl > TABLES.md

A folder is data as `transferkit finetune` takes it; of one without labels (a flat folder of images) only what
needs none is measured, with 0 images per class. A line is appended for each set, network, amount and seed, with
the evidence and what `judge` says of it; lines that stand in RESULTS are skipped, and a set that has too few
images for an amount is left out there.
"""

import argparse
import itertools
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from linear import KEY, carry_out, markdown, options, started

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
PICTURES = {".jpg", ".jpeg", ".png"}
# Of the evidence: long, or empty here.
UNKEPT = ("batchnorm_layers", "gradients", "safety")
# A reading of the pictures (docs/decision.md); all other sets are called different.
SIMILAR = ("imagenet", "hymenoptera", "flowers", "tux")


def few(labels: np.ndarray, size: int, seed: int) -> np.ndarray | None:
    """Rows, at most `size` of each class, smaller draws within larger; None where the median class has fewer."""
    if size > np.median(np.bincount(labels)):
        return None
    order = np.random.default_rng(seed).permutation(len(labels))
    return np.sort(np.concatenate([order[labels[order] == number][:size] for number in np.unique(labels)]))


def measured(source: Any, folder: Path, sizes: list[int], seed: int) -> Iterator[dict[str, Any]]:
    """A line's evidence for each amount that the set has."""
    from transferkit.api.inputs import open_data
    from transferkit.data.examine import examine
    from transferkit.strategies.similarity import judge
    from transferkit.timing import Stopwatch
    from transferkit.training.bank import pooled_bank
    from transferkit.training.evidence import Looked, measure_evidence, sample_images

    whole = examine(open_data(folder), source.extractor.cache).usable
    names = {name: number for number, name in enumerate(whole.labels)}
    for size in sizes:
        rows = few(whole.targets(names, len(names)), size, seed)
        if rows is None:
            continue
        index = replace(whole, files=whole.files.iloc[rows].reset_index(drop=True))
        bank = pooled_bank(source.extractor, index, Stopwatch())
        assert not bank.failed, f"{folder}: not readable: {', '.join(bank.failed)}"
        everything = np.arange(len(rows))
        looked = Looked(rows=everything, labels=index.targets(names, len(names)), units=everything)
        images = sample_images(source.extractor, index, everything, seed)
        evidence = measure_evidence(bank, looked, source=source, images=images, seed=seed)
        verdict = judge(evidence)
        told = {key: value for key, value in asdict(evidence).items() if key not in UNKEPT}
        told |= {"verdict": verdict.verdict, "measure": verdict.measure}
        yield {"per_class": size, "images": len(images)} | told


def unlabelled(source: Any, folder: Path, seed: int) -> dict[str, Any]:
    """A line's evidence for a flat folder of images: what needs no labels."""
    from transferkit.data.decode import decode_batch
    from transferkit.training.statistics import IMAGES, batchnorm_distances, source_confidence

    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    chosen = np.random.default_rng(seed).permutation(len(paths))[:IMAGES]
    images = decode_batch([paths[i] for i in chosen], source.extractor.policy)
    layers = batchnorm_distances(source.extractor.network, images)
    top = source_confidence(source.spec, source.weights_file, images) or (None, None)
    found = {"batchnorm": float(np.mean(list(layers.values())))}
    return {"per_class": 0, "images": len(images)} | found | {"confidence": top[0], "entropy": top[1]}


def lines(asked: argparse.Namespace, done: set[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """A line for each draw that is not done."""
    from transferkit.backbone.catalogue import lookup
    from transferkit.backbone.weights import resolve
    from transferkit.training.evidence import Source

    for backbone in asked.backbone:
        name = backbone.partition(":")[0]
        spec, extractor = lookup(name), started(backbone, asked.weights_dir)
        weights = resolve(spec, "imagenet", asked.weights_dir)
        source = Source(spec=spec, extractor=extractor, weights_file=weights)
        for (title, _, given), seed in itertools.product((s.partition("=") for s in asked.set), asked.seed):
            folder, place = Path(given), (title, name, extractor.policy.size_px)
            flat = any(path.suffix.lower() in PICTURES for path in folder.iterdir())
            sizes = [n for n in ([0] if flat else asked.per_class) if (*place, n, seed) not in done]
            if not sizes:
                continue
            found = [unlabelled(source, folder, seed)] if flat else measured(source, folder, sizes, seed)
            for line in found:
                yield dict(zip(KEY, (*place, line["per_class"], seed), strict=True)) | line


def numbers(found: list[dict[str, Any]]) -> Any:
    """A row for each line: what the tables are made of."""
    import pandas as pd

    rows = []
    for line in found:
        row = {key: line[key] for key in (*KEY, "batchnorm", "confidence", "entropy")}
        row["similar"] = line["set"] in SIMILAR
        row["network"] = f"{line['backbone']}:{line['image_size']}"
        if line["per_class"]:
            row |= {key: line[key] for key in ("gap", "gap_error", "verdict", "measure")}
            row["gap by its error"] = line["gap"] / line["gap_error"] if line["gap_error"] else 0.0
            *early, last = line["logme"].values()
            row["LogME, best earlier stage less last"] = max(early) - last
            *early, last = line["h_score"].values()
            row["H-score, best earlier stage by last"] = max(early) / last
        rows.append(row)
    return pd.DataFrame(rows)


def apart(rows: Any, measure: str) -> str:
    """Least and most of each kind, and the chance that a different set has the higher number."""
    from sklearn.metrics import roc_auc_score

    rows = rows.dropna(subset=[measure])
    auc = roc_auc_score(~rows["similar"], rows[measure])
    ends = [f"{kind[measure].min():.2f} to {kind[measure].max():.2f}" for _, kind in rows.groupby("similar")]
    return f"{ends[1]} | {ends[0]} | {auc:.2f} | {len(rows)} |"


def tables(found: list[dict[str, Any]]) -> str:
    """Distances and gaps by set, and how well each measure tells the kinds apart, in Markdown."""
    rows = numbers(found)
    most = rows[rows["per_class"] == rows.groupby(["set", "network"])["per_class"].transform("max")]
    by_set = most.groupby(["set", "network"])
    order = most.groupby("set")["batchnorm"].mean().sort_values().index
    parts = ["BatchNorm distance x 100, largest amount, means over seeds."]
    parts.append(markdown("distance", 100 * by_set["batchnorm"].mean().unstack().loc[order]))
    parts.append(markdown("confidence, points", 100 * by_set["confidence"].mean().unstack().loc[order]))
    parts.append(markdown("entropy, points", 100 * by_set["entropy"].mean().unstack().loc[order]))
    rows["at"] = rows["network"] + ", " + rows["per_class"].astype(str)
    by_amount = 100 * rows[rows["per_class"] > 0].groupby(["set", "at"])[["gap", "gap_error"]].mean()
    for name in ("gap", "gap_error"):
        parts.append(
            markdown(
                f"{name}, points", by_amount[name].unstack().loc[order.drop("imagenet", errors="ignore")]
            )
        )
    lines = ["| measure | per class | similar | different | AUC | rows |", "|---|---|---|---|---|---|"]
    whole = by_set[["similar", "batchnorm", "entropy"]].mean()
    whole["similar"] = whole["similar"] > 0
    lines += [f"| {name} | most | {apart(whole, name)}" for name in ("batchnorm", "entropy")]
    last = ("gap by its error", "LogME, best earlier stage less last", "H-score, best earlier stage by last")
    for name, (amount, some) in itertools.product(last, rows[rows["per_class"] > 0].groupby("per_class")):
        if some["similar"].nunique() > 1:
            lines.append(f"| {name} | {amount} | {apart(some, name)}")
    parts += [
        "\n".join(lines),
        _rightness(rows[rows["per_class"] > 0]),
        _verdicts(rows[rows["per_class"] > 0]),
    ]
    return "\n\n".join(parts)


def _rightness(rows: Any) -> str:
    """How often the gap, by its border of one standard error, says what the pictures are."""
    right = (rows["gap by its error"] > 1) != rows["similar"]
    told = [
        f"{'similar' if similar else 'different'} at {amount} per class: {kind.sum()} of {len(kind)}"
        for (similar, amount), kind in right.groupby([rows["similar"], rows["per_class"]])
    ]
    return f"Gap above one standard error, right on {'; '.join(told)}."


def _verdicts(rows: Any) -> str:
    """How often the verdict is what the pictures are, by what decided."""
    right = (rows["verdict"] == "similar") == rows["similar"]
    told = [
        f"{'similar' if similar else 'different'} by {measure}: {kind.sum()} of {len(kind)}"
        for (similar, measure), kind in right.groupby([rows["similar"], rows["measure"]])
    ]
    return f"Verdicts right on {'; '.join(told)}."


def told(line: dict[str, Any]) -> str:
    """A line as it is printed."""
    return " ".join(map(str, [*(line[key] for key in KEY), f"distance {line['batchnorm']:.3f}"]))


if __name__ == "__main__":
    carry_out(options(__doc__, [10, 50, 100]), lines, tables, told)
