"""From a folder of images to a reported classifier."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transferkit import runs
from transferkit.api.candidates import Candidate, Work, run_phases
from transferkit.api.inputs import check_cache, find_data, open_training_data, start
from transferkit.backbones.catalogue import BackboneSpec, lookup
from transferkit.backbones.weights import resolve
from transferkit.data.index import Index, check_classes
from transferkit.data.splits import SPLITS, leaks, split_index
from transferkit.plan import Plan, make_plan
from transferkit.progress import say
from transferkit.recipe import AUTO, Recipe
from transferkit.runs import Run
from transferkit.strategies import Phase
from transferkit.timing import Stopwatch
from transferkit.training.bank import Extractor, pooled_bank
from transferkit.training.device import Device, check_device_name

if TYPE_CHECKING:
    import pandas as pd

    from transferkit.evaluation.report import Report


def finetune(
    data: str | Path, recipe: Recipe, *, out: str | Path | None = None, overwrite: bool = False
) -> Run:
    """Train the classifier that a recipe asks for and write its run folder.

    Args:
        data: folder of images, or the name of a public data set.
        recipe: what is asked.
        out: the run folder; None takes `runs/NAME-N`.
        overwrite: replace a run that is there.

    Raises:
        TransferkitError: anything a user can mend; nothing is left at `out` then.
    """
    watch = Stopwatch()
    check_device_name(recipe.device)
    check_cache()
    folder = Path(out) if out is not None else runs.default_folder(str(data))
    runs.check_output(folder, overwrite)
    spec = lookup(recipe.backbone)
    root = find_data(data)
    with watch.part("startup"):
        # First of all, so that missing weights are told before a single image is read.
        weights = resolve(spec, recipe.weights, _path(recipe.weights_dir))
    with watch.part("index"):
        index = open_training_data(root, recipe)
        # What cannot be done is told before the work; the plan in force follows the bank.
        make_plan(recipe, spec, split(index, recipe))
    with watch.part("startup"):
        device, extractor = start(spec, weights, recipe)
    named = f"weights from {weights.name}" if weights else "random weights, nothing pretrained"
    say(f"backbone: {spec.name} at {extractor.policy.size_px} px, {named}")
    work = _prepared(index, spec, recipe, device, extractor, watch, weights=named)
    for reason in work.plan.reasons:
        say(f"plan: {reason}")
    base, best = run_phases(work)
    say(f"kept: {best.name}: {kept_reason(work.plan, base, best)}")
    with runs.writing(folder, overwrite) as writing:
        _write(writing.aside, work, base, best, device, str(data))
    return Run(writing.folder)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def split(index: Index, recipe: Recipe) -> "pd.DataFrame":
    """The index's files with the split that a recipe asks for."""
    test = None if recipe.test_fraction == AUTO else float(recipe.test_fraction)
    return split_index(index, seed=recipe.seed, val_fraction=recipe.val_fraction, test_fraction=test)


def _prepared(
    index: Index,
    spec: BackboneSpec,
    recipe: Recipe,
    device: Device,
    extractor: Extractor,
    watch: Stopwatch,
    *,
    weights: str,
) -> Work:
    """Bank, split and plan of the images that can be read."""
    bank = pooled_bank(extractor, index, watch)
    say(f"bank: {len(index.files) - len(bank.failed)} images, {bank.computed} of them new")
    readable = ~index.files["path"].isin(list(bank.failed)).to_numpy()
    index = index.without(bank.failed)
    if len(index.excluded):
        say(f"left out: {len(index.excluded)} files, listed with their reasons in excluded.csv; such as")
        for path, reason in index.excluded.tail(3).itertuples(index=False):
            say(f"  {path}: {reason}")
    check_classes(index)
    files = split(index, recipe)
    notes = leaks(files)
    for note in notes:
        say(f"WARNING: {note}")
    plan = make_plan(recipe, spec, files)
    class_names = index.labels
    number = {name: i for i, name in enumerate(class_names)}
    return Work(
        recipe=recipe,
        plan=plan,
        index=Index(index.root, files, index.excluded),
        class_names=class_names,
        labels=files["label"].map(number).to_numpy(dtype=np.int64),
        rows={split: np.flatnonzero(files["split"] == split) for split in SPLITS},
        bank=bank.keep(np.flatnonzero(readable)),
        extractor=extractor,
        jit=device.jit,
        watch=watch,
        notes=notes,
        weights=weights,
    )


