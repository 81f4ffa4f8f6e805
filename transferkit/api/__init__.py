"""What a notebook calls; each command of the command line is one call of it."""

from transferkit.api.evaluating import Evaluation, evaluate
from transferkit.api.finetuning import finetune
from transferkit.api.inputs import open_data
from transferkit.api.inspecting import audit, inspect
from transferkit.api.planning import plan
from transferkit.api.prediction import predict
from transferkit.api.resuming import resume

__all__ = ["Evaluation", "audit", "evaluate", "finetune", "inspect", "open_data", "plan", "predict", "resume"]
