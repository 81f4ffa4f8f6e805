"""What a notebook calls; each command of the command line is one call of it.

A name is imported when it is asked for, so that what needs no network of layers imports none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transferkit.api.augmented import Augmented, augment
    from transferkit.api.comparing import compare
    from transferkit.api.estimators import BackboneFeatures, TransferClassifier
    from transferkit.api.evaluating import Evaluation, evaluate
    from transferkit.api.explaining import Explanation, explain
    from transferkit.api.finetuning import finetune
    from transferkit.api.inputs import open_data
    from transferkit.api.inspecting import audit, inspect
    from transferkit.api.listing import (
        backbones,
        datasets,
        fetch_dataset,
        find_weights,
        recipes,
        verify_weights,
    )
    from transferkit.api.pieces import build_model, split_backbone
    from transferkit.api.planning import Planned, plan
    from transferkit.api.prediction import predict
    from transferkit.api.rereporting import report
    from transferkit.api.resuming import resume
    from transferkit.api.run import Run, load
    from transferkit.api.showing import ReportView

PLACES = {
    "Augmented": "augmented",
    "BackboneFeatures": "estimators",
    "Evaluation": "evaluating",
    "Explanation": "explaining",
    "Planned": "planning",
    "ReportView": "showing",
    "Run": "run",
    "TransferClassifier": "estimators",
    "audit": "inspecting",
    "augment": "augmented",
    "backbones": "listing",
    "build_model": "pieces",
    "compare": "comparing",
    "datasets": "listing",
    "evaluate": "evaluating",
    "explain": "explaining",
    "fetch_dataset": "listing",
    "find_weights": "listing",
    "finetune": "finetuning",
    "inspect": "inspecting",
    "load": "run",
    "open_data": "inputs",
    "plan": "planning",
    "predict": "prediction",
    "recipes": "listing",
    "report": "rereporting",
    "resume": "resuming",
    "split_backbone": "pieces",
    "verify_weights": "listing",
}

__all__ = [
    "Augmented",
    "BackboneFeatures",
    "Evaluation",
    "Explanation",
    "Planned",
    "ReportView",
    "Run",
    "TransferClassifier",
    "audit",
    "augment",
    "backbones",
    "build_model",
    "compare",
    "datasets",
    "evaluate",
    "explain",
    "fetch_dataset",
    "find_weights",
    "finetune",
    "inspect",
    "load",
    "open_data",
    "plan",
    "predict",
    "recipes",
    "report",
    "resume",
    "split_backbone",
    "verify_weights",
]


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{PLACES[name]}"), name)
