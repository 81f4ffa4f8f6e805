import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from transferkit import progress, runs
from transferkit.errors import DataError, OutputExists, RecipeError, UsageError
from transferkit.recipe import Recipe
from transferkit.runs import (
    Run,
    check_output,
    completed,
    default_folder,
    reopened,
    unfinished,
    write_csv,
    write_json,
    writing,
)

RUN_FILES = ("model.keras", "labels.json", "plan.json", "recipe.yaml")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with the files that every run has."""
    folder = tmp_path / "runs" / "pets-1"
    folder.mkdir(parents=True)
    (folder / "model.keras").write_bytes(b"")
    write_json(folder / "labels.json", ["кошка", "dog"])
    write_json(folder / "plan.json", {"strategy": "linear"})
    (folder / "recipe.yaml").write_text(Recipe(seed=3).to_yaml())
    return folder


def below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_block_that_ends_well_leaves_its_folder(tmp_path: Path) -> None:
    with writing(tmp_path / "runs" / "a") as result:
        (result.aside / "file").write_text("x")
    assert below(tmp_path) == ["runs", "runs/a", "runs/a/file"]


def test_until_the_block_ends_nothing_is_there(tmp_path: Path) -> None:
    with writing(tmp_path / "a"):
        assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_block_that_fails_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), writing(tmp_path / "a") as result:
        (result.aside / "file").write_text("x")
        raise error
    assert below(tmp_path) == []


def test_a_block_that_fails_leaves_what_was_there(run: Path) -> None:
    before = below(run.parent)
    with pytest.raises(RuntimeError), writing(run) as result:
        (result.aside / "plan.json").write_text("half")
        raise RuntimeError
    assert below(run.parent) == before
    assert Run.open(run).plan == {"strategy": "linear"}


def test_a_block_that_ends_well_replaces_what_was_there(run: Path) -> None:
    with writing(run, overwrite=True) as result:
        (result.aside / "new").write_text("x")
    assert below(run.parent) == ["pets-1", "pets-1/new"]


def test_a_folder_that_was_filled_meanwhile_is_not_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    progress.show()
    with writing(tmp_path / "a") as mine:
        (mine.aside / "file").write_text("mine")
        with writing(tmp_path / "a") as theirs:
            (theirs.aside / "file").write_text("theirs, late")
            (tmp_path / "a").mkdir()
            (tmp_path / "a" / "file").write_text("theirs")
    assert (tmp_path / "a" / "file").read_text() == "theirs"
    assert {mine.folder.name, theirs.folder.name} == {"a-2", "a-3"}
    assert "was filled by another run meanwhile" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["labels.json", "recipe.yaml"])
def test_a_damaged_run_is_told(run: Path, name: str) -> None:
    (run / name).write_text("{")
    with pytest.raises(DataError, match=f"is damaged: {name}"):
        _ = (Run.open(run).recipe, Run.open(run).labels)


def test_a_link_stays_a_link_to_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    with writing(tmp_path / "link") as result:
        (result.aside / "file").write_text("x")
    assert (tmp_path / "link").is_symlink()
    assert below(tmp_path) == ["disk", "disk/file", "link"]


def test_a_new_and_an_empty_folder_will_do(tmp_path: Path) -> None:
    check_output(tmp_path / "new" / "newer", overwrite=False)
    (tmp_path / "empty").mkdir()
    check_output(tmp_path / "empty", overwrite=False)


def test_a_folder_that_holds_something_is_refused(run: Path) -> None:
    with pytest.raises(OutputExists) as caught:
        check_output(run, overwrite=False)
    told = f"--out {run} is not empty. Give another folder, or --overwrite to replace it."
    assert str(caught.value) == told


def test_a_run_may_be_overwritten_on_request(run: Path) -> None:
    check_output(run, overwrite=True)


@pytest.mark.parametrize("missing", ["recipe.yaml", "plan.json", "labels.json"])
def test_overwrite_leaves_a_folder_alone_that_is_no_run(run: Path, missing: str) -> None:
    (run / missing).unlink()
    with pytest.raises(OutputExists, match="no run of transferkit, so --overwrite leaves it alone"):
        check_output(run, overwrite=True)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_as_output_is_refused(run: Path, overwrite: bool) -> None:
    with pytest.raises(UsageError, match=r"plan\.json is a file\. Give a folder that is new or empty"):
        check_output(run / "plan.json", overwrite)


def test_a_folder_below_a_file_is_refused(run: Path) -> None:
    with pytest.raises(UsageError) as caught:
        check_output(run / "plan.json" / "a" / "b", overwrite=False)
    assert f"{run / 'plan.json'} is a file" in str(caught.value)


@pytest.mark.parametrize("out", [".", ".."])
def test_the_folder_we_are_in_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UsageError, match="is the folder we are in"):
        check_output(Path(out), overwrite=True)


def test_a_run_is_read_back(run: Path) -> None:
    found = Run.open(str(run))
    assert found.labels == ["кошка", "dog"]
    assert found.plan == {"strategy": "linear"}
    assert found.recipe == Recipe(seed=3)


def test_a_run_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Run.open(tmp_path / "none")
    assert str(caught.value) == (
        f"no such run: {tmp_path / 'none'} is not a folder. Give the folder that finetune named."
    )


def test_a_folder_that_is_no_run_tells_what_is_missing(run: Path) -> None:
    (run / "model.keras").unlink()
    (run / "labels.json").unlink()
    with pytest.raises(UsageError) as caught:
        Run.open(run)
    assert str(caught.value) == f"{run} is not a run folder: model.keras, labels.json not there."


def test_a_spoiled_recipe_of_a_run_is_told_with_its_path(run: Path) -> None:
    (run / "recipe.yaml").write_text("seeed: 3")
    with pytest.raises(RecipeError, match=r"pets-1/recipe\.yaml: seeed: unknown key"):
        _ = Run.open(run).recipe


def test_predictions_keep_labels_as_text(run: Path) -> None:
    row = {"path": "007/1.png", "label": "007", "split": "val", "pred": "NA", "p": 0.1, "top5": "NA|007"}
    write_csv(run / "predictions.csv", pd.DataFrame([row]))
    assert Run.open(run).predictions.to_dict("records") == [row]


def test_the_default_folder_has_the_smallest_free_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_folder("photos/pets") == Path("runs/pets-1")
    for number in (1, 3):
        (tmp_path / "runs" / f"pets-{number}").mkdir(parents=True)
    assert default_folder("photos/pets/") == Path("runs/pets-2")


@pytest.mark.parametrize(("data", "stem"), [("/", "run"), (".", "here"), ("digits", "digits")])
def test_the_default_folder_is_named_after_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, stem: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert default_folder(data) == Path("runs") / f"{stem}-1"


@pytest.mark.parametrize("name", ["photos.zip", "photos.tar.gz", "photos.csv"])
def test_the_default_folder_of_a_file_is_named_by_its_stem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).touch()
    Path("v1.2").mkdir()
    assert default_folder(name) == Path("runs/photos-1")
    assert default_folder("v1.2") == Path("runs/v1.2-1")


def test_a_name_with_a_carriage_return_goes_through_csv(tmp_path: Path) -> None:
    frame = pd.DataFrame({"path": ["a\rb.jpg", "c.jpg"], "n": [1, 2]})
    write_csv(tmp_path / "a.csv", frame)
    with (tmp_path / "a.csv").open(newline="") as stream:
        assert list(csv.reader(stream)) == [["path", "n"], ["a\rb.jpg", "1"], ["c.jpg", "2"]]


def test_numbers_go_through_csv_in_full_precision(tmp_path: Path) -> None:
    frame = pd.DataFrame({"loss": [0.1 + 0.2, 1e-17]})
    write_csv(tmp_path / "a.csv", frame)
    assert (tmp_path / "a.csv").read_bytes() == b"loss\n0.30000000000000004\n1e-17\n"


def test_json_keeps_other_scripts_readable(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": "кошка"})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text == '{\n  "a": "кошка"\n}\n'
    assert json.loads(text) == {"a": "кошка"}


def test_versions_name_what_shapes_the_numbers() -> None:
    assert {"python", "transferkit", "keras", "tensorflow", "numpy", "scipy"} <= set(runs.versions())
    assert "jax" in runs.versions("jax") and "jax" not in runs.versions()


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The name of a run that was killed after an epoch."""
    place = tmp_path / "a.unfinished"
    place.mkdir()
    (place / "source.json").write_text("{}")
    (place / "state-2.npz").write_bytes(b"")
    return tmp_path / "a"


