import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from tests.bad_files import make, photo
from transferkit.api.inputs import open_data
from transferkit.cli import cli

COLUMNS = ["path", "finding", "level", "detail"]


def inspect(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["inspect", *map(str, arguments)])


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Two classes of four pictures that nothing is wrong with."""
    for path in (f"photos/{label}/{n}.jpg" for label in ("cats", "dogs") for n in range(4)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(photo(path).content)
    return tmp_path / "photos"


@pytest.fixture
def spoilt(clean: Path) -> Path:
    (clean / "cats" / "empty.jpg").touch()
    (clean / "dogs" / "page.jpg").write_text("<html>")
    return clean


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    make(folder)
    return folder


def test_without_errors_the_status_is_0(clean: Path) -> None:
    result = inspect(clean)
    assert result.exit_code == 0
    assert "0 errors, 0 warnings, 0 notes. 8 files" in result.stdout


def test_warnings_and_notes_leave_the_status_0(clean: Path) -> None:
    (clean / "cats" / "copy.jpg").write_bytes((clean / "cats" / "0.jpg").read_bytes())
    (clean / "cats" / "jpeg.png").write_bytes(photo("other").content)
    result = inspect(clean)
    assert result.exit_code == 0
    assert "0 errors, 1 warning, 1 note. 10 files" in result.stdout
    assert "--exclude-list FILE writes the 1 file that" in result.stdout


def test_with_errors_the_status_is_1_and_the_files_are_named(spoilt: Path) -> None:
    result = inspect(spoilt)
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)
    assert "2 errors, 0 warnings, 0 notes. 10 files" in result.stdout
    for words in ("cats/empty.jpg", "the file is empty", "dogs/page.jpg", "not-an-image"):
        assert words in result.stdout
    assert "--exclude-list FILE writes the 2 files" in result.stdout


def test_a_class_that_the_list_would_leave_empty_is_told(clean: Path) -> None:
    (clean / "emus").mkdir()
    (clean / "emus" / "0.jpg").write_bytes(photo("emu").content)
    assert "WARNING: with it emus would have no image left." in inspect(clean).stdout


def test_what_is_excluded_is_not_judged(spoilt: Path, tmp_path: Path) -> None:
    (tmp_path / "skip.txt").write_text("cats/empty.jpg\ndogs/page.jpg\n")
    assert inspect(spoilt, "--exclude", tmp_path / "skip.txt").exit_code == 0


def test_groups_are_judged(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        for name in ("cats/ann-0", "cats/ann-1", "dogs/bob-0", "dogs/bob-1"):
            path = tmp_path / "photos" / split / f"{name}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(photo(str(path)).content)
    assert inspect(tmp_path / "photos").exit_code == 0
    result = inspect(tmp_path / "photos", "--group-by", "(ann|bob)", "--json")
    assert result.exit_code == 1
    assert {"leak"} <= {row["finding"] for row in json.loads(result.stdout)["findings"]}


def test_json_is_one_document_with_classes_findings_and_scan(spoilt: Path) -> None:
    result = inspect(spoilt, "--json")
    document = json.loads(result.stdout)
    assert list(document) == ["classes", "findings", "scan"]
    assert document["classes"] == {"cats": {"total": 4}, "dogs": {"total": 4}}
    assert [list(row) for row in document["findings"]] == [COLUMNS, COLUMNS]
    assert document["findings"][0] == {
        "path": "cats/empty.jpg",
        "finding": "unreadable",
        "level": "error",
        "detail": "the file is empty",
    }
    assert list(document["scan"]) == ["files", "read", "seconds"]
    assert (document["scan"]["files"], document["scan"]["read"]) == (10, 10)
    assert json.loads(inspect(spoilt, "--json").stdout)["scan"]["read"] == 0


def test_csv_and_json_have_the_same_findings(bad: Path, tmp_path: Path) -> None:
    result = inspect(bad, "--json", "--csv", tmp_path / "f.csv")
    with (tmp_path / "f.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == COLUMNS
    assert rows == json.loads(result.stdout)["findings"]


def test_the_exclude_list_is_taken_by_exclude(bad: Path, tmp_path: Path) -> None:
    before = open_data(bad)
    inspect(bad, "--exclude-list", tmp_path / "bad.csv")
    after = open_data(bad, str(tmp_path / "bad.csv"))
    with (tmp_path / "bad.csv").open(encoding="utf-8", newline="") as file:
        listed = {row["path"] for row in csv.DictReader(file)}
    assert set(before.files["path"]) - set(after.files["path"]) == listed
    assert len(listed) > 10


def test_the_exclude_list_clears_the_errors_that_files_cause(spoilt: Path, tmp_path: Path) -> None:
    assert inspect(spoilt, "--exclude-list", tmp_path / "bad.csv").exit_code == 1
    assert inspect(spoilt, "--exclude", tmp_path / "bad.csv").exit_code == 0


def test_the_sheet_is_a_picture_that_grows_with_the_findings(bad: Path, clean: Path, tmp_path: Path) -> None:
    heights = []
    for folder in (clean, bad):
        inspect(folder, "--sheet", tmp_path / "sheet.png")
        with Image.open(tmp_path / "sheet.png") as sheet:
            sheet.load()
            assert (sheet.format, sheet.mode) == ("PNG", "RGB")
            assert len(sheet.convert("L").getcolors() or []) > 1
            heights.append(sheet.height)
    assert heights[0] < 100 < 1000 < heights[1]


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a folder: kind, size, times, and bytes of what is a file."""
    found: dict[str, tuple[object, ...]] = {}
    for here, folders, files in os.walk(os.fsencode(folder)):
        for name in folders + files:
            path = os.path.join(here, name)
            told = os.lstat(path)
            plain = os.path.isfile(path) and os.access(path, os.R_OK)
            content = Path(os.fsdecode(path)).read_bytes() if plain else b""
            found[repr(path)] = (told.st_mode, told.st_size, told.st_mtime_ns, told.st_ctime_ns, content)
    return found


