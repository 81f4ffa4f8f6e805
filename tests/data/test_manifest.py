import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.conftest import draw, draw_classes
from transferkit import progress
from transferkit.data.groups import grouped
from transferkit.data.index import NOT_THERE, Index
from transferkit.data.manifest import index_manifest
from transferkit.errors import DataError, UsageError

PETS = "path,label\ncats/1.png,cat\ndogs/1.png,dog\n"


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for number, name in enumerate(("cats/1", "cats/2", "dogs/1", "dogs/2")):
        draw(tmp_path / "pets" / f"{name}.png", (90, 90, 90), seed=number, size=4)
    return tmp_path / "pets"


def written(folder: Path, text: str | bytes, name: str = "labels.csv") -> Path:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / name


def rows(index: Index) -> list[tuple[str, ...]]:
    return list(index.files.itertuples(index=False, name=None))


def labels(index: Index) -> dict[str, str]:
    return dict(index.files[["path", "label"]].itertuples(index=False, name=None))


def excluded(index: Index) -> dict[str, tuple[str, str]]:
    return {path: (reason, finding) for path, reason, finding in index.excluded.values}


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("start", ["", "\ufeff", "\n\n"])
def test_a_csv_is_read_whatever_its_delimiter(pets: Path, mark: str, start: str) -> None:
    text = start + "note;Split;LABEL; Path \nx;Valid;dog;dogs/1.png\ny;TRAIN; cat ;cats/1.png\n"
    index = index_manifest(written(pets, text.replace(";", mark)))
    assert list(index.files.columns) == ["path", "label", "split", "group"]
    assert rows(index) == [("cats/1.png", "cat", "train", ""), ("dogs/1.png", "dog", "val", "")]
    assert (index.root, index.multilabel, len(index.excluded)) == (pets, False, 0)


def test_values_of_a_csv_stay_text_as_they_stand(pets: Path) -> None:
    text = "path,label\ncats/1.png,007\ncats/2.png,NA\ndogs/1.png,1.0\ndogs/2.png,null\n"
    assert list(labels(index_manifest(written(pets, text))).values()) == ["007", "NA", "1.0", "null"]


def test_a_quoted_value_may_hold_the_delimiter(pets: Path) -> None:
    index = index_manifest(written(pets, 'path,label\r\ncats/1.png,"cat, tabby"\r\ndogs/1.png,dog\r\n'))
    assert index.labels == ["cat, tabby", "dog"]


def test_parquet_and_a_table_in_memory_give_the_same_index(pets: Path) -> None:
    pytest.importorskip("pyarrow")
    table = pd.DataFrame({"path": ["cats/1.png", "dogs/1.png"], "label": [3, None], "patient": [7, 8]})
    table.to_parquet(pets / "t.parquet")
    table.set_index("path").to_parquet(pets / "u.parquet")
    found = [
        index_manifest(source, root=pets, group_by="patient")
        for source in (table, pets / "t.parquet", pets / "u.parquet")
    ]
    assert [rows(index) for index in found] == [[("cats/1.png", "3", "", "7")]] * 3
    assert excluded(found[0]) == {"dogs/1.png": ("no label", "ignored")}


def test_long_whole_numbers_of_parquet_keep_all_digits(pets: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"path": ["cats/1.png", "dogs/1.png"], "label": [2**60 + 1, None]}
    parquet.write_table(arrow.table(columns), pets / "t.parquet")
    assert labels(index_manifest(pets / "t.parquet")) == {"cats/1.png": str(2**60 + 1)}


def test_lists_of_one_name_are_multi_label_too(pets: Path) -> None:
    table = pd.DataFrame({"path": ["cats/1.png", "dogs/1.png"], "label": [["a"], ["b"]]})
    assert index_manifest(table, root=pets).multilabel


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0, np.nan, 4.0, 12.0], ["3", "4", "12"]),
        ([3.5, 3.0, None, 4.0], ["3.5", "3.0", "4.0"]),
        (np.array([0, 1, 0, 1], dtype=np.int8), ["0", "1", "0", "1"]),
        (pd.Categorical(["b", "a", None, "b"]), ["b", "a", "b"]),
        (pd.array([2**60 + 1, None, 1, 0], dtype="Int64"), [str(2**60 + 1), "1", "0"]),
        ([True, False, pd.NA, True], ["True", "False", "True"]),
    ],
)
def test_labels_of_other_kinds_become_text(pets: Path, values: object, expected: list[str]) -> None:
    table = pd.DataFrame({"path": ["cats/1.png", "cats/2.png", "dogs/1.png", "dogs/2.png"], "label": values})
    assert list(labels(index_manifest(table, root=pets)).values()) == expected


