"""`transferkit weights`: where ImageNet weights are, and whether they are whole."""

from pathlib import Path

import click

from transferkit.api import find_weights, verify_weights
from transferkit.backbone.catalogue import lookup
from transferkit.backbone.weights import places
from transferkit.errors import WeightsError

UNKNOWN = "no checksum"
DIR_OPTION = click.option("--weights-dir", type=Path, help="Folder that is looked in first.")


@click.group(epilog="\b\nExample:\n  transferkit weights where resnet50")
def weights() -> None:
    """Find and check pretrained weights."""


@weights.command(epilog="\b\nExample:\n  transferkit weights where resnet50 --weights-dir /data/weights")
@click.argument("name")
@DIR_OPTION
def where(name: str, weights_dir: Path | None) -> None:
    """Print the file that serves backbone NAME; exit 1 if it would have to be downloaded."""
    spec = lookup(name)
    for place in places(weights_dir):
        for file in (spec.weights, spec.weights_top):
            path = place.folder / file.name
            click.echo(f"{place.why}: {path}: {'there' if path.is_file() else 'not there'}", err=True)
    found = find_weights(name, weights_dir=weights_dir)
    if found is None:
        raise WeightsError(
            f"no ImageNet weights for {name} on this machine. They would be downloaded from "
            f"{spec.weights.url}"
        )
    click.echo(found)


@weights.command("verify", epilog="\b\nExample:\n  transferkit weights verify")
@click.argument("names", nargs=-1)
@DIR_OPTION
@click.pass_context
def verify_command(context: click.Context, names: tuple[str, ...], weights_dir: Path | None) -> None:
    """Compare weights with Keras' checksums.

    Without NAMES all ImageNet weights on this machine are checked. Exit 1 if one differs.
    """
    checked = verify_weights(names or None, weights_dir=weights_dir).to_dict("records")
    for each in checked:
        detail = f" (expected {each['expected']}, received {each['received']})"
        verdict = (
            "not checked (Keras publishes no checksum)" if each["verdict"] == UNKNOWN else each["verdict"]
        )
        click.echo(f"{verdict}: {each['path']}{detail if verdict == 'differs' else ''}")
    if not checked:
        click.echo("no ImageNet weights on this machine", err=True)
    if any(each["verdict"] == "differs" for each in checked):
        context.exit(1)
