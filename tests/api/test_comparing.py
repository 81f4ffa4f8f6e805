import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.api.test_finetune import recipe
from tests.api.test_telling import call
from tests.conftest import draw_classes
from transferkit.api import finetune
from transferkit.api.comparing import answered, compare, names_of
from transferkit.errors import UsageError
from transferkit.reports import record
from transferkit.runs import Run

pytestmark = [pytest.mark.told, pytest.mark.usefixtures("toy")]


@pytest.fixture
def run(photos: Path, tmp_path: Path) -> Run:
    return finetune(photos, recipe(strategy="linear"), out=tmp_path / "run")


def frame(*rows: tuple[str, str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["sha256", "label", "pred", "top5"])


def test_runs_are_judged_on_the_images_of_all_whose_labels_agree():
    first = frame(
        ("1", "a|b", "a|b", r"a\|b|c"), ("2", "c", "d", "d|c"), ("3", "d", "d", "d"), ("4", "c", "", "")
    )
    second = frame(
        ("4", "c", "c", "c|d"),
        ("2", "c", "a|b", r"a\|b|d"),
        ("1", "a|b", "c", r"c|a\|b"),
        ("3", "c", "c", "c"),
    )
    found = answered([first, second, frame(("5", "c", "c", "c"), *second.itertuples(index=False))])
    assert (found.images, found.left_out, found.relabelled) == (3, 1, 1)
    assert [list(right) for right in found.right[:2]] == [[True, False, False], [False, False, True]]
    assert [list(within) for within in found.within[:2]] == [[True, True, False], [True, False, True]]


def test_folders_are_called_by_as_much_of_their_paths_as_tells_them_apart():
    assert names_of([Path("/runs/a"), Path("/runs/b")]) == ["a", "b"]
    assert names_of([Path("/x/a/final"), Path("/x/b/final"), Path("/x/c")]) == ["a/final", "b/final", "x/c"]
    assert names_of([Path("/x/a"), Path("/x/a"), Path("/x/b")]) == ["a", "a", "b"]


def test_runs_are_compared_on_the_images_of_both(run: Run, photos: Path, tmp_path: Path):
    other = finetune(photos, recipe(strategy="multistage", against=str(run.folder)), out=tmp_path / "other")
    found = compare([run.folder, other.folder])
    assert found.images == run.metrics["splits"]["test"]["n"] and found.left_out == 0
    first, second = found.runs
    assert first.against_first is None and second.against_first is not None
    assert second.top1 == other.metrics["splits"]["test"]["top1"]
    assert second.against_first.difference == pytest.approx(second.top1 - first.top1)
    told = record.read(other.folder).against
    assert told is not None and told.paired == second.against_first
    shown = repr(found)
    assert "run " in shown and "other " in shown and f"{found.images} images of test" in shown
    assert "<table" in found._repr_html_()
    result = call("compare", run.folder, other.folder, "--out", tmp_path / "both.html")
    assert result.exit_code == 0 and "not distinguishable on n=" in result.stdout
    assert "McNemar" in (tmp_path / "both.html").read_text()
    document = json.loads(call("compare", run.folder, other.folder, "--json").stdout)
    assert [one["name"] for one in document["runs"]] == ["run", "other"]


def test_several_runs_are_told_apart_by_holms_p_and_by_their_folders(run: Run, tmp_path: Path):
    wrong = {"": 0, "a": 3, "b": 4, "c": 5}
    for name, count in wrong.items():
        one = shutil.copytree(run.folder, tmp_path / name / "final")
        frame = pd.read_csv(one / "predictions.csv")
        test = frame.index[(frame["split"] == "test") & (frame["label"] == frame["pred"])]
        frame.loc[test[:count], "pred"] = "none"
        frame.to_csv(one / "predictions.csv", index=False)
    folders = [tmp_path / name / "final" for name in wrong]
    found = compare(folders)
    assert [one.name for one in found.runs] == [f"{tmp_path.name}/final", "a/final", "b/final", "c/final"]
    # Two-sided of 3, 4 and 5 coins that all fall alike: the smallest times 3, the next times 2.
    each = [(one.against_first.p, one.against_first.p_holm) for one in found.runs if one.against_first]
    assert each == [
        (pytest.approx(2 * 0.5**n), pytest.approx(p)) for n, p in ((3, 0.25), (4, 2 * 0.125), (5, 3 * 0.0625))
    ]
    alone = compare(folders[::3]).runs[1].against_first
    assert alone is not None and alone.p == pytest.approx(2 * 0.5**5) and alone.p_holm is None
    page = tmp_path / "all.html"
    assert call("compare", *folders, "--out", page).exit_code == 0
    assert "Holm" in page.read_text() and "c/final" in page.read_text()
    assert not found.grouped and "one group" not in page.read_text()
    numbers = json.loads((run.folder / "report.json").read_text())
    numbers["data"]["intersections"]["group"] = {"train-val": 0}
    (folders[1] / "report.json").write_text(json.dumps(numbers))
    assert compare(folders).grouped and "one group" in call("compare", *folders).stdout


def test_runs_that_share_nothing_are_not_compared(run: Run, tmp_path: Path):
    other = finetune(
        draw_classes(tmp_path / "b", 20, seed=900), recipe(strategy="linear"), out=tmp_path / "other"
    )
    with pytest.raises(UsageError, match="no image of test was judged by all 2 runs"):
        compare([run.folder, other.folder])
    with pytest.raises(UsageError, match="two runs at least"):
        compare([run.folder])


def test_labels_that_differ_between_runs_judge_neither(run: Run, tmp_path: Path):
    other = shutil.copytree(run.folder, tmp_path / "other")
    frame = pd.read_csv(other / "predictions.csv")
    names = sorted(set(frame["label"]))
    test = frame.index[frame["split"] == "test"]
    frame.loc[test[:3], "label"] = [names[(names.index(label) + 1) % 3] for label in frame["label"][test[:3]]]
    frame.to_csv(other / "predictions.csv", index=False)
    found = compare([run.folder, other])
    assert (found.images, found.relabelled) == (len(test) - 3, 3)
    paired = found.runs[1].against_first
    assert paired is not None and paired.difference == 0
