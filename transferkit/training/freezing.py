"""The freeze proof: what is said to train before a phase, and what moved by its end."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from transferkit.backbone.graph import Stage, stage_layers
from transferkit.errors import TrainingError
from transferkit.strategies.base import Tuning
from transferkit.training.model import is_batch_norm
from transferkit.training.optimizers import HEAD

ALL, NOTHING, BATCHNORM = "all", "nothing", "batchnorm"
KINDS = ("weights", "scales", "statistics")
# What may move, by what trains. Statistics never do: frozen or not, stages run in inference mode.
MAY_MOVE = {ALL: ("weights", "scales"), BATCHNORM: ("scales",), NOTHING: ()}


@dataclass(frozen=True, kw_only=True)
class FreezeRow:
    """What a phase does with a stage, or with the head.

    Attributes:
        stage: its name; `head` is the last row.
        parameters: all numbers in its weights, BatchNorm's statistics included.
        training: how many of them train.
        trains: `all`, `batchnorm` (scales and offsets only) or `nothing`.
        batch_norm: `inference` (stored statistics, also while it trains), or `none` where there is none.
        rate_share: of the phase's learning rate; 0 where nothing trains.
    """

    stage: str
    parameters: int
    training: int
    trains: str
    batch_norm: str
    rate_share: float


def freeze_table(
    network: Any, stages: tuple[Stage, ...], tuning: Tuning | None, head_parameters: int
) -> tuple[FreezeRow, ...]:
    """A row for each stage and for the head, before a phase.

    Args:
        network: the backbone.
        stages: its stages.
        tuning: of the phase; None for one that trains no stage. With gradual unfreezing the rows tell
            what trains in the end.
        head_parameters: numbers in the head's weights.
    """
    shares = {}
    if tuning is not None:
        shares = dict(zip(tuning.stages, tuning.rates or (1.0,) * len(tuning.stages), strict=True))
    rows = [
        _row(stage.name, layers, tuning.only if tuning and stage.name in shares else NOTHING, shares)
        for stage, layers in zip(stages, stage_layers(network, stages), strict=True)
    ]
    head = FreezeRow(
        stage=HEAD,
        parameters=head_parameters,
        training=head_parameters,
        trains=ALL,
        batch_norm="none",
        rate_share=1.0,
    )
    return (*rows, head)


def _row(name: str, layers: Sequence[Any], trains: str, shares: Mapping[str, float]) -> FreezeRow:
    sizes = dict.fromkeys(KINDS, 0)
    for kind, _, weight in _weights(layers):
        sizes[kind] += math.prod(weight.shape)
    return FreezeRow(
        stage=name,
        parameters=sum(sizes.values()),
        training=sum(sizes[kind] for kind in MAY_MOVE[trains]),
        trains=trains,
        batch_norm="inference" if any(map(is_batch_norm, layers)) else "none",
        rate_share=shares.get(name, 0.0),
    )


def freeze_lines(rows: Sequence[FreezeRow], rate: float | None) -> list[str]:
    """The table for people, a line for each row under a header.

    Args:
        rows: of `freeze_table`.
        rate: highest learning rate of the phase's schedule, of which each row takes its share; None while
            it is still to be found, and the shares are told.
    """
    cells = [("stage", "parameters", "trains", "BatchNorm", "rate" if rate else "rate share")]
    for row in rows:
        own = f"{row.rate_share * (rate or 1):.2g}" if row.rate_share else "-"
        cells.append((row.stage, f"{row.parameters:,}", row.trains, row.batch_norm, own))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        f"{stage:<{widths[0]}}  {size:>{widths[1]}}  {trains:<{widths[2]}}  {norm:<{widths[3]}}  {own}"
        for stage, size, trains, norm, own in cells
    ]


def hashes(network: Any, stages: tuple[Stage, ...], head: Any) -> dict[str, dict[str, str]]:
    """SHA-256 of the weights of each stage and of the head, to the bit.

    Args:
        network: the backbone.
        stages: its stages.
        head: the layer of the logits.

    Returns:
        stage -> `scales` (scales and offsets of BatchNorm), `statistics` (what normalisation has stored)
        and `weights` (all others) -> hex digits; "" where there are none.
    """
    found = {
        stage.name: _digests(layers)
        for stage, layers in zip(stages, stage_layers(network, stages), strict=True)
    }
    return found | {HEAD: _digests([head])}


def _digests(layers: Iterable[Any]) -> dict[str, str]:
    digests: dict[str, Any] = {}
    for kind, name, weight in _weights(layers):
        values = weight.numpy()
        digest = digests.setdefault(kind, hashlib.sha256())
        digest.update(f"{name} {values.dtype} {values.shape} ".encode())
        digest.update(values.tobytes())
    return {kind: digests[kind].hexdigest() if kind in digests else "" for kind in KINDS}


def _weights(layers: Iterable[Any]) -> Iterator[tuple[str, str, Any]]:
    """(kind, name, variable) of each weight."""
    for layer in layers:
        for weight in layer.weights:
            name = f"{layer.name}/{weight.name}"
            if is_batch_norm(layer):
                yield ("statistics" if weight.name.startswith("moving_") else "scales"), name, weight
            else:
                # What a Normalization layer holds are the statistics of ImageNet's pixels.
                yield ("statistics" if type(layer).__name__ == "Normalization" else "weights"), name, weight


def proof(
    before: Mapping[str, Mapping[str, str]],
    after: Mapping[str, Mapping[str, str]],
    rows: Iterable[FreezeRow],
) -> tuple[dict[str, Any], ...]:
    """What stayed and what moved in a phase: its row and, for each kind of weights, `stayed` or `moved`.

    Plain values, for plan.json and the report. What may move need not: the start may be the best.

    Args:
        before: `hashes` at the start of the phase.
        after: at its end.
        rows: of `freeze_table`.

    Raises:
        TrainingError: something frozen moved, which is a bug of ours.
    """
    return tuple(_proved(row, before[row.stage], after[row.stage]) for row in rows)


def _proved(row: FreezeRow, before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = asdict(row)
    for kind in KINDS:
        moved = before[kind] != after[kind]
        if moved and kind not in MAY_MOVE[row.trains]:
            raise TrainingError(
                f"the {kind} of {row.stage} moved, and of it {row.trains} may train. This is a bug of "
                "transferkit, and the model is not what the plan says: please report it with recipe.yaml."
            )
        found[kind] = ("moved" if moved else "stayed") if before[kind] else "none"
        found[f"{kind}_sha256"] = [before[kind], after[kind]]
    return found
