from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.bad_files import encoded, jpeg, make, photo, picture
from transferkit.data.audit import Audit, audit, class_counts
from transferkit.data.examine import examine
from transferkit.data.findings import KINDS, LEVELS, PROBLEMS, finding
from transferkit.data.folder import index_folder
from transferkit.data.manifest import index_manifest

SPLIT = {"train": 6, "val": 3, "test": 3}


def audited(root: Path, cache: Path, exclude: frozenset[str] = frozenset()) -> Audit:
    return audit(examine(index_folder(root, exclude), cache))


def write(root: Path, *paths: str, content: bytes | None = None) -> Path:
    """A picture at each path, of its own if no content is given."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(photo(path).content if content is None else content)
    return root


def numbered(folder: str, images: int) -> list[str]:
    return [f"{folder}/{n}.jpg" for n in range(images)]


def split_folders(root: Path, **splits: int) -> Path:
    """Cats and dogs with so many pictures in each split."""
    for split, images in (splits or SPLIT).items():
        write(root, *numbered(f"{split}/cats", images), *numbered(f"{split}/dogs", images))
    return root


def by_path(found: Audit) -> dict[str, set[str]]:
    names: dict[str, set[str]] = defaultdict(set)
    for row in found.findings.itertuples():
        names[row.path].add(row.finding)
    return dict(names)


def of_kind(found: Audit, name: str) -> dict[str, str]:
    rows = found.findings[found.findings["finding"] == name]
    return dict(zip(rows["path"], rows["detail"], strict=True))


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, set[str]]]:
    folder = tmp_path_factory.mktemp("bad")
    return folder, make(folder)


def test_every_finding_in_a_bad_folder_is_told_and_no_other(
    bad: tuple[Path, dict[str, set[str]]], own_cache: Path
) -> None:
    found = by_path(audited(bad[0], own_cache))
    assert found.pop(".") == {"imbalance"}
    assert found == {path: names for path, names in bad[1].items() if names}


def test_a_second_audit_reads_nothing_and_finds_the_same(
    bad: tuple[Path, dict[str, set[str]]], own_cache: Path
) -> None:
    first, second = audited(bad[0], own_cache), audited(bad[0], own_cache)
    assert (first.scanned, second.scanned) == (first.files, 0)
    assert first.findings.equals(second.findings)


def test_errors_come_first_then_kinds_in_their_order(
    bad: tuple[Path, dict[str, set[str]]], own_cache: Path
) -> None:
    found = audited(bad[0], own_cache)
    assert list(found.findings.columns) == ["path", "finding", "level", "detail"]
    places = [
        (LEVELS.index(row.level), list(KINDS).index(row.finding)) for row in found.findings.itertuples()
    ]
    assert places == sorted(places)
    assert found.errors == sum(place[0] == 0 for place in places) > 0
    assert (found.findings["detail"] != "").all()


def test_without_what_is_to_be_excluded_no_file_is_an_error(
    bad: tuple[Path, dict[str, set[str]]], own_cache: Path
) -> None:
    first = audited(bad[0], own_cache)
    later = audited(bad[0], own_cache, frozenset(first.exclude["path"]))
    wrong = set(later.findings.loc[later.findings["level"] == "error", "path"])
    names_only = {path for path, names in bad[1].items() if names == {"name-collision"}}
    # A link that leads nowhere, or a file that may not be read, is no image to exclude.
    unlisted = {path for path in ("odd/nowhere.jpg", "odd/locked.jpg") if path in bad[1]}
    assert wrong == names_only | unlisted


def test_of_a_bad_folder_those_files_are_to_be_excluded_that_spoil_it(
    bad: tuple[Path, dict[str, set[str]]], own_cache: Path
) -> None:
    spoiling = {*PROBLEMS, "label-conflict", "duplicate"}
    expected = {path for path, names in bad[1].items() if names & spoiling} - {
        "odd/nowhere.jpg",
        "odd/locked.jpg",
    }
    found = audited(bad[0], own_cache).exclude
    assert list(found.columns) == ["path", "finding", "detail"]
    assert set(found["path"]) == expected | {"single/000.jpg"}


def test_a_clean_folder_has_no_findings(tmp_path: Path, own_cache: Path) -> None:
    found = audited(split_folders(tmp_path), own_cache)
    assert (len(found.findings), found.errors, len(found.exclude)) == (0, 0, 0)
    assert list(found.findings.columns) == ["path", "finding", "level", "detail"]


def test_classes_are_counted_by_split(tmp_path: Path, own_cache: Path) -> None:
    write(split_folders(tmp_path), "train/cats/bad.jpg", content=b"")
    counts = {**SPLIT, "total": 12}
    assert audited(tmp_path, own_cache).classes == {"cats": counts, "dogs": counts}


def test_without_given_splits_there_is_the_total(tmp_path: Path) -> None:
    write(tmp_path, *numbered("cats", 3), *numbered("dogs", 4))
    assert class_counts(index_folder(tmp_path)) == {"cats": {"total": 3}, "dogs": {"total": 4}}


def manifest(root: Path, labels: dict[str, str]) -> Path:
    write(root, *labels)
    table = pd.DataFrame({"path": list(labels), "label": list(labels.values())})
    table.to_csv(root / "labels.csv", index=False)
    return root / "labels.csv"


def test_an_image_of_several_classes_counts_for_each(tmp_path: Path, own_cache: Path) -> None:
    labels = {f"{n}.jpg": ("cat|dog", "dog", "cat")[n % 3] for n in range(9)}
    found = audit(examine(index_manifest(manifest(tmp_path, labels)), own_cache))
    assert found.classes == {"cat": {"total": 6}, "dog": {"total": 6}}
    assert len(found.findings) == 0


def test_a_rare_class_among_several_is_too_small_and_can_be_excluded(tmp_path: Path, own_cache: Path) -> None:
    labels = {f"{n}.jpg": ("cat|dog", "dog", "cat")[n % 3] for n in range(9)} | {"emu.jpg": "dog|emu"}
    source = manifest(tmp_path, labels)
    found = audit(examine(index_manifest(source), own_cache))
    assert list(of_kind(found, "small-class")) == ["emu/"]
    assert list(found.exclude["path"]) == ["emu.jpg"]
    assert audit(examine(index_manifest(source, frozenset({"emu.jpg"})), own_cache)).errors == 0


@pytest.mark.parametrize(("images", "small"), [(2, True), (3, False)])
def test_a_class_needs_an_image_for_each_split_that_is_drawn(
    tmp_path: Path, own_cache: Path, images: int, small: bool
) -> None:
    write(tmp_path, *numbered("cats", 4), *numbered("dogs", images))
    told = {"dogs/": "2 different images; one each is needed for train, val, test"} if small else {}
    assert of_kind(audited(tmp_path, own_cache), "small-class") == told


@pytest.mark.parametrize(
    ("splits", "parts"),
    [
        ({"train": 1, "val": 1, "test": 1}, ""),
        ({"train": 1, "val": 2}, ""),
        ({"train": 1, "test": 3}, "train, val"),
    ],
)
def test_given_splits_need_no_image_to_be_drawn(
    tmp_path: Path, own_cache: Path, splits: dict[str, int], parts: str
) -> None:
    told = f"1 different image in train; one each is needed for {parts}"
    expected = dict.fromkeys(("cats/", "dogs/"), told) if parts else {}
    assert of_kind(audited(split_folders(tmp_path, **splits), own_cache), "small-class") == expected


def test_a_class_that_train_does_not_know_is_told(tmp_path: Path, own_cache: Path) -> None:
    write(split_folders(tmp_path), *numbered("test/emus", 4))
    found = audited(tmp_path, own_cache).findings
    assert set(found["path"]) == {"emus/"}
    assert list(zip(found["level"], found["detail"], strict=True)) == [
        ("error", "0 different images in train; one each is needed for train"),
        ("warning", "no image in the given val, whose figures say nothing of this class"),
    ]


def test_data_that_is_all_test_is_too_small_to_train_with(tmp_path: Path, own_cache: Path) -> None:
    found = audited(split_folders(tmp_path, val=3, test=3), own_cache)
    assert set(of_kind(found, "small-class")) == {"cats/", "dogs/"}


def test_copies_make_a_class_no_larger(tmp_path: Path, own_cache: Path) -> None:
    write(tmp_path, *numbered("cats", 4), *numbered("dogs", 1))
    near = picture("near", 128, 128, cells=8)
    for number, quality in enumerate((92, 60)):
        write(tmp_path, f"dogs/near{number}.jpg", f"dogs/same{number}.jpg", content=jpeg(near, quality))
    told = of_kind(audited(tmp_path, own_cache), "small-class")
    assert told == {"dogs/": "2 different images; one each is needed for train, val, test"}


def test_a_class_that_a_given_test_lacks_is_a_warning(tmp_path: Path, own_cache: Path) -> None:
    write(split_folders(tmp_path), *numbered("train/emus", 4), *numbered("val/emus", 4))
    (row,) = audited(tmp_path, own_cache).findings.itertuples()
    assert (row.path, row.finding, row.level) == ("emus/", "small-class", "warning")
    assert row.detail == "no image in the given test, whose figures say nothing of this class"


def test_a_single_class_is_an_error_of_the_whole(tmp_path: Path, own_cache: Path) -> None:
    found = audited(write(tmp_path, *numbered("cats", 4)), own_cache)
    assert of_kind(found, "small-class") == {".": "one class only (cats); two are needed"}
    assert found.errors == 1


def test_an_empty_class_folder_is_a_warning(tmp_path: Path, own_cache: Path) -> None:
    write(tmp_path, *numbered("cats", 4), *numbered("dogs", 4))
    (tmp_path / "emus").mkdir()
    (row,) = audited(tmp_path, own_cache).findings.itertuples()
    assert (row.path, row.finding, row.level) == ("emus/", "small-class", "warning")


def test_a_folder_beside_the_split_folders_is_a_warning(tmp_path: Path, own_cache: Path) -> None:
    write(split_folders(tmp_path), "raw/1.jpg")
    (row,) = audited(tmp_path, own_cache).findings.itertuples()
    assert (row.path, row.finding, row.level) == ("raw/", "ignored", "warning")


def test_what_the_list_to_exclude_would_leave_empty_is_told(tmp_path: Path, own_cache: Path) -> None:
    write(split_folders(tmp_path / "split"), *numbered("train/emus", 4), *numbered("test/emus", 4))
    write(tmp_path / "split", "val/emus/x.jpg", "test/emus/x.jpg", content=jpeg(picture("x")))
    write(tmp_path / "plain", *numbered("cats", 4), *numbered("dogs", 4), *numbered("emus", 2))
    assert audited(tmp_path / "split", own_cache).lost == ("emus in val",)
    assert audited(tmp_path / "plain", own_cache).lost == ("emus",)
    assert audited(split_folders(tmp_path / "clean"), own_cache).lost == ()


def test_a_list_to_exclude_has_no_class_that_only_a_given_split_lacks(
    tmp_path: Path, own_cache: Path
) -> None:
    write(split_folders(tmp_path), *numbered("train/emus", 4), *numbered("val/emus", 4))
    assert len(audited(tmp_path, own_cache).exclude) == 0


def test_a_class_whose_files_are_all_broken_is_told(tmp_path: Path, own_cache: Path) -> None:
    write(tmp_path, *numbered("cats", 4), *numbered("dogs", 4))
    write(tmp_path, *numbered("emus", 4), content=b"broken")
    assert list(of_kind(audited(tmp_path, own_cache), "small-class")) == ["emus/"]


@pytest.mark.parametrize(("images", "told"), [(12, False), (13, True)])
def test_classes_over_three_to_one_are_out_of_balance(
    tmp_path: Path, own_cache: Path, images: int, told: bool
) -> None:
    write(tmp_path, *numbered("cats", 4), *numbered("dogs", images))
    text = {".": "dogs has 13 images, cats 4: 3.2 to 1"} if told else {}
    assert of_kind(audited(tmp_path, own_cache), "imbalance") == text


def test_names_that_differ_in_case_or_form_collide(tmp_path: Path, own_cache: Path) -> None:
    names = ("Cats", "cats", "caf\u00e9", "cafe\u0301", "dogs")
    labels = {f"{place}-{n}.jpg": name for place, name in enumerate(names) for n in range(3)}
    told = of_kind(audit(examine(index_manifest(manifest(tmp_path, labels)), own_cache)), "name-collision")
    assert set(told) == {f"{name}/" for name in names[:4]}
    assert told["Cats/"] == "alike but for case, blanks or Unicode form: 'cats'"


def test_names_of_folders_that_differ_in_blanks_collide(tmp_path: Path, own_cache: Path) -> None:
    write(tmp_path, *numbered("cats", 4), *numbered("cats ", 4), *numbered("cat s", 4))
    assert set(of_kind(audited(tmp_path, own_cache), "name-collision")) == {"cats/", "cats /"}


@pytest.mark.parametrize(
    ("size", "names"), [((31, 64), {"tiny"}), ((32, 64), set()), ((40, 161), {"extreme-aspect"})]
)
def test_small_and_long_pictures_are_told_from_a_bound_on(
    tmp_path: Path, own_cache: Path, size: tuple[int, int], names: set[str]
) -> None:
    write(tmp_path, *numbered("cats", 4), *numbered("dogs", 4))
    write(tmp_path, "cats/x.jpg", content=jpeg(picture("x", *size)))
    assert by_path(audited(tmp_path, own_cache)).get("cats/x.jpg", set()) == names


@pytest.mark.parametrize(
    ("top", "lift", "name", "told"),
    [
        (39, 0, "dark", "95 % of its pixels are below 39 of 255"),
        (39, 100, "blurred", "smoothness 3.9"),
        (5, 100, "uniform", "its luma deviates by 0.7 of 255"),
    ],
)
def test_what_is_dark_or_uniform_is_not_called_blurred_too(
    tmp_path: Path, own_cache: Path, top: int, lift: int, name: str, told: str
) -> None:
    write(tmp_path, *numbered("cats", 4), *numbered("dogs", 4))
    ramp = np.tile(lift + np.arange(96).clip(0, top), (96, 1)).astype(np.uint8)  # without a grain of detail
    write(tmp_path, "cats/x.png", content=encoded(Image.fromarray(ramp), "PNG"))
    found = audited(tmp_path, own_cache)
    assert by_path(found) == {"cats/x.png": {name}}
    assert of_kind(found, name)["cats/x.png"].startswith(told)


def test_a_file_without_its_end_whose_pixels_are_there_is_a_warning(tmp_path: Path, own_cache: Path) -> None:
    write(tmp_path, *numbered("cats", 4), *numbered("dogs", 4))
    whole = encoded(Image.fromarray(picture("x")), "PNG")
    write(tmp_path, "cats/x.png", content=whole[: whole.index(b"IEND") - 4])
    (row,) = audited(tmp_path, own_cache).findings.itertuples()
    assert (row.path, row.finding, row.level) == ("cats/x.png", "truncated", "warning")
    assert audited(tmp_path, own_cache).classes["cats"] == {"total": 5}


def test_a_finding_has_the_level_of_its_kind_unless_another_is_given() -> None:
    assert finding("a", "dark", "why") == ("a", "dark", "warning", "why")
    assert finding("a", "truncated", "why", "note").level == "note"
    assert {kind.level for kind in KINDS.values()} == set(LEVELS)


def test_photographs_are_seldom_called_dark_blurred_or_uniform(shared_data: Path, own_cache: Path) -> None:
    found = audited(shared_data / "hymenoptera", own_cache)
    looks = found.findings[found.findings["finding"].isin(["dark", "blurred", "uniform"])]
    assert found.files > 300
    assert looks["path"].nunique() <= 0.02 * found.files
