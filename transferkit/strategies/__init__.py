"""Strategies: pure functions from a setting to phases. Nothing here knows Keras."""

from transferkit.strategies.base import FeatureSet, Phase, Setting, StrategyFunction, Tuning
from transferkit.strategies.batchnorm import batchnorm
from transferkit.strategies.finetune_deep import finetune_deep
from transferkit.strategies.finetune_top import finetune_top
from transferkit.strategies.full import full
from transferkit.strategies.linear import linear
from transferkit.strategies.multistage import multistage
from transferkit.strategies.surgical import surgical

STRATEGIES: dict[str, StrategyFunction] = {
    "linear": linear,
    "multistage": multistage,
    "finetune-top": finetune_top,
    "finetune-deep": finetune_deep,
    "full": full,
    "surgical": surgical,
    "batchnorm": batchnorm,
}

__all__ = ["STRATEGIES", "FeatureSet", "Phase", "Setting", "StrategyFunction", "Tuning"]