def test_nothing_in_the_folder_is_changed(bad: Path, tmp_path: Path) -> None:
    before = snapshot(bad)
    files = ("--csv", tmp_path / "f.csv", "--exclude-list", tmp_path / "b.csv", "--sheet", tmp_path / "s.png")
    assert inspect(bad, *files).exit_code == 1
    assert snapshot(bad) == before
    assert len(before) > 150


def test_a_pipe_does_not_hang_and_warnings_of_the_decoder_are_not_shown(bad: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "transferkit", "inspect", str(bad), "--sheet", str(tmp_path / "s.png")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert "odd/pipe.jpg" in inspect(bad, "--json").stdout
    assert "Warning" not in done.stderr


@pytest.mark.parametrize(
    ("option", "file", "told"),
    [
        ("--csv", "gone/f.csv", "no such folder"),
        ("--exclude-list", "photos", "is a folder; the name of a file is needed"),
        ("--sheet", "sheet.jpg", "give a name that ends in .png"),
    ],
)
def test_a_target_that_cannot_be_written_is_refused_before_any_work(
    clean: Path, tmp_path: Path, option: str, file: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transferkit.api.audit", None)
    result = inspect(clean, option, tmp_path / file)
    assert result.exit_code == 2
    assert told in result.stderr


@pytest.mark.parametrize(
    ("option", "file", "told"),
    [
        ("--csv", "photos/cats/f.csv", "is or lies in what is inspected"),
        ("--sheet", "photos/sheet.png", "is or lies in what is inspected"),
        ("--exclude-list", "photos/../photos/0.csv", "is or lies in what is inspected"),
        ("--exclude-list", "skip.csv", "is or lies in what is inspected"),
        ("--csv", "mine.csv", "not of inspect's making"),
        ("--csv", "bytes.csv", "not of inspect's making"),
        ("--exclude-list", "cat.png", "not of inspect's making"),
        ("--sheet", "cat.png", "not of inspect's making"),
    ],
)
def test_nothing_of_the_users_is_written_over(
    clean: Path, tmp_path: Path, option: str, file: str, told: str
) -> None:
    (tmp_path / "skip.csv").write_text("path,finding,level,detail\n")
    (tmp_path / "mine.csv").write_text("path,label\n")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    Image.new("RGB", (4, 4)).save(tmp_path / "cat.png")
    before = snapshot(tmp_path)
    result = inspect(clean, "--exclude", tmp_path / "skip.csv", option, tmp_path / file)
    assert (result.exit_code, snapshot(tmp_path)) == (2, before)
    assert told in result.stderr


def test_one_file_for_two_lists_is_refused(clean: Path, tmp_path: Path) -> None:
    result = inspect(
        clean, "--csv", tmp_path / "f.csv", "--exclude-list", tmp_path / "photos" / ".." / "f.csv"
    )
    assert result.exit_code == 2
    assert "two of them name one file" in result.stderr
    assert not (tmp_path / "f.csv").exists()


def test_a_manifest_is_not_written_over(clean: Path, tmp_path: Path) -> None:
    lines = ["path,finding,label", *(f"{path},x,{path.parent.name}" for path in sorted(clean.rglob("*.jpg")))]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    result = inspect(tmp_path / "list.csv", "--csv", tmp_path / "list.csv")
    assert result.exit_code == 2
    assert "is or lies in what is inspected" in result.stderr


@pytest.mark.parametrize("name", ["plain.jpg", "car\rriage.jpg"])
def test_what_an_earlier_inspect_wrote_is_written_anew(clean: Path, tmp_path: Path, name: str) -> None:
    (clean / "cats" / name).touch()
    files = ("--csv", "f.csv"), ("--exclude-list", "b.csv"), ("--sheet", "s.png")
    words = [word for option, file in files for word in (option, tmp_path / file)]
    assert [inspect(clean, *words).exit_code for _ in range(2)] == [1, 1]


def test_a_disk_that_is_full_is_told(clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, frame: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("transferkit.runs.write_csv", full)
    result = inspect(clean, "--csv", tmp_path / "f.csv")
    assert (result.exit_code, type(result.exception)) == (2, SystemExit)
    assert "f.csv cannot be written: No space left on device" in result.stderr


def test_no_such_folder_is_a_usage_error(tmp_path: Path) -> None:
    result = inspect(tmp_path / "gone")
    assert result.exit_code == 2
    assert "no such folder" in result.stderr


def test_a_folder_of_which_nothing_can_be_decoded_is_told_file_by_file(tmp_path: Path):
    for name in ("cats/a.jpg", "dogs/b.jpg"):
        (tmp_path / "data" / name).parent.mkdir(parents=True)
        (tmp_path / "data" / name).write_text("no image")
    result = inspect(tmp_path / "data", "--json")
    found = [(row["path"], row["finding"]) for row in json.loads(result.stdout)["findings"]]
    assert result.exit_code == 1
    assert {("cats/a.jpg", "not-an-image"), ("dogs/b.jpg", "not-an-image")} <= set(found)