def test_while_it_is_written_a_run_lies_beside_its_name(tmp_path: Path) -> None:
    with writing(tmp_path / "a") as result:
        assert result.aside.parent == result.place == tmp_path / "a.unfinished"


def test_folders_made_for_a_run_that_fails_are_removed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), writing(tmp_path / "b" / "c" / "a"):
        raise RuntimeError
    assert below(tmp_path) == []


@pytest.mark.parametrize(
    ("error", "file", "stays"),
    [
        (RuntimeError, "source.json", False),
        (RuntimeError, "state-2.npz", True),
        (KeyboardInterrupt, "source.json", True),
    ],
)
def test_a_block_that_fails_leaves_what_can_be_gone_on_with(
    error: type[BaseException], file: str, stays: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    progress.show()
    with pytest.raises(error), writing(tmp_path / "a") as result:
        (result.place / file).write_text("{}")
        raise error
    assert (tmp_path / "a.unfinished" / file).exists() == stays
    assert (f"finetune --resume {tmp_path / 'a'}" in capsys.readouterr().err) == stays


def test_an_unfinished_run_is_neither_lost_nor_taken_for_another(left: Path) -> None:
    with pytest.raises(OutputExists) as caught, writing(left):
        pass
    told = f"To go on with it: transferkit finetune --resume {left}. To start anew: --overwrite."
    assert told in str(caught.value)
    assert (left.with_name("a.unfinished") / "state-2.npz").exists()
    with writing(left, overwrite=True) as result:
        assert not result.begun
    assert below(left.parent) == ["a"]


def test_what_is_gone_on_with_stays_when_it_fails_and_goes_when_it_ends(left: Path) -> None:
    with pytest.raises(RuntimeError), reopened(left.with_name("a.unfinished")):
        raise RuntimeError
    with reopened(left) as result:
        (result.aside / "file").write_text("x")
    assert below(left.parent) == ["a", "a/file"]


def test_two_writers_do_not_share_a_name(left: Path) -> None:
    with reopened(left):
        with pytest.raises(UsageError, match="it is being written right now"), reopened(left):
            pass
        with pytest.raises(OutputExists, match="another run is being written there"):
            with writing(left, overwrite=True):
                pass
        with writing(left) as other:
            assert other.folder == left.with_name("a-2")


def test_an_interrupted_run_keeps_what_it_needs_to_go_on(tmp_path: Path) -> None:
    with writing(tmp_path / "a") as result:
        (result.place / "source.json").write_text("{}")
        (result.place / "state-2.npz").write_bytes(b"")
        (result.aside / "report.md").write_text("half")
        result.interrupted = True
    files = ["a", "a/report.md", "a/resume", "a/resume/source.json", "a/resume/state-2.npz"]
    assert below(tmp_path) == files
    with pytest.raises(RuntimeError), reopened(tmp_path / "a"):
        raise RuntimeError
    assert below(tmp_path / "a") == [name.removeprefix("a/") for name in files[1:]]
    with reopened(tmp_path / "a") as result:
        assert result.begun
        (result.aside / "report.md").write_text("whole")
    assert below(tmp_path) == ["a", "a/report.md"]
    assert (tmp_path / "a" / "report.md").read_text() == "whole"


class Killed(BaseException):
    """As if the process ended."""


@pytest.mark.parametrize(("call", "interrupted"), [(1, False), (2, False), (1, True), (2, True), (3, True)])
def test_a_run_that_was_killed_while_it_was_moved_is_moved(
    call: int, interrupted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calls are those that rename: files for going on first, then the run; last its place is removed."""
    calls: list[int] = []

    def dying(original: Any) -> Any:
        def dies(*arguments: Any, **named: Any) -> Any:
            calls.append(1)
            if len(calls) == call:
                raise Killed
            return original(*arguments, **named)

        return dies

    with monkeypatch.context() as patch, pytest.raises(Killed):
        with writing(tmp_path / "a") as result:
            (result.place / "source.json").write_text("{}")
            (result.aside / "report.md").write_text("whole")
            result.interrupted = interrupted
            patch.setattr(unfinished, "_remove", lambda *_: None)
            patch.setattr(Path, "rename", dying(Path.rename))
            patch.setattr(unfinished.shutil, "rmtree", dying(unfinished.shutil.rmtree))
    assert completed(tmp_path / "a") == (None if interrupted else tmp_path / "a")
    kept = ["a/resume", "a/resume/source.json"] if interrupted else []
    assert below(tmp_path) == ["a", "a/report.md", *kept]
    assert completed(tmp_path / "a") is None


def test_unfinished_runs_nearby_are_named(left: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"no unfinished run of that name. Unfinished are: {left}"):
        with reopened(tmp_path / "b"):
            pass


def test_an_interrupted_run_in_the_way_is_told_with_both_ways(run: Path) -> None:
    (run / "resume").mkdir()
    with pytest.raises(OutputExists, match=f"or go on with it: transferkit finetune --resume {run}"):
        check_output(run, overwrite=False)


def test_default_names_leave_out_unfinished_runs(left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(left.parent)
    Path("runs").mkdir()
    left.with_name("a.unfinished").rename("runs/pets-1.unfinished")
    assert default_folder("pets") == Path("runs/pets-2")


def test_what_a_killed_process_left_beside_is_removed(run: Path) -> None:
    (run.parent / ".pets-1.0123.old").mkdir()
    with writing(run, overwrite=True):
        pass
    assert below(run.parent) == ["pets-1"]
