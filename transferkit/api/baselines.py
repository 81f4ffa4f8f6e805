"""The simplest answers, beside which a model is judged."""

from typing import Any

import numpy as np

from transferkit.api.work import Candidate, Work
from transferkit.training.linear import score

TOP = 5


def simple_answers(work: Work, base: Candidate) -> dict[str, Any]:
    """Fields of the report: what the linear classifier reaches on each split, and what a blind answer.

    Top-5 is told where there are more classes than that.
    """
    from transferkit.evaluation.metrics import top_k_hits

    labels = {split: work.labels[rows] for split, rows in work.rows.items()}
    train, judged = labels["train"], base.probabilities
    found = {
        "linear_score": {s: score(p, labels[s])[0] for s, p in judged.items()},
        "baseline_score": {s: _blind(train, labels[s], 1) for s in judged},
    }
    if not work.multilabel and len(work.class_names) > TOP:
        found["linear_top5"] = {s: float(top_k_hits(p, labels[s], TOP).mean()) for s, p in judged.items()}
        found["baseline_top5"] = {s: _blind(train, labels[s], TOP) for s in judged}
    return found


def _blind(train: Any, labels: Any, k: int) -> float:
    from transferkit.evaluation.metrics import majority_top_k
    from transferkit.evaluation.multilabel import mean_average_precision

    if labels.ndim == 2:
        return mean_average_precision(np.tile(train.mean(axis=0), (len(labels), 1)), labels)
    return majority_top_k(train, labels, k)
