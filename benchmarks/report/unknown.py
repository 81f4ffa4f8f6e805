"""Scores of strangeness compared: how well each tells images of no class from those of the classes.

    python benchmarks/report/unknown.py WEIGHTS_DIR DATA_DIR [--backbone mobilenet_0.25] [--image-size 128] [--seed 0]

DATA_DIR has flowers, satellite, signs and hymenoptera, each a folder of class folders (or in splits). Of each known
set, 70 % of a draw of 60 images a class are the reference, the rest the known images that are judged; unknown are the
other sets, or one class that the reference has none of. Prints AUROC as a Markdown table.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
SETS = ("flowers", "satellite", "signs", "hymenoptera")
PER_CLASS, REFERENCE = 60, 0.7
Scores = dict[str, Callable[[np.ndarray], np.ndarray]]


class Drawn(NamedTuple):
    """Features of the last stage, float `(n, d)`, and class names `(n,)`."""

    features: np.ndarray
    labels: np.ndarray


def drawn(extractor: Any, folder: Path, seed: int, cache: Path) -> Drawn:
    from transferkit.api.inputs import open_data
    from transferkit.data.examine import examine
    from transferkit.timing import Stopwatch
    from transferkit.training.bank import pooled_bank

    index = examine(open_data(folder), cache, compare=False).usable
    random = np.random.default_rng(seed)
    labels = index.files["label"].to_numpy()
    rows = [random.permutation(np.flatnonzero(labels == name))[:PER_CLASS] for name in np.unique(labels)]
    index = replace(index, files=index.files.iloc[np.concatenate(rows)].reset_index(drop=True))
    bank = pooled_bank(extractor, index, Stopwatch())
    return Drawn(bank.at([extractor.stages[-1].name]), index.files["label"].to_numpy())


def scores(reference: Drawn) -> Scores:
    """Name -> function from features to strangeness, fitted on the reference."""
    from transferkit.evaluation.unknown import strangeness
    from transferkit.training.discriminant import fit_discriminant
    from transferkit.training.linear import softmax

    names, numbers = np.unique(reference.labels, return_inverse=True)
    fitted = fit_discriminant(reference.features, numbers, len(names))
    return {
        "nearest image": lambda x: strangeness(x, reference.features, 1),
        "5th nearest": lambda x: strangeness(x, reference.features, 5),
        "Mahalanobis, shrunken .1": mahalanobis(reference),
        "least highest probability": lambda x: 1 - softmax(x @ fitted.kernel + fitted.bias).max(axis=1),
    }


def mahalanobis(reference: Drawn) -> Callable[[np.ndarray], np.ndarray]:
    """Squared distance to the nearest class mean (Lee et al. 2018), covariance shrunken by a tenth."""
    means = [
        reference.features[reference.labels == name].mean(axis=0) for name in np.unique(reference.labels)
    ]
    place = np.searchsorted(np.unique(reference.labels), reference.labels)
    rest = reference.features - np.stack(means)[place]
    covariance = rest.T @ rest / len(rest)
    width = len(covariance)
    precision = np.linalg.inv(0.9 * covariance + 0.1 * np.trace(covariance) / width * np.eye(width))

    def distance(x: np.ndarray) -> np.ndarray:
        return np.min([np.einsum("nd,de,ne->n", x - mean, precision, x - mean) for mean in means], axis=0)

    return distance


def cases(sets: dict[str, Drawn], seed: int) -> Iterator[tuple[str, str, Drawn, np.ndarray, np.ndarray]]:
    """(known, unknown, reference, features of known images, of unknown ones)."""
    for name in SETS[:3]:
        own = sets[name]
        for missing in (None, *np.unique(own.labels)[:2]):
            rows = np.random.default_rng(seed).permutation(np.flatnonzero(own.labels != missing))
            edge = int(REFERENCE * len(rows))
            reference = Drawn(own.features[rows[:edge]], own.labels[rows[:edge]])
            known = own.features[rows[edge:]]
            if missing is not None:
                yield (
                    f"{name} without {missing}",
                    missing,
                    reference,
                    known,
                    own.features[own.labels == missing],
                )
                continue
            for other in SETS:
                if other != name:
                    yield name, other, reference, known, sets[other].features


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("weights_dir", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--backbone", default="mobilenet_0.25")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    from transferkit.api.inputs import start
    from transferkit.backbone.catalogue import lookup
    from transferkit.backbone.weights import resolve
    from transferkit.evaluation.unknown import judge_unknown
    from transferkit.recipe import Recipe

    spec = lookup(asked.backbone)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRANSFERKIT_CACHE"] = folder
        weights = resolve(spec, "imagenet", asked.weights_dir)
        _, extractor = start(spec, weights, Recipe(image_size=asked.image_size), "crop")
        sets = {name: drawn(extractor, asked.data / name, asked.seed, Path(folder)) for name in SETS}
    shown = False
    for known, unknown, reference, own, others in cases(sets, asked.seed):
        fitted = scores(reference)
        if not shown:
            print(f"| known | unknown | {' | '.join(fitted)} |\n|---|---|{'---|' * len(fitted)}")
            shown = True
        found = [judge_unknown(score(own), score(others)).auroc for score in fitted.values()]
        print(f"| {known} | {unknown} | {' | '.join(f'{one:.2f}' for one in found)} |", flush=True)


if __name__ == "__main__":
    main()