def test_names_joined_by_a_bar_make_it_multi_label(pets: Path) -> None:
    text = "path,label\ncats/1.png, red |cat|red\ncats/2.png,cat\ndogs/1.png,dog\n"
    index = index_manifest(written(pets, text))
    assert labels(index) == {"cats/1.png": "cat|red", "cats/2.png": "cat", "dogs/1.png": "dog"}
    assert index.multilabel
    assert index.labels == ["cat", "dog", "red"]


def test_lists_are_multi_label(pets: Path) -> None:
    table = pd.DataFrame(
        {"path": ["cats/1.png", "cats/2.png", "dogs/1.png"], "label": [["b", "a"], [], np.array(["c"])]}
    )
    index = index_manifest(table, root=pets)
    assert (labels(index), index.multilabel) == ({"cats/1.png": "a|b", "dogs/1.png": "c"}, True)
    assert excluded(index) == {"cats/2.png": ("no label", "ignored")}


@pytest.mark.parametrize("label", ["cat|", "|", "cat| |dog"])
def test_an_empty_name_among_several_is_refused(pets: Path, label: str) -> None:
    with pytest.raises(DataError, match=r"'cats/2\.png' has the label .* with an empty name"):
        index_manifest(written(pets, f"path,label\ncats/1.png,cat\ncats/2.png,{label}\n"))


def test_paths_are_shown_one_way(pets: Path) -> None:
    (pets / "lists").mkdir()
    given = [f"{pets}/cats/1.png", "../lists/..//cats/./2.png", "../dogs\\1.png", " ../dogs/2.png"]
    table = pd.DataFrame({"path": given, "label": "x"})
    index = index_manifest(table, root=pets / "lists")
    assert list(index.files["path"]) == [(pets / f"{name}.png").as_posix() for name in PATHS]
    assert list(index_manifest(table.head(1), root=pets).files["path"]) == ["cats/1.png"]
    for manifest, expected in (("../pets/cats/1.png", "cats/1.png"), ("./dogs\\1.png", "dogs/1.png")):
        text = f"path,label\n{manifest},x\n"
        assert list(labels(index_manifest(written(pets, text)))) == [expected]


PATHS = ("cats/1", "cats/2", "dogs/1", "dogs/2")


