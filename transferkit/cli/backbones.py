"""`transferkit backbones`: the catalogue, and one network layer by layer."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from transferkit.backbone.catalogue import BackboneSpec, every, lookup
from transferkit.cli.tables import echo_table

if TYPE_CHECKING:
    from transferkit.backbone.cost import LayerCost

EXAMPLE = "\b\nExamples:\n  transferkit backbones\n  transferkit backbones vgg16"


@click.command(epilog=EXAMPLE)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def backbones(name: str | None, as_json: bool) -> None:
    """List the backbones, or show one layer by layer.

    Parameters and MACs (multiply-adds of one image) are without the ImageNet classifier; the size is
    that of the weights in float32. Accuracies are ImageNet's, as published.
    """
    if name is None:
        _list(as_json)
    else:
        _show(lookup(name), as_json)


def _list(as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([asdict(spec) for spec in every()]))
        return
    header = ("name", "family", "parameters", "MACs", "top-1", "top-5", "size", "input", "stages")
    echo_table(header, [_row(spec) for spec in every()], left=2)


def _row(spec: BackboneSpec) -> tuple[str, ...]:
    return (
        spec.name,
        spec.family,
        f"{spec.parameters:,}",
        f"{spec.macs / 1e9:.2f} G",
        "-" if spec.top1 is None else f"{spec.top1:.1%}",
        "-" if spec.top5 is None else f"{spec.top5:.1%}",
        f"{spec.parameters * 4 / 1e6:.1f} MB",
        f"{spec.image_size} px",
        str(len(spec.stages)),
    )


def _show(spec: BackboneSpec, as_json: bool) -> None:
    from transferkit.training.device import prepare

    prepare("cpu", "float32")
    from transferkit.backbone.build import build
    from transferkit.backbone.cost import layer_costs

    costs = layer_costs(build(spec, classifier=True))
    if as_json:
        click.echo(json.dumps(asdict(spec) | {"layers": [asdict(cost) for cost in costs]}))
        return
    ends = {cut: f"end of stage{n}" for n, (cut, _, _) in enumerate(spec.stages, start=1)}
    header = ("layer", "kind", "stage", "output", "activations", "memory", "parameters", "MACs")
    echo_table(header, [_layer_row(cost, ends) for cost in costs], left=3)
    click.echo("\n".join(_totals(spec, costs)))


def _layer_row(cost: "LayerCost", ends: dict[str, str]) -> tuple[str, ...]:
    return (
        cost.name,
        cost.kind,
        ends.get(cost.name, ""),
        "x".join(map(str, cost.shape)),
        f"{cost.activations:,}",
        f"{cost.activations * 4 / 1024:,.0f} KB",
        f"{cost.parameters:,}",
        f"{cost.macs:,}",
    )


def _totals(spec: BackboneSpec, costs: "list[LayerCost]") -> list[str]:
    dense = sum(cost.macs for cost in costs if cost.kind == "Dense")
    total = sum(cost.macs for cost in costs)
    memory = sum(cost.activations for cost in costs) * 4
    return [
        f"parameters: {spec.parameters_top:,} with the classifier, {spec.parameters:,} without",
        f"multiply-adds: {total:,}, of which {total - dense:,} in convolutions",
        f"activation memory: {memory / 1e6:.1f} MB for one image, forward, in float32",
    ]
