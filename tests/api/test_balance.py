import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.api.test_finetune import recipe
from tests.api.test_multilabel import draw_several
from transferkit.api import finetune, linear_candidates, tuned_candidates
from transferkit.cli import cli
from transferkit.runs import Run
from transferkit.training.job import Job

BRIGHTNESS = {"common": 110, "rare": 150}


def draw_overlapping(root: Path, train: Mapping[str, int], others: int = 30) -> Path:
    """Given splits of grainy pictures whose brightness tells the class, though not surely."""
    random = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for label, mean in BRIGHTNESS.items():
            (root / split / label).mkdir(parents=True)
            for n in range(train[label] if split == "train" else others):
                pixels = random.normal(random.normal(mean, 25), 40, (48, 48, 3))
                image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
                image.save(root / split / label / f"{n:03d}.png")
    return root


@pytest.fixture
def unequal(tmp_path: Path) -> Path:
    return draw_overlapping(tmp_path / "unequal", {"common": 60, "rare": 8})


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the linear fit and the gradient phase of a run are given."""
    found: dict[str, Any] = {}
    fit_linear, run_phase = linear_candidates.fit_linear, tuned_candidates.run_phase

    def fit(*arguments: Any, **named: Any) -> Any:
        found["fit"] = named["weights"]
        return fit_linear(*arguments, **named)

    def phase(job: Job, *arguments: Any, **named: Any) -> Any:
        found["job"] = job
        return run_phase(job, *arguments, **named)

    monkeypatch.setattr(linear_candidates, "fit_linear", fit)
    monkeypatch.setattr(tuned_candidates, "run_phase", phase)
    return found


def recall(run: Run, split: str = "test") -> dict[str, float]:
    return {row["label"]: row["recall"] for row in run.metrics["splits"][split]["per_class"]}


@pytest.mark.usefixtures("toy")
def test_weights_find_more_of_a_rare_class(unequal: Path, tmp_path: Path):
    runs = {b: finetune(unequal, recipe(strategy="linear", balance=b), out=tmp_path / b) for b in METHODS}
    assert recall(runs["weights"])["rare"] > recall(runs["none"])["rare"] + 0.15
    for name in ("auto", "sampler"):  # the linear classifier, which draws nothing, takes weights for both
        assert (runs[name].folder / "predictions.csv").read_bytes() == (
            runs["weights"].folder / "predictions.csv"
        ).read_bytes()


METHODS = ("auto", "none", "weights", "sampler")


@pytest.mark.usefixtures("toy")
def test_weights_are_told_and_written_down(unequal: Path, tmp_path: Path):
    words = ("--backbone", "toy", "--weights", "none", "--strategy", "linear", "--out", str(tmp_path / "run"))
    told = CliRunner().invoke(cli, ["finetune", str(unequal), *words])
    assert told.exit_code == 0, told.output
    reason = "Classes are weighted: the largest class of train has 7.5 times the images of the smallest"
    assert f"plan: {reason}" in told.stderr
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert plan["balance"]["method"] == plan["resolved"]["balance"] == "weights"
    # 68 / (2 n_c)
    assert plan["balance"]["weights"] == {"common": 0.566667, "rare": 4.25}
    report = (tmp_path / "run" / "report.md").read_text()
    assert reason in report and "| rare | 4.250 |" in report


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(("common", "method"), [(30, "none"), (31, "weights")])
def test_classes_are_weighted_of_themselves_from_over_3_to_1(common: int, method: str, tmp_path: Path):
    data = draw_overlapping(tmp_path / "data", {"common": common, "rare": 10}, others=5)
    run = finetune(data, recipe(strategy="linear"), out=tmp_path / "run")
    assert run.plan["balance"]["method"] == method
    assert bool(run.plan["balance"]["weights"]) == (method == "weights")


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("method", ["none", "weights", "sampler"])
def test_fit_and_phase_are_given_the_weights_of_the_plan(
    method: str, unequal: Path, tmp_path: Path, given: dict[str, Any]
):
    asked = recipe(strategy="finetune-top", balance=method, classifier="logistic")
    run = finetune(unequal, asked, out=tmp_path / "run")
    weights = run.plan["balance"]["weights"]
    expected = [weights["common"], weights["rare"]] if method != "none" else None
    for found in (given["fit"], given["job"].weights):
        assert (None if found is None else found.tolist()) == expected
    assert given["job"].sampler == (method == "sampler")
    assert run.metrics["splits"]["val"]["top1"] >= run.metrics["linear_top1"]["val"]


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("method", ["auto", "sampler"])
def test_images_of_several_classes_are_balanced_too(method: str, tmp_path: Path, given: dict[str, Any]):
    data = draw_several(tmp_path / "several", 90, red=0.12)
    run = finetune(data, recipe(strategy="finetune-top", balance=method), out=tmp_path / "run")
    weights = run.plan["balance"]["weights"]
    assert run.plan["balance"]["ratio"] > 3
    assert weights["red"] > 2 * max(weights["blue"], weights["green"])
    assert given["job"].weights.tolist() == given["fit"].tolist() == list(weights.values())
    assert run.metrics["splits"]["val"]["map"] >= run.metrics["linear_map"]["val"]
    none = finetune(data, recipe(strategy="linear", balance="none"), out=tmp_path / "none")
    assert none.metrics["linear_path"] != run.metrics["linear_path"]
