"""The plan: a recipe resolved against one data set, with the reasons."""

from transferkit.planning.balancing import Balance, decide_balance
from transferkit.planning.making import Plan, late_stages, make_plan

__all__ = ["Balance", "Plan", "decide_balance", "late_stages", "make_plan"]
