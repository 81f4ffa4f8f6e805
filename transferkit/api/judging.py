"""What a report tells beside the scores: how far they can be believed, and what would better them."""

from typing import Any

from transferkit.api.work import Candidate, Work
from transferkit.data.units import unit_numbers
from transferkit.evaluation.calibration import calibrate, tempered
from transferkit.evaluation.growth import grow
from transferkit.evaluation.rejection import conformal, rejection
from transferkit.training.evidence import PROBE_IMAGES, Looked, probe_bank


def trust(work: Work, best: Candidate) -> dict[str, Any]:
    """The fields `calibration`, `rejection` and `conformal` of a report, by the candidate's probabilities.

    Thresholds and sets are of calibrated probabilities, and val alone gives them.
    """
    if work.multilabel:
        return {}
    labels = {split: work.labels[work.rows[split]] for split in best.probabilities}
    found = calibrate(best.probabilities, labels)
    split = "test" if "test" in labels else "val"
    known = {each: tempered(p, found.temperature) for each, p in best.probabilities.items()}
    val, judged = ((known[each], labels[each]) for each in ("val", split))
    return {
        "calibration": found,
        "rejection": rejection(val, judged, split=split, target=work.recipe.target_precision),
        # On the images that gave the threshold its coverage holds by construction.
        "conformal": None
        if split == "val"
        else conformal(val, judged, split=split, target=work.recipe.target_coverage),
    }


def outlook(work: Work) -> dict[str, Any]:
    """The fields `growth` and `stage_probes`, by quick classifiers on train."""
    measured = work.plan.evidence.get("measured") or _probed(work)
    stages = dict(measured["stages"]) | {"all": measured["together"]}
    if work.multilabel:
        return {"stage_probes": stages}
    train = len(work.rows["train"])
    reached = [top1 for _, top1 in measured["curve"]]
    curve = list(zip(measured.get("curve_images", ()), reached, strict=False))
    growth = grow(curve, judged=min(train, PROBE_IMAGES), trained=train, classes=len(work.class_names))
    return {"stage_probes": stages, "growth": growth}


def _probed(work: Work) -> dict[str, Any]:
    """What the plan measures, where both axes were stated and it measured nothing."""
    from threadpoolctl import threadpool_limits

    train = work.rows["train"]
    units = unit_numbers(work.index.files.iloc[train])
    looked = Looked(rows=train, labels=work.labels[train], units=units)
    with work.watch.part("linear"), threadpool_limits(1, user_api="blas"):
        return vars(probe_bank(work.bank, looked.drawn(PROBE_IMAGES, work.recipe.seed), work.recipe.seed))