def test_a_path_below_the_real_place_of_a_linked_folder_is_relative(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(pets)
    table = pd.DataFrame({"path": [str(pets / "cats/1.png")], "label": "x"})
    assert list(labels(index_manifest(table, root=tmp_path / "link"))) == ["cats/1.png"]


def test_a_name_that_holds_a_backslash_or_ends_in_a_blank_is_kept(pets: Path) -> None:
    for name in ("a\\b.png", "c.png "):
        Image.new("RGB", (4, 4)).save(pets / name, "PNG")
    index = index_manifest(written(pets, "path,label\na\\b.png,x\nc.png ,y\n"))
    assert list(index.files["path"]) == ["a\\b.png", "c.png "]


def test_files_that_cannot_be_used_are_told(pets: Path) -> None:
    written(pets, "they purr", "notes.txt")
    (pets / "link.png").symlink_to("nowhere.png")
    os.mkfifo(pets / "pipe.png")  # opening it would wait for ever
    names = ["gone.png", "notes.txt", "link.png", "pipe.png", "cats", "n" * 300, "win\\gone.png"]
    text = PETS + "".join(f"{name},cat\n" for name in names) + "dogs/2.png,\n"
    index = index_manifest(written(pets, text))
    assert list(index.files["path"]) == ["cats/1.png", "dogs/1.png"]
    found = excluded(index)
    assert found.pop("dogs/2.png") == ("no label", "ignored")
    assert set(found) == {*names[:-1], "win/gone.png"}
    assert {finding for _, finding in found.values()} == {"unreadable"}
    assert found["gone.png"][0] == found["win/gone.png"][0] == "no such file"
    assert found["notes.txt"][0] == "not an image"


def test_an_image_is_taken_by_its_content(pets: Path) -> None:
    Image.new("RGB", (4, 4)).save(pets / "IMG_1", "JPEG")
    assert "IMG_1" in labels(index_manifest(written(pets, PETS + "IMG_1,cat\n")))


def test_without_any_file_the_first_try_is_told_in_full(pets: Path) -> None:
    manifest = written(pets, "path,label\nphotos/cats/1.png,cat\nphotos/x.png,cat\n")
    with pytest.raises(DataError) as caught:
        index_manifest(manifest)
    assert str(caught.value) == (
        f"{manifest}: none of the files it lists can be used. First tried: {pets}/photos/cats/1.png "
        f"(no such file). Paths are relative to {pets}."
    )
    assert len(index_manifest(manifest, root=_moved(pets)).files) == 1


def _moved(pets: Path) -> Path:
    pets.with_name("all").mkdir()
    (pets.with_name("all") / "photos").symlink_to(pets)
    return pets.with_name("all")


def test_a_row_that_repeats_another_counts_once(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress.show()
    index = index_manifest(written(pets, PETS + "./cats/1.png, cat\ncats/1.png,\n"))
    assert labels(index) == {"cats/1.png": "cat", "dogs/1.png": "dog"}
    assert "1 rows repeat another and count once" in capsys.readouterr().err
    assert excluded(index) == {}


def test_a_file_under_two_labels_is_refused(pets: Path) -> None:
    with pytest.raises(DataError) as caught:
        index_manifest(written(pets, PETS + "dogs/../cats/1.png,dog\n"))
    assert "'cats/1.png' is listed with the labels 'cat' and 'dog' (1 such files)" in str(caught.value)
    assert "written 'cat|dog', once" in str(caught.value)


@pytest.mark.parametrize(("column", "values"), [("split", ("train", "test")), ("group", ("a", "b"))])
def test_a_file_in_two_splits_or_groups_is_refused(pets: Path, column: str, values: tuple[str, str]) -> None:
    text = f"path,label,{column}\n" + "".join(f"cats/1.png,cat,{value}\n" for value in values)
    with pytest.raises(DataError, match=f"with the {column}s '{values[0]}' and '{values[1]}'"):
        index_manifest(written(pets, text))


def test_an_unknown_split_is_refused_with_the_nearest(pets: Path) -> None:
    with pytest.raises(DataError, match=r"unknown split 'Trian'\. Allowed: train, "):
        index_manifest(written(pets, "path,label,split\ncats/1.png,cat,Trian\n"))


def test_splits_for_some_rows_are_refused(pets: Path) -> None:
    text = "path,label,split\ncats/1.png,cat,train\ncats/2.png,cat,\ndogs/1.png,dog, \n"
    with pytest.raises(DataError, match=r"2 of 3 rows have no split, the first is 'cats/2\.png'"):
        index_manifest(written(pets, text))


def test_what_is_excluded_on_request_is_neither_used_nor_judged(pets: Path) -> None:
    text = "path,label,split\ncats/1.png,cat,train\ndogs/1.png,dog,test\ndogs/2.png,dog,\n"
    index = index_manifest(written(pets, text), frozenset({"dogs/2.png", "cats/9.png"}))
    assert list(index.files["path"]) == ["cats/1.png", "dogs/1.png"]
    assert excluded(index) == {
        "cats/9.png": (NOT_THERE, ""),
        "dogs/2.png": ("excluded on request", ""),
    }


def test_any_column_may_give_the_groups(pets: Path) -> None:
    manifest = written(pets, "path,label,group,Patient\ncats/1.png,cat,a, 001\n")
    assert rows(index_manifest(manifest))[0][3] == "a"
    assert rows(index_manifest(manifest, group_by="patient "))[0][3] == "001"
    with pytest.raises(UsageError, match=r"no column 'patent' to group by\. There is: patient, path"):
        index_manifest(manifest, group_by="patent")


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("Filename,label", r"no column 'path' among 'Filename', 'label'\. Did you mean 'Filename'\?"),
        ("path,class", r"no column 'label' among 'path', 'class'\. Did you mean 'class'\?"),
        ("path,label,subset", r"no column 'split'\. Did you mean 'subset'\?"),
        ("a,b,c", r"no column 'path' among 'a', 'b', 'c'\. Needed are path and label"),
        ("path,label,Path", r"more than one column 'path': 'path', 'label', 'Path'"),
    ],
)
def test_a_header_that_does_not_fit_is_refused_with_what_it_holds(pets: Path, header: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        index_manifest(written(pets, f"{header}\ncats/1.png{',x' * header.count(',')}\n"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbfpath,label\r\n", r"no rows below the header \(path, label\)"),
        (b"path,label\ncats/1.png,\n", r"none of the files it lists can be used\. .* \(no label\)"),
        (b"path,label\n,\n , \n", "no rows below the header"),
        (b"path,label\n,cat\n", r"1 rows have a label and no path; the first is row 1 \('cat'\)"),
        (b"path,label\ncats/1.png,cat,x\n", r"more values than the header has names \(2: path, label\)"),
        (b"path,label\ncats/1.png,cat\ndogs/1.png,dog,x\n", "not a table: .* line 3, saw 3"),
        (b'path,label\n"cats/1.png,cat\n', "not a table: .*EOF inside string"),
        ("path,label\nkäse.png,käse\n".encode("latin-1"), r"not UTF-8 text \(byte 0xe4\)"),
        ("path,label\na.png,a\n".encode("utf-16"), "neither CSV nor Parquet"),
        (b"PAR1 and so on", "damaged Parquet file"),
    ],
)
def test_what_is_no_table_is_refused(pets: Path, content: bytes, told: str) -> None:
    if content.startswith(b"PAR1"):
        pytest.importorskip("pyarrow")
    with pytest.raises(DataError, match=told):
        index_manifest(written(pets, content))


def test_a_picture_in_place_of_a_table_is_refused(pets: Path) -> None:
    with pytest.raises(
        DataError, match=r"neither CSV nor Parquet: it is no text \(it starts with '\\x89PNG'\)"
    ):
        index_manifest(pets / "cats" / "1.png")


def test_a_name_that_is_no_text_is_refused(pets: Path) -> None:
    table = pd.DataFrame({"path": ["cats/\udcff.png"], "label": ["cat"]}, dtype=object)
    with pytest.raises(DataError, match=r"'cats/.udcff\.png' cannot be written as UTF-8"):
        index_manifest(table, root=pets)


def test_no_such_manifest(pets: Path) -> None:
    with pytest.raises(UsageError, match="no such file: .*none.csv"):
        index_manifest(pets / "none.csv")


def test_parquet_without_pyarrow_says_what_to_install(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("pyarrow")

    monkeypatch.setattr(pd, "read_parquet", missing)
    with pytest.raises(UsageError, match="pip install pyarrow"):
        index_manifest(written(pets, b"PAR1", "t.parquet"))


@pytest.mark.parametrize(
    ("pattern", "expected"), [("p([0-9]+)_(.)", ["1", "1", "2"]), ("p.", ["p1", "p1", "p2"])]
)
def test_groups_are_read_from_the_paths(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    index = grouped(_patients(tmp_path), pattern)
    assert list(index.files["group"]) == expected
    assert list(index.files["path"]) == ["a/p1_x.png", "a/p1_y.png", "b/p2_x.png"]


def _patients(root: Path) -> Index:
    for name in ("a/p1_x", "a/p1_y", "b/p2_x"):
        draw(root / f"{name}.png", (9, 9, 9), seed=1, size=4)
    return index_manifest(
        pd.DataFrame({"path": ["a/p1_x.png", "a/p1_y.png", "b/p2_x.png"], "label": ["a", "a", "b"]}),
        root=root,
    )


def test_files_that_the_pattern_does_not_match_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = _patients(tmp_path)
    progress.show()
    assert list(grouped(index, "(p1)?_x").files["group"]) == ["p1", "", ""]
    assert "2 of 3 files do not match the pattern" in capsys.readouterr().err


def test_a_pattern_that_matches_nothing_is_refused_with_examples(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'patient' matches none of the 3 paths, .* 'a/p1_x\.png'"):
        grouped(_patients(tmp_path), "patient")


def test_a_pattern_that_is_none_tells_where(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'p\(1' is no regular expression: .* at character 2"):
        grouped(_patients(tmp_path), "p(1")


def test_a_manifest_of_the_files_in_folders_gives_the_index_of_the_folders(tmp_path: Path) -> None:
    from transferkit.data.folder import index_folder

    root = draw_classes(tmp_path / "photos", 2)
    folder = index_folder(root)
    written(root.parent, folder.files.assign(path="photos/" + folder.files["path"]).to_csv(index=False))
    found = index_manifest(root.parent / "labels.csv", root=None)
    assert rows(found) == [("photos/" + path, *rest) for path, *rest in rows(folder)]
    pd.testing.assert_series_equal(found.files.dtypes, folder.files.dtypes)


def test_a_column_that_looks_like_groups_is_told_but_not_taken(
    pets: Path, capsys: pytest.CaptureFixture[str]
):
    progress.show()
    table = pd.DataFrame({"path": ["cats/1.png", "dogs/1.png"], "label": ["a", "b"], "Patient": ["x", "x"]})
    assert set(index_manifest(table, root=pets).files["group"]) == {""}
    assert "column 'Patient' is passed over; --group-by" in capsys.readouterr().err
    index_manifest(table, root=pets, group_by="")  # where groups do not matter, as in evaluation
    assert "passed over" not in capsys.readouterr().err
