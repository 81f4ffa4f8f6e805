"""A finished run in MLflow: parameters, metrics, curves and the whole folder, on the user's tracking server.

Where that is, and the experiment, MLflow's own variables say: MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME.
"""

import os
import re
from importlib.util import find_spec
from typing import Any, TypeVar

from transferkit.errors import TrackingError, missing_extra
from transferkit.evaluation.curves import trained_epochs
from transferkit.progress import say
from transferkit.recipe import Recipe
from transferkit.reports import record
from transferkit.reports.board import check_board
from transferkit.reports.tracked import metrics, parameters, points
from transferkit.runs import Run

R = TypeVar("R", bound=Run)
EXPERIMENT = "transferkit"
LONGEST = 6000  # characters of a parameter that MLflow takes
PARAMETERS_AT_ONCE, METRICS_AT_ONCE = 90, 900  # in a request; MLflow takes 100 and 1,000
# MLflow would ask a server that is away for some four minutes, and tell its makers what is used.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def check_trackers(recipe: Recipe) -> None:
    """Whether a run can be told to the trackers that its recipe asks for.

    Raises:
        UsageError: a package is missing; says how to get it.
        TrackingError: the server does not answer.
    """
    if recipe.tensorboard:
        check_board()
    if recipe.mlflow:
        client = _client()
        try:
            client.search_experiments(max_results=1)
        except Exception as error:  # MLflow, requests and SQLAlchemy each have their own
            raise _unreachable(client, error) from error


def tracked(run: R) -> R:
    """The run, told to MLflow where its recipe asks for that and Ctrl-C did not end it."""
    if run.recipe.mlflow and run.interrupted:
        say(f"MLflow: not logged, for the run was interrupted; to log it as it is: {_again(run)}")
    elif run.recipe.mlflow:
        log_to_mlflow(run)
    return run


def log_to_mlflow(run: Run) -> str:
    """Log a finished run; the id that MLflow gave it.

    Raises:
        UsageError: the package is missing.
        TrackingError: the server did not take it; the run itself is whole.
    """
    client = _client()
    try:
        return _logged(client, run)
    except Exception as error:
        told = f"{_unreachable(client, error)} The run is whole in {run.folder}; to log it later: "
        raise TrackingError(told + _again(run)) from error


def _logged(client: Any, run: Run) -> str:
    from mlflow.entities import Metric, Param

    report = record.read(run.folder)
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    found = client.get_experiment_by_name(name)
    experiment = found.experiment_id if found else client.create_experiment(name)
    tags = {"transferkit.version": run.environment["versions"]["transferkit"]}
    identity = str(client.create_run(experiment, run_name=run.folder.name, tags=tags).info.run_id)
    try:
        given = parameters(report, run.recipe.as_dict())
        params = [Param(key, str(value)[:LONGEST]) for key, value in given.items()]
        for first in range(0, len(params), PARAMETERS_AT_ONCE):
            client.log_batch(identity, params=params[first : first + PARAMETERS_AT_ONCE])
        now = client.get_run(identity).info.start_time
        curves = points(trained_epochs(report.history))
        told = [Metric(f"epoch/{point.name}", point.value, now, point.step) for point in curves]
        told += [Metric(key, value, now, 0) for key, value in metrics(report).items()]
        for first in range(0, len(told), METRICS_AT_ONCE):
            client.log_batch(identity, metrics=told[first : first + METRICS_AT_ONCE])
        client.log_artifacts(identity, str(run.folder))
    except BaseException:
        client.set_terminated(identity, status="FAILED")
        raise
    client.set_terminated(identity)
    say(f"MLflow: logged as {run.folder.name} in experiment {name} at {_address(client)}")
    return identity


def _address(client: Any) -> str:
    return _without_password(str(client.tracking_uri))


def _without_password(text: str) -> str:
    """A text whose addresses have neither user nor password."""
    return re.sub(r"//[^/@\s]*@", "//", text)


def _client() -> Any:
    if find_spec("mlflow") is None:
        raise missing_extra("--mlflow", "mlflow", "mlflow")
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    return MlflowClient()


def _unreachable(client: Any, error: Exception) -> TrackingError:
    first = _without_password((str(error).splitlines() or [""])[0])[:300]
    return TrackingError(
        f"MLflow at {_address(client)}: {type(error).__name__}: {first}. Check MLFLOW_TRACKING_URI and "
        "that the server runs, or leave out --mlflow."
    )


def _again(run: Run) -> str:
    return f"transferkit report {run.folder} --mlflow"
