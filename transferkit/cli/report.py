"""`transferkit report`: the pages of a run, made again from its numbers."""

import click

EXAMPLE = "\b\nExample:\n  transferkit report runs/pets-1"


@click.command(epilog=EXAMPLE)
@click.argument("run")
@click.option("--tensorboard", is_flag=True, help="Write RUN/tensorboard too.")
@click.option("--mlflow", is_flag=True, help="Log the run to MLflow, where MLFLOW_TRACKING_URI says.")
def report(run: str, tensorboard: bool, mlflow: bool) -> None:
    """Write report.html, report.md and the figures of a RUN anew, from report.json and pictures/."""
    from transferkit.api.rereporting import report as make

    click.echo(f"report: {make(run, tensorboard=tensorboard, mlflow=mlflow)}")
