"""What a run found, as a report and as a table of predictions."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transferkit import runs
from transferkit.api.augmenting import usable_policy
from transferkit.api.baselines import simple_answers
from transferkit.api.candidates import kept_reason
from transferkit.api.work import Candidate, Work
from transferkit.backbone.graph import Stage
from transferkit.data.splits import SPLITS, intersections
from transferkit.reports.gauges import gauges
from transferkit.strategies import Phase
from transferkit.training.device import Device

if TYPE_CHECKING:
    import pandas as pd

    from transferkit.evaluation.crossval import CrossValidation
    from transferkit.evaluation.diagnosis import Diagnosis
    from transferkit.evaluation.metrics import SplitMetrics
    from transferkit.evaluation.multilabel import MultiLabelMetrics
    from transferkit.evaluation.paired import Paired
    from transferkit.evaluation.report import Data, Decision, Report

    Cross = Mapping[str, CrossValidation]


def make_report(
    work: Work, base: Candidate, best: Candidate, device: Device, data: str, cross: "Cross", **more: Any
) -> "Report":
    """The report's numbers, from the candidates' probabilities; `more` are fields that others found."""
    from transferkit.evaluation.report import Report

    assert base.fitted is not None
    measure = "map" if work.multilabel else "top1"
    return Report(
        title=Path(data).resolve().name,
        measure=measure,
        data=_data(work, data),
        class_names=tuple(work.class_names),
        backbone=f"{work.plan.backbone} ({work.weights})",
        strategy=work.plan.strategy,
        decision=_decision(work, best),
        splits=_metrics(work, best),
        **simple_answers(work, base),
        kept=best.name,
        kept_reason=kept_reason(work, base, best),
        over_linear=_over_linear(work, base, best),
        history=tuple(best.history),
        linear_l2=base.fitted.l2,
        linear_path=tuple(
            {"l2": tried.l2, f"val_{measure}": tried.val_score, "val_nll": tried.val_nll}
            for tried in base.fitted.path
        ),
        diagnosis=_diagnosed(work, best),
        seconds=work.watch.seconds(),
        notes=(*work.notes, *best.notes),
        environment={
            "weights": work.weights,
            "device": device.name,
            "precision": device.precision,
            "backend": device.backend,
            "seed": str(work.recipe.seed),
            **runs.versions(device.backend),
        },
        cross_validation=cross,
        **more,
    )


def _over_linear(work: Work, base: Candidate, best: Candidate) -> "Paired | None":
    """What is kept beside the linear classifier on the last stage, image by image."""
    from transferkit.evaluation.metrics import predict
    from transferkit.evaluation.paired import paired

    if work.multilabel or best.name == base.name:
        return None
    split = "test" if "test" in best.probabilities else "val"
    labels = work.labels[work.rows[split]]
    first, second = (predict(one.probabilities[split]) == labels for one in (base, best))
    return paired(first, second)


def predictions(work: Work, best: Candidate) -> "pd.DataFrame":
    """The content of predictions.csv: a row for every image of val and test."""
    import pandas as pd

    from transferkit.evaluation.multilabel import multilabel_predictions_frame
    from transferkit.evaluation.predictions import predictions_frame

    frames = []
    for split, found in best.probabilities.items():
        rows = work.rows[split]
        paths, labels = list(work.index.files["path"].iloc[rows]), work.labels[rows]
        given: dict[str, Any] = {"probabilities": found, "class_names": work.class_names}
        if work.multilabel:
            given["threshold"] = _threshold(work, best)
            frames.append(multilabel_predictions_frame(paths, labels, split, **given))
        else:
            frames.append(predictions_frame(paths, labels, split, **given))
    return pd.concat(frames)


def _data(work: Work, name: str) -> "Data":
    from transferkit.evaluation.report import Data

    files = work.index.files
    counts = {
        split: work.index.counted(files[files["split"] == split])
        for split in SPLITS
        if (files["split"] == split).any()
    }
    return Data(
        name=name,
        classes=len(work.class_names),
        counts=counts,
        images={split: int((files["split"] == split).sum()) for split in counts},
        excluded=tuple(work.index.excluded[["path", "reason"]].itertuples(index=False, name=None)),
        intersections=_proof(work),
        findings=work.findings,
        root=str(work.index.root.absolute()),
    )


def _proof(work: Work) -> dict[str, dict[str, int]]:
    """What the splits share; nothing is claimed of what was not looked for."""
    found = intersections(work.index.files)
    if work.recipe.near_duplicates != "together":
        del found["near duplicates"]
    if (work.index.files["group"] == "").all():
        del found["group"]
    return found


def _decision(work: Work, best: Candidate) -> "Decision":
    from transferkit.evaluation.report import Decision

    return Decision(
        quadrant=work.plan.quadrant,
        similarity=work.plan.similarity,
        amount=work.plan.amount,
        reasons=work.plan.reasons,
        phases=tuple(_shown(phase, best) for phase in work.plan.phases),
        balance=vars(work.plan.balance),
        tried={phase: tuple(rows) for phase, rows in proofs(best)["tried"].items()},
        stages=tuple(proofs(best, work.extractor.stages)["stages"]),
        freeze=best.proof,
        augment=_augment(work, best),
        gauges=gauges(work.plan),
    )


def _augment(work: Work, best: Candidate) -> dict[str, Any]:
    """How training images were changed; nothing where they were not."""
    from transferkit.data.augment.policy import load_policy
    from transferkit.strategies.augmenting import CHANGES, Recognised

    policy = usable_policy(work)
    if not policy:
        return {}
    safety = work.plan.evidence.get("measured", {}).get("safety", {})
    # Of `auto` alone something was measured; it starts from a policy that ships.
    left_out = load_policy(policy.name).changes - policy.changes if safety else frozenset()
    found = {name: Recognised(**one) for name, one in safety.items()}
    return {
        "policy": policy.name,
        "steps": tuple(map(str, policy.steps)),
        "views": work.views,
        "fed": best.fed,
        "safety": tuple(
            {"change": CHANGES[name], "plain": one.plain, "changed": one.changed}
            | {"verdict": one.verdict, "left_out": name in left_out}
            for name, one in found.items()
        ),
    }


def _diagnosed(work: Work, best: Candidate) -> "tuple[Diagnosis, ...]":
    from transferkit.evaluation.curves import Asked, curves_of
    from transferkit.evaluation.diagnosis import diagnose

    tuned, recipe, policy = work.plan.finetune, work.recipe, usable_policy(work)
    epochs = tuned.epochs if tuned else 0
    asked = Asked(
        augmented=bool(work.pipeline),
        dropout=recipe.dropout,
        stochastic_depth=recipe.stochastic_depth,
        label_smoothing=recipe.label_smoothing,
        classes=len(work.class_names),
        freeze_depth=tuned.freeze_depth if tuned else 0,
        stages=len(work.extractor.stages),
        multilabel=work.multilabel,
        comparable=work.class_weights is None and not recipe.l2_sp and not policy.mixing,
        mixed=bool(policy.mixing),
        fittable=not recipe.l2_sp and not policy.mixing,
    )
    curves = curves_of(
        best.history,
        val_images=len(work.rows["val"]),
        epochs=epochs,
        kept=best.name,
        interrupted=best.interrupted,
        asked=asked,
    )
    return diagnose(curves) if curves else ()


def _metrics(work: Work, best: Candidate) -> "dict[str, SplitMetrics | MultiLabelMetrics]":
    from transferkit.evaluation.metrics import evaluate
    from transferkit.evaluation.multilabel import evaluate_multilabel

    if not work.multilabel:
        return {
            s: evaluate(p, work.labels[work.rows[s]], work.class_names) for s, p in best.probabilities.items()
        }
    threshold = _threshold(work, best)
    return {
        split: evaluate_multilabel(found, work.labels[work.rows[split]], work.class_names, threshold)
        for split, found in best.probabilities.items()
    }


def _threshold(work: Work, best: Candidate) -> float:
    from transferkit.evaluation.multilabel import choose_threshold

    return choose_threshold(best.probabilities["val"], work.labels[work.rows["val"]])


def _shown(phase: Phase, best: Candidate) -> dict[str, Any]:
    """A phase in plain values, without what says nothing to its kind."""
    if phase.kind == "linear":
        offered = [choice.name for choice in phase.choices] or [", ".join(phase.features)]
        tried = best.chosen.get(phase.name, ())
        seen = tried[0].features.name if tried else offered[0]
        several = f" (chosen from {len(offered)} sets of features)" if len(offered) > 1 else ""
        return {"phase": phase.name, "trains": f"a linear classifier on {seen}{several}"}
    tuning = phase.tuning
    assert tuning is not None
    only = " (BatchNorm only)" if tuning.only == "batchnorm" else ""
    return {
        "phase": phase.name,
        "trains": f"{', '.join(tuning.stages)}{only}",
        "freeze_depth": phase.freeze_depth,
        "epochs": phase.epochs,
        "patience": phase.patience,
        "learning_rate": _rate(phase, best),
        "rate_shares": tuning.rates,
        "optimizer": tuning.optimizer,
        "schedule": tuning.schedule,
    }


def _rate(phase: Phase, best: Candidate) -> float | str:
    """The highest learning rate; where the phase found it, or had to cut it, the one that it took."""
    taken = [row["learning_rate"] for row in best.history if row["phase"] == phase.name and row["epoch"]]
    found = taken and phase.tuning and phase.tuning.find_rate
    return f"{max(taken):.2g} (found)" if found else phase.learning_rate


def proofs(best: Candidate, stages: Sequence[Stage] = ()) -> dict[str, Any]:
    """What plan.json tells of how the plan was carried out: classifiers tried, freeze proof, stages."""
    return {
        "tried": {
            phase: [
                {
                    "features": one.features.name,
                    "classifier": one.method,
                    "views": one.views,
                    "score": one.score,
                    "nll": None if math.isnan(one.nll) else one.nll,
                    "share": one.share,
                    "strength": one.strength,
                }
                for one in tried
            ]
            for phase, tried in best.chosen.items()
        },
        "freeze": list(best.proof),
        "rates": {
            row["phase"]: row["learning_rate"]
            for row in sorted(best.history, key=lambda row: float(row["learning_rate"]))
            if row["epoch"]
        },
        "stages": [
            {"name": stage.name, "cut": stage.cut, "size_px": stage.size_px, "channels": stage.channels}
            for stage in stages
        ],
    }
