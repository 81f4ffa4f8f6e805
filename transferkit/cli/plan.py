"""`transferkit plan`: decide and show, train nothing."""

import json

import click

from transferkit.cli.options import recipe_options
from transferkit.recipe import Recipe

EXAMPLE = "\b\nExample:\n  transferkit plan photos/ --similarity different"


@click.command(epilog=EXAMPLE)
@click.argument("data")
@recipe_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def plan(data: str, recipe: Recipe, as_json: bool) -> None:
    """Show how DATA would be trained on, and why; train nothing."""
    from transferkit.api import plan as make_plan

    decided = make_plan(data, recipe)
    if as_json:
        click.echo(json.dumps(decided.as_dict(), ensure_ascii=False))
        return
    click.echo(f"backbone: {decided.backbone} at {decided.image_size} px")
    images = ", ".join(f"{split} {n}" for split, n in decided.evidence["images"].items())
    click.echo(f"images: {images}")
    click.echo(f"quadrant: {decided.quadrant}\nstrategy: {decided.strategy}")
    for reason in decided.reasons:
        click.echo(f"  {reason}")
    for number, phase in enumerate(decided.phases, start=1):
        click.echo(f"phase {number}: {_words(vars(phase))}")


def _words(phase: dict[str, object]) -> str:
    if phase["kind"] == "linear":
        return f"{phase['name']}: linear classifier on {', '.join(phase['features'])}"  # type: ignore[arg-type]
    return (
        f"{phase['name']}: freeze depth {phase['freeze_depth']}, at most {phase['epochs']} epochs, "
        f"learning rate {phase['learning_rate']:g}, patience {phase['patience']}"
    )
