"""All that a report tells beside the scores, put together."""

from pathlib import Path
from typing import Any

from transferkit.api.baselines import TOP
from transferkit.api.comparing import answered
from transferkit.api.judging import outlook, trust
from transferkit.api.picturing import doubts, gallery
from transferkit.api.pixels import pixels_score
from transferkit.api.reference import describer_of, write_reference
from transferkit.api.strangers import known_strangeness
from transferkit.api.work import Candidate, Work
from transferkit.backbone.cost import layer_costs
from transferkit.evaluation.cost import Cost
from transferkit.evaluation.paired import Against, paired
from transferkit.progress import say
from transferkit.runs import FIXES, Run, write_csv
from transferkit.training.device import Device


def told(work: Work, best: Candidate, device: Device, folder: Path) -> dict[str, Any]:
    """Fields of a report by name; pictures and fixes.csv are written into the run folder.

    Args:
        work: what the run shares.
        best: the classifier that is kept; its model.keras is in the folder.
        device: that computes.
        folder: of the run.
    """
    found = trust(work, best) | outlook(work)
    with work.watch.part("evaluation"):
        found["pixels_score"] = pixels_score(work)
        found["against"] = _against(work, best)
    with work.watch.part("report"):
        found["gallery"] = gallery(work, best, folder)
        rate = None
        if not work.multilabel:
            model = describer_of(work, best)
            rate = write_reference(work, best, model, folder)
            found["strangeness"] = known_strangeness(work, best, model, folder)
        found["cost"] = _cost(work, best, device, folder, rate)
    found["doubts"], fixes = doubts(work, best, folder)
    if fixes is not None:
        write_csv(folder / FIXES, fixes)
    return found


def _against(work: Work, best: Candidate) -> Against | None:
    """This classifier beside an earlier run's, on the images of test (or val) that both judged."""
    if work.recipe.against is None or work.multilabel:
        return None
    from transferkit.evaluation.predictions import predictions_frame

    earlier = Run.open(work.recipe.against)
    split = "test" if "test" in best.probabilities else "val"
    rows, theirs = work.rows[split], earlier.judged
    own = predictions_frame(
        list(work.index.files["path"].iloc[rows]),
        work.labels[rows],
        split,
        probabilities=best.probabilities[split],
        class_names=work.class_names,
    ).assign(sha256=work.index.files["sha256"].iloc[rows].to_numpy())
    found = answered([theirs[theirs["split"] == split], own])
    if not found.images:
        work.notes.append(
            f"WARNING: --against {work.recipe.against}: no image of {split} was judged by that run too"
        )
        say(work.notes[-1])
        return None
    first, second = found.right
    return Against(
        name=str(earlier.folder),
        backbone=str(earlier.plan.get("backbone", "")),
        top1=float(first.mean()),
        own_top1=float(second.mean()),
        top5=float(found.within[0].mean()) if len(work.class_names) > TOP else None,
        paired=paired(first, second),
    )


def _cost(work: Work, best: Candidate, device: Device, folder: Path, rate: float | None) -> Cost:
    layers, extractor = layer_costs(best.model), work.extractor
    size = 4 if extractor.precision == "float32" else 2
    return Cost(
        parameters=int(best.model.count_params()),
        macs=sum(layer.macs for layer in layers),
        file_bytes=(folder / "model.keras").stat().st_size,
        activation_bytes=size * sum(layer.activations for layer in layers),
        images_per_second=rate,
        device=f"{device.name}, batches of {extractor.batch_size}",
        image_size=extractor.policy.size_px,
    )
