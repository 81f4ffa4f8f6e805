"""What a notebook calls; each command of the command line is one call of it.

A name is imported when it is asked for, so that what needs no network of layers imports none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transferkit.api.evaluating import Evaluation, evaluate
    from transferkit.api.finetuning import finetune
    from transferkit.api.inputs import open_data
    from transferkit.api.inspecting import audit, inspect
    from transferkit.api.planning import plan
    from transferkit.api.prediction import predict
    from transferkit.api.resuming import resume

_PLACES = {
    "Evaluation": "evaluating",
    "audit": "inspecting",
    "evaluate": "evaluating",
    "finetune": "finetuning",
    "inspect": "inspecting",
    "open_data": "inputs",
    "plan": "planning",
    "predict": "prediction",
    "resume": "resuming",
}

__all__ = ["Evaluation", "audit", "evaluate", "finetune", "inspect", "open_data", "plan", "predict", "resume"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
