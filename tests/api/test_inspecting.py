"""The audit as a notebook calls it."""

from pathlib import Path

import pandas as pd

from tests.conftest import draw_classes
from transferkit.api import audit, inspect


def test_the_findings_are_a_table_with_errors_first(photos: Path):
    (photos / "red" / "empty.png").touch()
    (photos / "red" / "notes.txt").write_text("nothing")
    found = inspect(photos)
    assert list(found.columns) == ["path", "finding", "level", "detail"]
    assert found["finding"].to_list() == ["unreadable", "ignored"]
    assert found["path"].to_list() == ["red/empty.png", "red/notes.txt"]


def test_a_second_audit_reads_only_what_is_new(photos: Path):
    first = audit(photos)
    assert (first.files, first.scanned) == (60, 60)
    draw_classes(photos, 1, ("red",), seed=77)  # writes red/000.png anew
    again = audit(photos)
    assert (again.files, again.scanned) == (60, 1)
    assert again.classes == {name: {"total": 20} for name in ("blue", "green", "red")}


def test_a_table_is_audited_like_a_folder(photos: Path):
    paths = sorted(str(path) for path in photos.rglob("*.png"))
    table = pd.DataFrame({"path": paths, "label": [Path(path).parent.name for path in paths]})
    table.loc[len(table)] = [str(photos / "gone.png"), "red"]
    found = audit(table)
    assert found.findings["finding"].to_list() == ["unreadable"]
    assert found.classes["red"] == {"total": 20}


def test_groups_that_stand_in_two_given_splits_leak(photos: Path):
    paths = sorted(photos.rglob("*.png"))
    table = pd.DataFrame({"path": map(str, paths), "label": [path.parent.name for path in paths]})
    table["split"] = ["val" if path.name < "005" else "train" for path in paths]
    table["patient"] = [f"{path.name}" if path.name != "019.png" else "000.png" for path in paths]
    assert "leak" not in set(inspect(table)["finding"])
    leaks = inspect(table, group_by="patient").query("finding == 'leak'")
    assert {Path(path).name for path in leaks["path"]} == {"000.png", "019.png"}


def test_what_is_excluded_is_not_examined(photos: Path, tmp_path: Path):
    (photos / "red" / "empty.png").touch()
    (tmp_path / "out.txt").write_text("red/empty.png\n")
    assert inspect(photos, exclude=str(tmp_path / "out.txt")).empty
