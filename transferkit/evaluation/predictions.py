"""The table of predictions: a row for every image of an evaluated split."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from transferkit.evaluation.labels import joinable
from transferkit.evaluation.metrics import Floats, Ints, predict, rank


def predictions_frame(
    paths: Sequence[str],
    labels: Ints,
    split: str,
    *,
    probabilities: Floats,
    class_names: Sequence[str],
) -> pd.DataFrame:
    r"""The rows of `predictions.csv` for one split, in the order given.

    Columns: `path`, `label`, `split`, `pred` (most probable class), `p` (its probability, 0..1) and
    `top5` (the min(5, C) most probable classes joined by a vertical bar, best first; a bar or a
    backslash inside a name is written with a backslash before it). A row of probabilities that is
    not finite has an empty `pred` and `top5`, and `p` is NaN: it predicts nothing.

    Args:
        paths: the N files.
        labels: (N,) class numbers 0..C-1.
        split: the name that fills the column `split`.
        probabilities: (N, C).
        class_names: the C names in output order.
    """
    names = np.array(class_names, dtype=object)
    quoted = [joinable(name) for name in class_names]
    made = predict(probabilities) >= 0
    order = rank(probabilities)[:, :5]
    best = np.asarray(probabilities, dtype=np.float64)[np.arange(len(order)), order[:, 0]]
    return pd.DataFrame(
        {
            "path": list(paths),
            "label": names[np.asarray(labels)],
            "split": split,
            "pred": np.where(made, names[order[:, 0]], ""),
            "p": np.where(made, best, np.nan),
            "top5": [
                "|".join(quoted[number] for number in row) if whole else ""
                for row, whole in zip(order.tolist(), made, strict=True)
            ],
        }
    )
