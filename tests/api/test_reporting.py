"""What a report claims of its splits, and on which of them it decides."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from transferkit.api.reporting import _data, _metrics, _over_linear, _shown, predictions
from transferkit.data.index import Index, excluded_table
from transferkit.recipe import Recipe
from transferkit.strategies import STRATEGIES, Setting

COLUMNS = ["path", "sha256", "split", "group", "cluster"]
PAIRS = ("train & val", "train & test", "val & test")


def claimed(*rows: tuple[object, ...], **values: Any) -> dict[str, dict[str, int]]:
    """What the report of these files says that their splits share."""
    files = pd.DataFrame(rows, columns=COLUMNS).assign(label="a")
    work = SimpleNamespace(
        index=Index(Path("toys"), files, excluded_table([])),
        recipe=Recipe(**values),
        class_names=["a"],
        findings={},
    )
    return dict(_data(work, "toys").intersections)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "leak"),
    [
        ("path", ("1", "d", "test", "z", 4)),
        ("content", ("4", "a", "test", "z", 4)),
        ("group", ("4", "d", "test", "x", 4)),
        ("near duplicates", ("4", "d", "test", "z", 1)),
    ],
)
def test_what_train_and_test_share_is_counted_in_the_files(what: str, leak: tuple[object, ...]):
    rows = [("1", "a", "train", "x", 1), ("2", "b", "val", "y", 2), ("3", "c", "test", "", 3), leak]
    none = dict.fromkeys(PAIRS, 0)
    expected = {name: none for name in ("path", "content", "group", "near duplicates")}
    assert claimed(*rows) == expected | {what: none | {"train & test": 1}}


def test_nothing_is_claimed_of_groups_that_were_not_given_or_pictures_that_were_not_compared():
    rows = [("1", "a", "train", "", 1), ("2", "b", "val", "", 1)]
    assert set(claimed(*rows)) == {"path", "content", "near duplicates"}
    assert set(claimed(*rows, near_duplicates="ignore")) == {"path", "content"}


def several() -> tuple[Any, Any]:
    """A run on images of several classes whose val is best cut at 0.3 and test at 0.8."""
    labels = np.array([[1, 0], [0, 1]] * 2)
    best = {"val": [[0.4, 0.2], [0.2, 0.4]], "test": [[0.9, 0.7], [0.7, 0.9]]}
    work = SimpleNamespace(
        labels=labels,
        rows={"val": np.array([0, 1]), "test": np.array([2, 3])},
        class_names=["a", "b"],
        multilabel=True,
        index=SimpleNamespace(files=pd.DataFrame({"path": list("wxyz")})),
    )
    return work, SimpleNamespace(probabilities={split: np.array(p) for split, p in best.items()})


def test_the_threshold_is_chosen_on_val():
    work, best = several()
    found = _metrics(work, best)
    assert [found[split].threshold for split in ("val", "test")] == pytest.approx([0.3, 0.3])  # type: ignore[union-attr]
    assert predictions(work, best)["pred"].to_list() == ["a", "b", "a|b", "a|b"]


def test_of_a_linear_phase_the_features_that_were_chosen_are_told():
    setting = Setting(stages=("stage1", "stage2"), train_images=60, classes=3)
    phase = STRATEGIES["multistage"](setting)[-1]
    taken = SimpleNamespace(features=phase.choices[-1])
    told = _shown(phase, SimpleNamespace(chosen={"multistage": (taken,)}))["trains"]  # type: ignore[arg-type]
    assert told.startswith(f"a linear classifier on {phase.choices[-1].name} (chosen from ")
    assert f"{len(phase.choices)} sets" in told and len(phase.choices) > 1


def test_what_is_kept_stands_beside_the_linear_classifier_image_by_image():
    labels = np.array([0, 1, 0, 1, 1, 0])
    work: Any = SimpleNamespace(
        multilabel=False, labels=labels, rows={"val": np.arange(2), "test": np.arange(2, 6)}
    )
    right = np.eye(2)[labels[2:]]
    base: Any = SimpleNamespace(name="linear", probabilities={"test": right[::-1], "val": np.eye(2)})
    same: Any = SimpleNamespace(name="linear", probabilities={})
    best: Any = SimpleNamespace(name="multistage", probabilities={"test": right, "val": np.eye(2)})
    found: Any = _over_linear(work, base, best)
    # Turned round, 0 1 1 0 is right everywhere: it is its own mirror. Shifted by one it is on two of four.
    assert (found.n, found.only_first, found.only_second) == (4, 0, 0)
    base.probabilities["test"] = np.roll(right, 1, axis=0)
    found = _over_linear(work, base, best)
    assert (found.only_first, found.only_second, found.difference) == (0, 2, 0.5)
    assert _over_linear(work, base, same) is None
    best.probabilities.pop("test")
    found = _over_linear(work, base, best)
    assert found.n == 2
