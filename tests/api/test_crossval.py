from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.api.test_finetune import recipe
from tests.api.test_multilabel import draw_several
from tests.bad_files import jpeg, picture
from tests.conftest import draw_classes
from transferkit.api import crossval, finetune
from transferkit.api.work import Work
from transferkit.errors import UsageError
from transferkit.strategies import Phase
from transferkit.training.linear import LinearClassifier


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """The rows that each fold trained on, chose with and judged, one after another."""
    asked: list[set[int]] = []
    fit, seen = crossval.fit, crossval.seen

    def fitting(work: Work, phase: Phase, train: np.ndarray, val: np.ndarray) -> Any:
        asked.extend((set(train.tolist()), set(val.tolist())))
        return fit(work, phase, train, val)

    def judging(work: Work, fitted: LinearClassifier, rows: np.ndarray) -> np.ndarray:
        asked.append(set(rows.tolist()))
        return seen(work, fitted, rows)

    monkeypatch.setattr(crossval, "fit", fitting)
    monkeypatch.setattr(crossval, "seen", judging)
    return asked


@pytest.mark.usefixtures("toy")
def test_each_fold_is_judged_once_by_what_has_not_seen_it(
    photos: Path, tmp_path: Path, looks: list[set[int]]
):
    run = finetune(photos, recipe(strategy="linear", folds=4), out=tmp_path / "run")
    found = run.metrics["cross_validation"]["linear"]
    assert found["folds"] == len(found["scores"]) == 4
    assert found["n"] == 60 and found["measure"] == "top1"
    assert found["mean"] == pytest.approx(np.mean(found["scores"]))
    assert found["ci95"][0] <= found["mean"] <= found["ci95"][1]
    folds = [looks[-12:][start : start + 3] for start in (0, 3, 6, 9)]
    for train, val, judged in folds:
        assert not train & val and not train & judged and not val & judged
        assert train | val | judged == set(range(60))
    assert sorted(row for _, _, judged in folds for row in judged) == list(range(60))
    assert sorted(row for _, val, _ in folds for row in val) == list(range(60))
    assert "## Cross-validation" in (run.folder / "report.md").read_text()


@pytest.mark.usefixtures("toy")
def test_folds_change_nothing_else(photos: Path, tmp_path: Path):
    runs = [
        finetune(photos, recipe(strategy="multistage", folds=folds), out=tmp_path / f"run-{folds}")
        for folds in (0, 3)
    ]
    for file in ("predictions.csv", "splits.csv", "labels.json", "plan.json"):
        assert (runs[0].folder / file).read_bytes() == (runs[1].folder / file).read_bytes(), file
    without, with_folds = (run.metrics for run in runs)
    assert without.pop("cross_validation") == {}
    assert set(with_folds.pop("cross_validation")) == {"linear", "multistage"}
    assert without == with_folds


@pytest.mark.usefixtures("toy")
def test_images_of_a_given_test_are_in_no_fold(tmp_path: Path, looks: list[set[int]]):
    draw_classes(tmp_path / "data" / "train", 12)
    draw_classes(tmp_path / "data" / "test", 4, seed=500)
    run = finetune(tmp_path / "data", recipe(strategy="linear", folds=3), out=tmp_path / "run")
    assert run.metrics["cross_validation"]["linear"]["n"] == 36
    rows = set().union(*looks[-9:])
    paths = (run.folder / "splits.csv").read_text().splitlines()[1:]
    assert {paths[row].split("/")[0] for row in rows} == {"train"} and len(rows) == 36


@pytest.mark.usefixtures("toy")
def test_a_picture_saved_again_is_in_the_fold_of_the_first(tmp_path: Path, looks: list[set[int]]):
    for label in ("cats", "dogs"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for n in range(10):
            pixels = picture(f"{label} {n}", 128, 128, cells=8)
            for name, quality in (("a", 92), ("b", 60)):
                (tmp_path / "data" / label / f"{n:02d}-{name}.jpg").write_bytes(jpeg(pixels, quality))
    run = finetune(tmp_path / "data", recipe(strategy="linear", folds=3), out=tmp_path / "run")
    paths = [line.split(",")[0] for line in (run.folder / "splits.csv").read_text().splitlines()[1:]]
    for judged in looks[-9:][2::3]:
        names = {paths[row] for row in judged}
        assert {name[:-5] for name in names if name.endswith("a.jpg")} == {
            name[:-5] for name in names if name.endswith("b.jpg")
        }


@pytest.mark.usefixtures("toy")
def test_folds_of_several_labels_are_judged_by_map(tmp_path: Path):
    data = draw_several(tmp_path / "several", 60)
    run = finetune(data, recipe(strategy="linear", folds=3), out=tmp_path / "run")
    found = run.metrics["cross_validation"]["linear"]
    assert found["measure"] == "map" and found["n"] == 60
    assert found["mean"] > run.metrics["baseline_map"]["val"]


@pytest.mark.parametrize("folds", [1, 2])
@pytest.mark.usefixtures("toy")
def test_fewer_than_three_folds_are_refused(folds: int, photos: Path, tmp_path: Path):
    with pytest.raises(UsageError, match=f"folds {folds} is not allowed: 0 .none., or 3 and more"):
        finetune(photos, recipe(strategy="linear", folds=folds), out=tmp_path / "run")
