"""What a run tells, and to whom."""

from dataclasses import dataclass

from transferkit.recipe.checking import knob


@dataclass(frozen=True, kw_only=True)
class Telling:
    """Keys of the report and of what is written beside it."""

    target_precision: float = knob(
        0.95,
        "Share of answers that shall be right where the model may say it does not know; sets the threshold.",
        kind=float,
        low=0.01,
        high=1.0,
        flag=True,
    )
    target_coverage: float = knob(
        0.9,
        "Share of images whose set of classes shall hold the right one.",
        kind=float,
        low=0.5,
        high=0.999,
        flag=True,
    )
    min_top1: float | None = knob(
        None,
        "The command exits with 1 where top-1 on test (or val) is below, 0 to 1 (Python: see run.metrics).",
        kind=float,
        low=0.0,
        high=1.0,
        flag=True,
    )
    against: str | None = knob(None, "Earlier run that the report compares with.", flag=True)
    fixes: str | None = knob(
        None,
        "A run's fixes.csv with its column fix filled in: labels that stand in for those of the data.",
        flag=True,
    )
    tensorboard: bool = knob(
        False, "Curves while it trains, then figures and settings, in RUN/tensorboard.", kind=bool, flag=True
    )
    mlflow: bool = knob(
        False, "Log the finished run to MLflow, where MLFLOW_TRACKING_URI says.", kind=bool, flag=True
    )
