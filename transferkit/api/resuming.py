"""Go on with a run that was stopped."""

from dataclasses import replace
from pathlib import Path

from transferkit import runs
from transferkit.api.finetuning import carry_out
from transferkit.api.inputs import check_cache
from transferkit.api.run import Run
from transferkit.api.tracking import check_trackers, tracked
from transferkit.api.unfinished import read_asked
from transferkit.training.device import check_device_name


def resume(run: str | Path, *, device: str | None = None) -> Run:
    """Finish a run that was killed, that failed, or that Ctrl-C ended.

    On the same machine's CPU its history and weights are to the bit those of a run that was never
    stopped, but for the seconds. Images, labels, splits, pretrained weights and plan must be as they were.
    With a time limit it has that time once more, and how many epochs fit into it depends on the clock.

    Args:
        run: its folder, as `finetune` named it; it need not be there yet.
        device: another one than the run was asked to take.

    Raises:
        UsageError: no such run, or it is finished, or being written now.
        DataError: images or weights have changed.
        TransferkitError: as `finetune`.
    """
    if whole := runs.completed(Path(run)):
        return Run(whole)
    with runs.reopened(Path(run)) as writing:
        asked = read_asked(writing.place)
        if device is not None:
            asked = replace(asked, recipe=asked.recipe.updated({"device": device}, ""))
        check_device_name(asked.recipe.device)
        check_cache()
        check_trackers(asked.recipe)
        carry_out(writing, asked)
    return tracked(Run(writing.folder))
