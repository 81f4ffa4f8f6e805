"""From a folder of images to a reported classifier."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transferkit import runs
from transferkit.api.augmenting import with_augmentation
from transferkit.api.candidates import kept_reason, run_phases
from transferkit.api.costing import pilot_bank
from transferkit.api.crossval import cross_validate
from transferkit.api.deciding import decide
from transferkit.api.fixing import fixes_note
from transferkit.api.inputs import Data, check_cache, check_layers, check_source, start, with_policy
from transferkit.api.reporting import make_report, predictions, proofs
from transferkit.api.run import Run
from transferkit.api.settling import open_training_data, settle
from transferkit.api.telling import told
from transferkit.api.tracking import check_trackers, tracked
from transferkit.api.unfinished import Asked, begin, keep_asked, known_plan
from transferkit.api.work import Candidate, Work
from transferkit.backbone.catalogue import BackboneSpec, lookup
from transferkit.backbone.weights import resolve
from transferkit.data.audit import audit
from transferkit.data.examine import Examined
from transferkit.data.index import Index, check_classes
from transferkit.data.splits import SPLITS, fold_numbers
from transferkit.errors import UsageError
from transferkit.planning import Plan, make_plan
from transferkit.printable import shown, visible
from transferkit.progress import say
from transferkit.recipe import Asking, Recipe, recipe_of
from transferkit.reports import pages, record
from transferkit.reports.board import Board
from transferkit.timing import Deadline, Stopwatch
from transferkit.training.bank import Extractor, pooled_bank
from transferkit.training.device import Device, check_device_name
from transferkit.training.model import check_has_batchnorm
from transferkit.training.stochastic_depth import check_has_branches

if TYPE_CHECKING:
    import pandas as pd


def finetune(
    data: Data,
    recipe: Asking = None,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    **settings: Any,
) -> Run:
    """Train the classifier that a recipe asks for and write its run folder.

    Ctrl-C while a network is fine-tuned ends the step; what is best so far is reported then, and
    `Run.interrupted` tells it. A run that is stopped in any other way can be gone on with, see `resume`.

    Args:
        data: folder of images, manifest (CSV or Parquet), archive, DataFrame of `path,label[,split]
            [,group]`, or the name of a public data set.
        recipe: what is asked: a recipe, the name of one, its file, or keys and values.
        out: the run folder; None takes `runs/NAME-N`.
        overwrite: replace a run that is there.
        settings: keys of the recipe, such as `backbone="resnet50"`; they win over it.

    Raises:
        TransferkitError: anything a user can mend; nothing is left at `out` then.
    """
    recipe = recipe_of(recipe, settings)
    check_device_name(recipe.device)
    check_cache()
    name = str(data) if isinstance(data, (str, Path)) else "table"
    folder = Path(out) if out is not None else runs.default_folder(name)
    runs.check_output(folder, overwrite)
    lookup(recipe.backbone)
    recipe = with_policy(recipe)
    check_source(data)
    if recipe.against is not None:
        _check_against(recipe.against)
    check_trackers(recipe)
    asked = Asked(data, recipe, name)
    with runs.writing(folder, overwrite) as writing:
        keep_asked(writing, asked)
        carry_out(writing, asked)
    return tracked(Run(writing.folder))


def _check_against(folder: str) -> None:
    """Refuse an earlier run that cannot be compared with, before any work.

    Raises:
        UsageError, DataError: no run, of images of several classes, or damaged.
    """
    earlier = Run.open(folder)
    if earlier.multilabel:
        raise UsageError(f"--against {folder}: its images may have several classes; there is no top-1.")
    _ = earlier.judged  # reads all that is needed


def carry_out(writing: runs.Writing, asked: Asked) -> None:
    """Do what is asked, from the start or from where an earlier process came to.

    Raises:
        TransferkitError: anything a user can mend.
    """
    watch, deadline, recipe = Stopwatch(), Deadline.after(asked.recipe.time_limit), asked.recipe
    go_on = f"transferkit finetune --resume {runs.shown(writing.folder)}"
    say(f"run: {runs.shown(writing.folder)}; if it is stopped: {go_on}")
    spec = lookup(recipe.backbone)
    known = known_plan(writing.place)
    with watch.part("startup"):
        # First of all, so that missing weights are told before a single image is read.
        weights = resolve(spec, recipe.weights, _path(recipe.weights_dir), offline=recipe.offline)
        check_layers(recipe, spec)
    with watch.part("index"):
        examined = open_training_data(asked.data, recipe)
        # What cannot be done is told before the work; the plan in force follows the bank.
        plan = known or planned(examined.usable, recipe, spec)
    with watch.part("startup"):
        device, extractor = start(spec, weights, recipe, plan.resize)
    named = f"weights from {weights.name}" if weights else "random weights, nothing pretrained"
    say(f"backbone: {spec.name} at {extractor.policy.size_px} px, {named}")
    if recipe.strategy == "batchnorm":
        check_has_batchnorm(extractor.network)
    check_has_branches(extractor.network, recipe.stochastic_depth)
    limited = known is None and recipe.time_limit is not None
    timed = pilot_bank(extractor, examined.usable, deadline.left()) if limited else None
    work = prepared(examined, spec, recipe, device, extractor, watch, weights=named, plan=known)
    work = replace(work, deadline=deadline)
    if known is None:
        work = replace(work, plan=decide(work, spec, weights, timed))
    _train(writing, with_augmentation(work), device, asked.name, go_on)


def _train(writing: runs.Writing, work: Work, device: Device, data: str, go_on: str) -> None:
    """Do what the plan says and write the run folder."""
    board = Board(writing.aside) if work.recipe.tensorboard else None
    work = replace(work, follow=board.follow if board else None)
    states = begin(writing, work)
    for reason in work.plan.reasons:
        say(f"plan: {reason}")
    base, best = run_phases(work, states)
    if best.interrupted:
        writing.interrupted = True
        best = replace(best, notes=[*best.notes, f"This run was interrupted. To go on with it: {go_on}"])
    say(f"kept: {best.name}: {kept_reason(work, base, best)}")
    _write(writing.aside, work, base, best, device, data)
    if board:
        board.finish(record.read(writing.aside), work.recipe.as_dict(), writing.folder.name)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def planned(index: Index, recipe: Recipe, spec: BackboneSpec) -> Plan:
    """The plan for images that have been looked at, split as the recipe asks."""
    settled = settle(index, recipe).index
    plan = make_plan(recipe, spec, settled)
    asked = {"--against": recipe.against, "--min-top1": recipe.min_top1}
    if index.multilabel and any(value is not None for value in asked.values()):
        named = ", ".join(key for key, value in asked.items() if value is not None)
        raise UsageError(f"{named}: these images have several classes, and so no top-1. Leave it out.")
    fold_rows(index, settled.files, recipe)
    return plan


def fold_rows(index: Index, files: "pd.DataFrame", recipe: Recipe) -> np.ndarray | None:
    """The fold of each row for cross-validation, -1 for those of a given test split; None without.

    Raises:
        DataError, UsageError: see `fold_numbers`.
    """
    if not recipe.folds:
        return None
    given = (index.files["split"] == "test").any()
    asked = np.flatnonzero(files["split"] != "test") if given else np.arange(len(files))
    folds = np.full(len(files), -1)
    folds[asked] = fold_numbers(files.iloc[asked], recipe.folds, recipe.seed, index.multilabel)
    return folds


def prepared(
    examined: Examined,
    spec: BackboneSpec,
    recipe: Recipe,
    device: Device,
    extractor: Extractor,
    watch: Stopwatch,
    *,
    weights: str,
    plan: Plan | None = None,
) -> Work:
    """Bank, split and plan of the images that can be read; `plan` where one is in force."""
    # What the scan could decode the bank can too, unless memory or the file has changed since.
    bank = pooled_bank(extractor, examined.usable, watch)
    say(f"bank: {len(bank) - len(bank.failed)} images, {bank.computed} of them new")
    readable = examined.usable.without(bank.failed)
    check_classes(readable)
    with watch.part("index"):
        found = audit(examined).findings
    index, notes = _settled(readable, recipe, found)
    plan = plan or make_plan(recipe, spec, index)
    class_names = index.labels
    place = {path: row for row, path in enumerate(examined.usable.files["path"])}
    weight = plan.balance.weights
    return Work(
        recipe=recipe,
        plan=plan,
        index=index,
        class_names=class_names,
        labels=index.targets({name: i for i, name in enumerate(class_names)}, len(class_names)),
        rows={split: np.flatnonzero(index.files["split"] == split) for split in SPLITS},
        bank=bank.keep(np.array([place[path] for path in index.files["path"]])),
        extractor=extractor,
        jit=device.jit,
        watch=watch,
        notes=notes,
        weights=weights,
        class_weights=np.array([weight[name] for name in class_names]) if weight else None,
        folds=fold_rows(readable, index.files, recipe),
        findings={str(kind): int(n) for kind, n in found["finding"].value_counts().items()},
    )


def _settled(readable: Index, recipe: Recipe, findings: "pd.DataFrame") -> tuple[Index, list[str]]:
    """The images with their splits, and what is to be known of them, which is told too."""
    settled = settle(readable, recipe)
    notes = [*settled.notes, *_conflicts(findings)]
    if recipe.fixes:
        notes.append(fixes_note(settled.index.files, recipe.fixes))
    _tell(settled.index, notes)
    return settled.index, notes


def _conflicts(findings: "pd.DataFrame") -> list[str]:
    """What the audit found that spoils labels; it is trained on, for who knows which label is right."""
    wrong = findings[findings["finding"] == "label-conflict"]
    if wrong.empty:
        return []
    path, detail = wrong["path"].iloc[0], wrong["detail"].iloc[0]
    return [
        f"WARNING: {wrong['path'].nunique()} files show a picture that stands under another label too, "
        f"such as {shown(path)}: {visible(detail)}. 'transferkit inspect DATA --exclude-list FILE' lists them"
    ]


def _tell(index: Index, notes: list[str]) -> None:
    if len(index.excluded):
        say(f"left out: {len(index.excluded)} files, listed with their reasons in excluded.csv; such as")
        for path, reason in index.excluded[["path", "reason"]].tail(3).itertuples(index=False):
            say(f"  {shown(path)}: {visible(reason)}")
    for note in notes:
        say(note)


def _write(folder: Path, work: Work, base: Candidate, best: Candidate, device: Device, data: str) -> None:
    """Everything in the run folder; the clock stops with the last file."""
    import pandas as pd

    from transferkit.training.model import freeze_batch_norm

    files = work.index.files
    with work.watch.part("report"):
        freeze_batch_norm(best.model)
        best.model.save(folder / "model.keras")
        runs.write_json(folder / "labels.json", work.class_names)
        (folder / "recipe.yaml").write_text(work.recipe.with_absolute_paths().to_yaml(), encoding="utf-8")
        runs.write_json(folder / "plan.json", work.plan.as_dict() | proofs(best, work.extractor.stages))
        groups = ["group"] if (files["group"] != "").any() else []
        runs.write_csv(folder / "splits.csv", files[["path", "label", "split", *groups]])
        runs.write_csv(folder / "content.csv", files[["path", "sha256", "split"]])
        runs.write_csv(folder / "excluded.csv", work.index.excluded[["path", "reason"]])
        columns = [*runs.HISTORY_COLUMNS, *(["val_map"] if work.multilabel else [])]
        runs.write_csv(folder / "history.csv", pd.DataFrame(best.history, columns=columns))
    cross = cross_validate(work)
    more = told(work, best, device, folder)
    with work.watch.part("evaluation"):
        report = make_report(work, base, best, device, data, cross, **more)
        runs.write_csv(folder / "predictions.csv", predictions(work, best))
        runs.write_json(folder / "metrics.json", report.metrics())
    for found in report.diagnosis:
        say(f"diagnosis: {found.sentence}")
    with work.watch.part("report"):
        record.write(report, folder)
        pages.write(report, folder)
    runs.write_json(folder / "environment.json", _environment(work, device))


def _environment(work: Work, device: Device) -> dict[str, Any]:
    return {
        "versions": runs.versions(device.backend),
        "backend": device.backend,
        "device": device.name,
        "precision": device.precision,
        "seed": work.recipe.seed,
        "seconds": work.watch.seconds(),
    }