def kept_reason(plan: Plan, base: Candidate, best: Candidate) -> str:
    """Why the run keeps what it keeps, in one sentence."""
    if best.name == base.name:
        if len(plan.phases) == 1:
            return f"nothing else was asked for; val top-1 {base.score[0]:.1%}."
        return f"nothing else beat its val top-1 of {base.score[0]:.1%}."
    if best.score[0] > base.score[0]:
        return f"val top-1 {best.score[0]:.1%} against {base.score[0]:.1%} of the linear classifier."
    return (
        f"val top-1 equal at {best.score[0]:.1%}, val log-loss {-best.score[1]:.4f} "
        f"against {-base.score[1]:.4f} of the linear classifier."
    )


def _write(folder: Path, work: Work, base: Candidate, best: Candidate, device: Device, data: str) -> None:
    """Everything in the run folder; the clock stops with the last file."""
    import pandas as pd

    from transferkit.evaluation.predictions import predictions_frame
    from transferkit.reports import markdown
    from transferkit.training.model import freeze_batch_norm

    with work.watch.part("report"):
        freeze_batch_norm(best.model)
        best.model.save(folder / "model.keras")
        runs.write_json(folder / "labels.json", work.class_names)
        (folder / "recipe.yaml").write_text(work.recipe.with_absolute_paths().to_yaml(), encoding="utf-8")
        runs.write_json(folder / "plan.json", work.plan.as_dict())
        runs.write_csv(folder / "splits.csv", work.index.files[["path", "label", "split"]])
        runs.write_csv(folder / "content.csv", work.index.files[["sha256", "split"]])
        runs.write_csv(folder / "excluded.csv", work.index.excluded)
        history = pd.DataFrame(best.history, columns=list(runs.HISTORY_COLUMNS))
        runs.write_csv(folder / "history.csv", history)
    with work.watch.part("evaluation"):
        report = make_report(work, base, best, device, data)
        frames = [
            predictions_frame(
                list(work.index.files["path"].iloc[work.rows[split]]),
                work.labels[work.rows[split]],
                split,
                probabilities=found,
                class_names=work.class_names,
            )
            for split, found in best.probabilities.items()
        ]
        runs.write_csv(folder / "predictions.csv", pd.concat(frames))
        runs.write_json(folder / "metrics.json", report.metrics())
    with work.watch.part("report"):
        markdown.write(report, folder)
    runs.write_json(folder / "environment.json", _environment(work, device))


def _environment(work: Work, device: Device) -> dict[str, Any]:
    return {
        "versions": runs.versions(),
        "backend": device.backend,
        "device": device.name,
        "precision": device.precision,
        "seed": work.recipe.seed,
        "seconds": work.watch.seconds(),
    }


def make_report(work: Work, base: Candidate, best: Candidate, device: Device, data: str) -> "Report":
    """The report's numbers, from the candidates' probabilities."""
    from transferkit.evaluation.metrics import evaluate, majority_top1
    from transferkit.evaluation.report import Data, Decision, Report

    assert base.fitted is not None
    labels = {split: work.labels[rows] for split, rows in work.rows.items()}
    by_split = work.index.files.groupby("split")["label"]
    found = best.probabilities
    return Report(
        title=Path(data).resolve().name,
        data=Data(
            name=data,
            classes=len(work.class_names),
            counts={str(s): {str(k): int(n) for k, n in c.value_counts().items()} for s, c in by_split},
            excluded=tuple(work.index.excluded.itertuples(index=False, name=None)),
        ),
        class_names=tuple(work.class_names),
        backbone=f"{work.plan.backbone} ({work.weights})",
        strategy=work.plan.strategy,
        decision=Decision(
            quadrant=work.plan.quadrant,
            similarity=work.plan.similarity,
            amount=work.plan.amount,
            reasons=work.plan.reasons,
            phases=tuple(_shown(phase) for phase in work.plan.phases),
        ),
        splits={s: evaluate(p, labels[s], work.class_names) for s, p in found.items()},
        linear_top1={s: _top1(p, labels[s]) for s, p in base.probabilities.items()},
        majority_top1={s: majority_top1(labels["train"], labels[s]) for s in found},
        kept=best.name,
        kept_reason=kept_reason(work.plan, base, best),
        history=tuple(best.history),
        linear_l2=base.fitted.l2,
        linear_path=tuple(vars(tried) for tried in base.fitted.path),
        seconds=work.watch.seconds(),
        notes=(*work.notes, *best.notes),
        environment={
            "weights": work.weights,
            "device": device.name,
            "precision": device.precision,
            **runs.versions(),
        },
    )


def _shown(phase: Phase) -> dict[str, Any]:
    """A phase without what says nothing to its kind."""
    rest = ("epochs", "patience", "learning_rate")
    return {k: v for k, v in vars(phase).items() if phase.kind == "finetune" or k not in rest}


def _top1(probabilities: np.ndarray, labels: np.ndarray) -> float:
    from transferkit.evaluation.metrics import top_k_hits

    return float(top_k_hits(probabilities, labels, 1).mean())
