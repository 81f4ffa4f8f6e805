"""What a notebook calls; each command of the command line is one call of it."""

from transferkit.api.evaluate import Evaluation, evaluate
from transferkit.api.finetune import finetune
from transferkit.api.inputs import open_data
from transferkit.api.plan import plan
from transferkit.api.predict import predict

__all__ = ["Evaluation", "evaluate", "finetune", "open_data", "plan", "predict"]
