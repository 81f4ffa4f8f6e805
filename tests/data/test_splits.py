import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import hypothesis
import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st

from transferkit.data.index import Index
from transferkit.data.splits import Split, fold_numbers, intersections, split_index
from transferkit.data.units import unit_numbers
from transferkit.errors import DataError, UsageError


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def table(*rows: tuple[str, str], multilabel: bool = False, **columns: list[object]) -> Index:
    """An index of (path, label); the split is a first folder train, val or test; no two files are alike."""
    files = pd.DataFrame(rows, columns=["path", "label"])
    top = files["path"].str.partition("/")[0]
    files["split"] = top.where(top.isin(["train", "val", "test"]), "")
    files["group"] = ""
    files["sha256"] = [digest(path) for path in files["path"]]
    files["cluster"] = files["path"]
    return Index(Path("photos"), files.assign(**columns), files[["path"]].head(0), multilabel)


def index(*parts: tuple[str, str, int]) -> Index:
    """An index of (split, label, images)."""
    return table(
        *((f"{split}/{label}/{n}.png", label) for split, label, count in parts for n in range(count))
    )


def alike(given: Index, column: str, *sets: tuple[int, ...], value: str | None = None) -> Index:
    """The index with some of its rows made equal in a column."""
    files = given.files.copy()
    for rows in sets:
        files.loc[list(rows), column] = value or f"{column}{rows[0]}"
    return replace(given, files=files)


def divided(
    given: Index,
    seed: int = 0,
    val: float = 0.15,
    test: float | None = None,
    earlier: Mapping[str, str] | None = None,
) -> Split:
    return split_index(given, seed=seed, val_fraction=val, test_fraction=test, earlier=earlier)


def sizes(split: Split, label: str = "cats") -> tuple[int, ...]:
    counts = split.files.loc[split.files["label"] == label, "split"].value_counts()
    return tuple(int(counts.get(name, 0)) for name in ("train", "val", "test"))


def places(split: Split) -> dict[str, str]:
    return dict(zip(split.files["path"], split.files["split"], strict=True))


def contents(split: Split) -> dict[str, str]:
    return dict(zip(split.files["sha256"], split.files["split"], strict=True))


def refusal(given: Index, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        divided(given, **options)  # type: ignore[arg-type]
    return str(caught.value)


def drawn(name: str, seed: int) -> float:
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:6]) / 2**48


def placed(draw: float, val: float, test: float) -> str:
    return "test" if draw < test else "val" if draw < test + val else "train"


CATS_AND_DOGS = index(("", "cats", 200), ("", "dogs", 200))


@pytest.mark.parametrize("seed", range(3))
def test_a_file_goes_where_the_hash_of_seed_and_content_says(seed: int) -> None:
    split = divided(CATS_AND_DOGS, seed, val=0.2, test=0.1)
    draws = [drawn(f"sha256:{sha256}", seed) for sha256 in split.files["sha256"]]
    assert split.files["split"].tolist() == [placed(draw, 0.2, 0.1) for draw in draws]
    assert split.moved == split.dropped == {}


def test_the_draw_of_a_known_content_does_not_change_between_versions() -> None:
    # printf '0:sha256:%s' $(printf /cats/0.png | sha256sum | cut -c-64) | sha256sum: 712c90a306d3...
    draw = 0x712C90A306D3 / 2**48
    for test, place in ((draw + 1e-9, "test"), (draw - 1e-9, "val")):
        assert divided(CATS_AND_DOGS, seed=0, val=0.1, test=test).files["split"][0] == place


def test_about_15_in_100_are_set_aside_for_val_and_for_test() -> None:
    split = divided(index(("", "cats", 4000), ("", "dogs", 4000)))
    shares = split.files["split"].value_counts(normalize=True)
    assert shares["val"] == pytest.approx(0.15, abs=0.02)  # 5 standard deviations
    assert shares["test"] == pytest.approx(0.15, abs=0.02)


def test_rows_stay_in_the_order_of_the_index() -> None:
    split = divided(CATS_AND_DOGS)
    assert split.files["path"].tolist() == CATS_AND_DOGS.files["path"].tolist()
    assert split.files.index.tolist() == list(range(400))
    assert (CATS_AND_DOGS.files["split"] == "").all()  # the index itself is not changed


def test_another_seed_gives_another_split() -> None:
    assert contents(divided(CATS_AND_DOGS, seed=3)) != contents(divided(CATS_AND_DOGS, seed=4))


def test_the_split_goes_by_content_and_not_by_name_or_order() -> None:
    files = CATS_AND_DOGS.files.assign(path=CATS_AND_DOGS.files["path"].str.replace(".png", ".jpg"))
    shuffled = replace(CATS_AND_DOGS, files=files.sample(frac=1, random_state=0))
    assert contents(divided(shuffled)) == contents(divided(CATS_AND_DOGS))


def test_more_images_leave_the_old_ones_where_they_are() -> None:
    before = places(divided(CATS_AND_DOGS))
    after = places(divided(index(("", "ants", 90), ("", "cats", 300), ("", "dogs", 201))))
    assert {path: after[path] for path in before} == before


def test_no_test_is_made_where_none_is_asked() -> None:
    assert set(divided(CATS_AND_DOGS, test=0.0).files["split"]) == {"train", "val"}


@pytest.mark.parametrize("fractions", [(0.8, 0.8), (0.5, 0.5)])
def test_fractions_that_leave_no_train_are_refused(fractions: tuple[float, float]) -> None:
    with pytest.raises(UsageError) as caught:
        divided(CATS_AND_DOGS, val=fractions[0], test=fractions[1])
    assert str(caught.value) == (
        f"val_fraction {fractions[0]:g} and test_fraction {fractions[1]:g} leave nothing to train with: they "
        f"make {sum(fractions):g}, and less than 1 is allowed. Lower one, such as --test-fraction 0.15."
    )


def test_a_fraction_that_is_not_used_is_not_refused() -> None:
    given = index(("train", "cats", 20), ("train", "dogs", 20), ("val", "cats", 5), ("test", "cats", 5))
    assert sizes(divided(given, val=0.8, test=0.8)) == (20, 5, 5)


@pytest.mark.parametrize("column", ["sha256", "cluster", "group"])
def test_files_that_are_alike_stay_together(column: str) -> None:
    threes = [tuple(range(row, row + 3)) for row in range(0, 399, 3)]
    files = divided(alike(CATS_AND_DOGS, column, *threes)).files
    assert (files.groupby(column)["split"].nunique().loc[f"{column}0" :] == 1).all()
    assert files["split"].nunique() == 3


def test_files_joined_by_way_of_others_stay_together() -> None:
    chain = alike(index(("", "cats", 400), ("", "dogs", 40)), "group", *((n, n + 1) for n in range(0, 50, 2)))
    chain = alike(chain, "cluster", *((n, n + 1) for n in range(1, 49, 2)))
    assert divided(chain).files["split"].head(50).nunique() == 1


def test_a_unit_is_drawn_by_its_smallest_group_or_else_its_smallest_content() -> None:
    for seed in range(20):
        given = alike(CATS_AND_DOGS, "group", (0, 1), value="zoo")
        given = alike(given, "group", (2,), value="ape")
        given = alike(given, "cluster", (1, 2, 3), (10, 11))
        split = divided(given, seed).files["split"]
        smallest = min(given.files["sha256"][10:12])
        assert split[0] == placed(drawn("group:ape", seed), 0.15, 0.15)
        assert split[10] == placed(drawn(f"sha256:{smallest}", seed), 0.15, 0.15)


def test_nothing_is_joined_by_no_group_or_no_cluster() -> None:
    given = replace(CATS_AND_DOGS, files=CATS_AND_DOGS.files.assign(cluster=None))
    assert places(divided(given)) == places(divided(CATS_AND_DOGS))


def test_a_missing_class_gets_the_unit_whose_draw_lies_nearest() -> None:
    given = index(("", "cats", 3), ("", "dogs", 200))
    draws = {path: drawn(f"sha256:{digest(path)}", 6) for path in given.files["path"][:3]}
    assert [placed(draw, 0.15, 0.15) for draw in draws.values()] == ["train"] * 3
    split = divided(given, seed=6)
    by_draw = sorted(draws, key=draws.__getitem__)
    assert split.moved == {by_draw[0]: "val", by_draw[1]: "test"}  # val is filled first
    assert {path: places(split)[path] for path in by_draw} == {**split.moved, by_draw[2]: "train"}


def test_a_unit_moves_whole_and_all_of_it_is_told() -> None:
    given = alike(index(("", "cats", 6), ("", "dogs", 200)), "group", (0, 1), (2, 3), (4, 5))
    for seed in range(10):
        split = divided(given, seed)
        assert sizes(split) == (2, 2, 2)
        assert {given.files["path"][row] in split.moved for row in (0, 1)} in ({True}, {False})
        assert all(places(split)[path] == to for path, to in split.moved.items())


def test_a_move_never_takes_the_last_unit_of_another_class() -> None:
    # The pictures with both cats and dogs are the only ones with dogs.
    both = [(f"b{n}", "cats|dogs") for n in range(3)]
    given = table(*both, *((f"c{n}", "cats") for n in range(30)), multilabel=True)
    for seed in range(10):
        files = divided(given, seed).files
        assert sorted(files["split"][:3]) == ["test", "train", "val"]


def test_each_of_several_labels_counts_by_itself() -> None:
    labels = ["cats|dogs", "cats", "cats", "dogs", "dogs"]
    given = table(*((f"{n}", label) for n, label in enumerate(labels)), multilabel=True)
    files = divided(given, test=0.0).files
    for name in ("cats", "dogs"):
        assert set(files.loc[files["label"].str.contains(name), "split"]) == {"train", "val"}


def test_every_class_of_3_is_in_every_split() -> None:
    files = divided(index(*(("", f"class{n}", 3 + n) for n in range(10)))).files
    assert (files.groupby("label")["split"].nunique() == 3).all()


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_images_are_refused_by_name(count: int) -> None:
    images = "1 image, none for val and test" if count == 1 else "2 images, none for test"
    assert refusal(index(("", "cats", count), ("", "dogs", 9))) == (
        "photos: too few different images for one of each class in train, val and test: "
        f"'cats' ({images}). Each class needs 3 that share no content, near duplicate or group: add images, "
        "move the class away, or leave out the test part with --test-fraction 0."
    )


def test_two_images_will_do_without_a_test_and_one_will_not() -> None:
    assert sizes(divided(index(("", "cats", 2), ("", "dogs", 9)), test=0.0)) == (1, 1, 0)
    told = refusal(index(("", "cats", 1), ("", "dogs", 9)), test=0.0)
    assert "'cats' (1 image, none for val). Each class needs 2" in told
    assert told.endswith(": add images, or move the class away.")


def test_copies_do_not_count_as_images() -> None:
    told = refusal(alike(index(("", "cats", 9), ("", "dogs", 9)), "sha256", tuple(range(9))))
    assert "'cats' (1 image of 9 files, none for val and test)" in told
    assert "--near-duplicates" not in told and "group column" not in told


@pytest.mark.parametrize(
    ("column", "kind", "hint"),
    [
        (
            "cluster",
            "1 cluster",
            "Near duplicates count as one: --near-duplicates ignore counts them singly.",
        ),
        ("group", "1 group", "Files of a group count as one: check the group column."),
    ],
)
def test_what_joins_too_much_is_named(column: str, kind: str, hint: str) -> None:
    told = refusal(alike(index(("", "cats", 9), ("", "dogs", 9)), column, tuple(range(8))))
    assert f"'cats' ({kind} and 1 image of 9 files, none for test)" in told
    assert told.endswith(f"with --test-fraction 0. {hint}")


def test_both_are_named_where_either_would_join_as_much() -> None:
    given = index(("", "cats", 9), ("", "dogs", 9))
    told = refusal(alike(alike(given, "cluster", tuple(range(9))), "group", tuple(range(9))))
    assert "--near-duplicates ignore" in told and "check the group column" in told


def test_many_classes_are_counted_and_not_listed() -> None:
    told = refusal(index(("", "a", 9), *(("", f"class{n:02}", 1) for n in range(20))))
    assert told.count("'class") == 8
    assert "'class07' (1 image, none for " in told
    assert ") and 12 more. Each class needs 3" in told


def test_given_splits_are_kept() -> None:
    parts = (("train", 8), ("val", 4), ("test", 5))
    given = index(*((split, label, n) for split, n in parts for label in ("cats", "dogs")))
    assert divided(given).files["split"].tolist() == given.files["split"].tolist()


def test_a_missing_val_is_drawn_from_train() -> None:
    split = divided(index(("train", "cats", 100), ("train", "dogs", 100), ("test", "cats", 5)), val=0.2)
    train = split.files[split.files["path"].str.startswith("train/")]
    draws = [drawn(f"sha256:{sha256}", 0) for sha256 in train["sha256"]]
    assert train["split"].tolist() == [placed(draw, 0.2, 0.0) for draw in draws]
    assert set(split.files["split"][200:]) == {"test"}


def test_no_test_is_made_where_val_is_given_unless_asked() -> None:
    given = index(("train", "cats", 20), ("train", "dogs", 20), ("val", "cats", 5))
    assert sizes(divided(given)) == (20, 5, 0)
    asked = divided(given, test=0.3)
    assert set(asked.files["split"]) == {"train", "val", "test"}
    assert sizes(asked)[1] == 5


def test_a_class_that_a_given_test_lacks_is_not_moved_there() -> None:
    split = divided(index(("train", "cats", 9), ("train", "dogs", 9), ("test", "cats", 3)))
    assert sizes(split, "dogs")[2] == 0


def test_no_train_folder_beside_others_is_refused() -> None:
    assert refusal(index(("val", "cats", 9), ("test", "dogs", 9))) == (
        "photos: no train folder (there is val and test). Training needs train/CLASS/*.jpg, or class "
        "folders without splits."
    )


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_class_that_train_does_not_know_is_refused_by_name(split: str) -> None:
    assert refusal(index(("train", "cats", 9), ("train", "dogs", 9), (split, "katze", 3))) == (
        f"the {split} folder has classes that train does not: katze. "
        "Train has: cats, dogs. Rename the folders so that they agree."
    )


GIVEN = index(("train", "cats", 9), ("train", "dogs", 9), ("val", "cats", 9), ("test", "cats", 9))
A, B, VAL, TEST = 0, 1, 18, 27  # rows of train (two), val and test


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("sha256", "same picture as {}"),
        ("cluster", "near duplicate of {}"),
        ("group", "same group (group0) as {}"),
    ],
)
def test_what_leaks_is_left_out_of_the_lower_split(column: str, reason: str) -> None:
    split = divided(alike(GIVEN, column, (A, B, VAL), (3, TEST), (VAL + 1, TEST + 1), value=None))
    told = {path: text.replace(f"{column}3", f"{column}0") for path, text in split.dropped.items()}
    told = {path: text.replace(f"{column}19", f"{column}0") for path, text in told.items()}
    assert told == {
        "train/cats/0.png": reason.format("val/cats/0.png"),
        "train/cats/1.png": reason.format("val/cats/0.png"),
        "train/cats/3.png": reason.format("test/cats/0.png"),
        "val/cats/1.png": reason.format("test/cats/1.png"),
    }
    assert sizes(split) == (6, 8, 9)
    assert split.files.index.tolist() == list(range(len(split.files)))


def test_of_three_copies_the_one_in_test_stays() -> None:
    split = divided(alike(GIVEN, "sha256", (A, VAL, TEST)))
    assert split.dropped == dict.fromkeys(
        ["train/cats/0.png", "val/cats/0.png"], "same picture as test/cats/0.png"
    )


def test_a_leak_by_way_of_a_file_that_is_left_out_names_it() -> None:
    split = divided(alike(alike(GIVEN, "group", (A, B), value="Ann"), "cluster", (B, TEST)))
    assert split.dropped == {
        "train/cats/0.png": "same group (Ann) as train/cats/1.png, left out too",
        "train/cats/1.png": "near duplicate of test/cats/0.png",
    }


def test_what_is_left_out_of_train_is_not_drawn_for_val_either() -> None:
    given = alike(index(("train", "cats", 9), ("train", "dogs", 9), ("test", "cats", 3)), "group", (0, 18))
    assert list(divided(given).dropped) == ["train/cats/0.png"]


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_class_that_loses_all_its_images_is_refused(split: str) -> None:
    given = index(("train", "cats", 9), ("train", "dogs", 9), ("val", "dogs", 2), ("test", "dogs", 9))
    lost, away = (9, 11) if split == "train" else (2, 2)  # rows of dogs, and how far on their like lies
    first = 9 if split == "train" else 18
    told = refusal(alike(given, "cluster", *((row, row + away) for row in range(first, first + lost))))
    assert f"{lost} left out as leaks, none for {split})" in told
    assert told.endswith("--near-duplicates ignore counts them singly.")


def test_files_of_an_earlier_run_stay_and_the_rest_are_drawn() -> None:
    few = index(("", "cats", 100), ("", "dogs", 100))
    before = divided(few, seed=7)
    earlier = contents(before)
    after = divided(CATS_AND_DOGS, seed=8, earlier=earlier)
    assert {path: places(after)[path] for path in places(before)} == places(before)
    new = after.files[~after.files["sha256"].isin(earlier)]
    assert new["split"].tolist() == [
        placed(drawn(f"sha256:{sha256}", 8), 0.15, 0.15) for sha256 in new["sha256"]
    ]


def test_a_repaired_file_of_an_earlier_run_stays() -> None:
    before = divided(index(("", "cats", 3), ("", "dogs", 200)), seed=6)
    after = index(("", "cats", 150), ("", "dogs", 200))
    assert divided(after, 6).moved == {}
    moved = {path: places(divided(after, 6, earlier=contents(before)))[path] for path in before.moved}
    assert moved == before.moved != {}


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("column", ["sha256", "cluster", "group"])
def test_what_is_joined_to_an_earlier_file_follows_it(column: str, split: str) -> None:
    given = alike(CATS_AND_DOGS, column, (0, 1, 2))
    earlier = {given.files["sha256"][0]: split}
    assert divided(given, earlier=earlier).files["split"][:3].tolist() == [split] * 3


def test_earlier_files_that_turn_out_alike_stay_in_the_higher_split() -> None:
    shas = CATS_AND_DOGS.files["sha256"]
    earlier = {shas[0]: "train", shas[1]: "test"}
    split = divided(alike(CATS_AND_DOGS, "cluster", (0, 1, 2)), earlier=earlier)
    assert split.dropped == {"/cats/0.png": "near duplicate of /cats/1.png"}
    assert [places(split)[f"/cats/{n}.png"] for n in (1, 2)] == ["test", "test"]


def test_a_class_whose_files_are_all_kept_where_they_were_is_refused() -> None:
    given = index(("", "cats", 5), ("", "dogs", 9))
    told = refusal(given, earlier=dict.fromkeys(given.files["sha256"][:5], "train"))
    assert "'cats' (5 images, 5 of them given or kept, none for val and test)" in told


def test_a_file_that_is_left_out_does_not_stand_for_its_class() -> None:
    given = alike(index(("", "cats", 3), ("", "dogs", 9)), "cluster", (0, 3))  # a cat and a dog
    cat, dog = given.files["sha256"][[0, 3]]
    told = refusal(given, earlier={cat: "train", dog: "test"})
    assert "'cats' (2 images, 1 left out as leaks, none for " in told


def test_a_file_given_another_split_than_in_the_earlier_run_is_refused() -> None:
    assert refusal(GIVEN, earlier={GIVEN.files["sha256"][TEST]: "train"}) == (
        "files of the earlier run are given another split now: test/cats/0.png (was train); 1 in all. "
        "Move them back, or start without the earlier run."
    )


@pytest.mark.parametrize("column", ["sha256", "cluster"])
def test_a_run_after_itself_changes_nothing(column: str) -> None:
    given = alike(GIVEN, column, (A, VAL), (B, TEST), (VAL + 1, TEST + 1))
    for parts in (given, replace(given, files=given.files[given.files["split"] != "val"])):
        once = divided(parts)
        again = divided(parts, seed=5, earlier=contents(once))
        assert places(again) == places(once)
        assert again.dropped == once.dropped != {}


def test_intersections_are_counted_from_the_table() -> None:
    rows = [
        ("a", "train", "x", "Ann", 1),
        ("b", "train", "y", "", 2),
        ("c", "test", "x", "Ann", 2),
        ("d", "test", "z", "", 1),
        ("d", "train", "z", "", None),
    ]
    files = pd.DataFrame(rows, columns=["path", "split", "sha256", "group", "cluster"])
    found = {name: counts["train & test"] for name, counts in intersections(files).items()}
    assert found == {"path": 1, "content": 2, "group": 1, "near duplicates": 2}
    assert intersections(files)["path"].keys() == {"train & test"}
    three = intersections(divided(CATS_AND_DOGS).files)
    assert three["group"] == {"train & val": 0, "train & test": 0, "val & test": 0}


def test_folds_share_out_each_class_evenly() -> None:
    files = index(("", "cats", 23), ("", "dogs", 40), ("", "owls", 5)).files
    fold = fold_numbers(files, 5, seed=0)
    counts = pd.crosstab(files["label"], fold)
    assert (counts.max(axis=1) - counts.min(axis=1) <= 1).all()
    assert sorted(np.bincount(fold)) == [13, 13, 14, 14, 14]


def test_folds_keep_units_whole_and_go_by_seed() -> None:
    files = CATS_AND_DOGS.files.assign(group=[f"g{row // 7}" for row in range(400)])
    fold = fold_numbers(files, 4, seed=0)
    assert pd.Series(fold).groupby(files["group"]).nunique().eq(1).all()
    assert (fold_numbers(files, 4, seed=0) == fold).all()
    assert (fold_numbers(files, 4, seed=1) != fold).any()


def test_folds_go_by_each_name_of_several_labels() -> None:
    rare = [(f"r{n}", "rare|cats") for n in range(2)]
    given = table(*rare, *((f"c{n}", "cats") for n in range(30)), multilabel=True)
    fold = fold_numbers(given.files, 2, seed=0, multilabel=True)
    assert sorted(fold[:2]) == [0, 1]
    assert np.bincount(fold).tolist() == [16, 16]


def test_folds_of_many_small_classes_are_of_a_size() -> None:
    files = index(*(("", f"class{n}", 2) for n in range(5))).files
    assert np.bincount(fold_numbers(files, 5, seed=0)).tolist() == [2] * 5


def test_a_class_is_not_put_in_one_fold_for_the_balance_of_another() -> None:
    # Two groups have all the cats. Beside the scene with 60 dogs there is room for one of them only.
    sets = (("scene", "dogs", 60), ("scene", "owls", 10), ("", "owls", 1), ("", "dogs", 30))
    sets += (("a", "cats", 1), ("a", "dogs", 5), ("b", "cats", 1), ("b", "dogs", 5))
    rows = [(group, label) for group, label, count in sets for _ in range(count)]
    files = table(*((f"{n}", row[1]) for n, row in enumerate(rows)), group=[row[0] for row in rows]).files
    fold = fold_numbers(files, 2, seed=0)
    assert set(fold[files["label"] == "cats"]) == {0, 1}


@pytest.mark.parametrize("folds", [1, 6])
def test_an_impossible_number_of_folds_is_refused(folds: int) -> None:
    files = alike(index(("", "cats", 3), ("", "dogs", 3)), "group", (0, 1)).files
    with pytest.raises(UsageError) as caught:
        fold_numbers(files, folds, seed=0)
    assert str(caught.value) == (
        f"{folds} folds cannot be made of 1 group and 4 images of 6 files: at least 2 are needed, and at "
        "most as many as there are different images (5)."
    )


def test_a_class_of_one_unit_has_no_folds() -> None:
    files = alike(index(("", "cats", 3), ("", "dogs", 9)), "group", (0, 1, 2)).files
    with pytest.raises(DataError) as caught:
        fold_numbers(files, 3, seed=0)
    assert str(caught.value) == (
        "too few different images for 3 folds: 'cats' (1 group of 3 files). Each class needs 2 that share no "
        "content, near duplicate or group, so that one is left to train with: add images, or move the class "
        "away."
    )


# Values 0 to 3 are shared by rows, higher ones mean a row with nothing like it.
ROW = st.tuples(st.sampled_from("abc"), *[st.integers(0, 60)] * 3)
ROWS = st.lists(ROW, min_size=15, max_size=40)
LAYOUTS = st.sampled_from([("",), ("train", "test"), ("train", "val"), ("train", "val", "test"), ("train",)])
OPTIONS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 9),
        "val": st.sampled_from([0.05, 0.15, 0.4]),
        "test": st.sampled_from([None, 0.0, 0.1, 0.5]),
    }
)
thorough = hypothesis.settings(max_examples=80, deadline=None, derandomize=True, database=None)


def tree(rows: list[tuple[str, int, int, int]], layout: tuple[str, ...], multilabel: bool = False) -> Index:
    """An index of such rows, dealt to the layout's splits."""
    places = [layout[(group + sha256 + n) % len(layout)] for n, (_, group, sha256, _) in enumerate(rows)]
    labels = [f"{row[0]}|{'de'[n % 2]}" if multilabel else row[0] for n, row in enumerate(rows)]
    return table(
        *((f"{n}", label) for n, label in enumerate(labels)),
        multilabel=multilabel,
        split=places,
        group=[f"g{row[1]}" if row[1] < 4 else "" for row in rows],
        sha256=[f"s{row[2]}" if row[2] < 4 else f"own{n}" for n, row in enumerate(rows)],
        cluster=[row[3] if row[3] < 4 else 10 + n for n, row in enumerate(rows)],
    )


def tried(given: Index, **options: object) -> Split:
    try:
        return divided(given, **options)  # type: ignore[arg-type]
    except DataError:
        hypothesis.assume(False)
        raise


def wanted(given: Index, options: dict[str, object]) -> set[tuple[str, str]]:
    """Each class with each split that it must be in."""
    pairs = {
        (name, split)
        for label, split in zip(given.files["label"], given.files["split"], strict=True)
        for name in label.split("|")
    }
    there = {split for _, split in pairs}
    drawn = {"train"}
    drawn |= {"val"} - there
    drawn |= (
        {"test"} - there if options["test"] or (options["test"] is None and "val" not in there) else set()
    )
    return {(name, split) for name, split in pairs if split} | {(name, s) for name, _ in pairs for s in drawn}


@thorough
@hypothesis.given(ROWS, LAYOUTS, OPTIONS, st.booleans())
def test_no_tree_leaks_and_each_class_is_where_it_must_be(rows, layout, options, multilabel):
    given = tree(rows, layout, multilabel)
    split = tried(given, **options)
    files = split.files
    assert all(n == 0 for pairs in intersections(files).values() for n in pairs.values())
    assert sorted([*files["path"], *split.dropped], key=int) == given.files["path"].tolist()
    found = {
        (name, s)
        for label, s in zip(files["label"], files["split"], strict=True)
        for name in label.split("|")
    }
    assert found >= wanted(given, options)
    before = files["path"].map(dict(zip(given.files["path"], given.files["split"], strict=True)))
    kept = before.isin(["val", "test"])
    assert files["split"][kept].tolist() == before[kept].tolist()
    assert set(files["split"][~kept]) <= {"train", *{"val", "test"} - set(before)}


@thorough
@hypothesis.given(ROWS, OPTIONS)
def test_a_tree_is_refused_only_where_a_class_has_too_few_units(rows, options):
    given = tree(rows, ("",))
    units = unit_numbers(given.files)
    one_class = given.files["label"].groupby(units).transform("first")  # a class for each unit
    given = replace(given, files=given.files.assign(label=one_class))
    least = pd.Series(units).groupby(one_class.to_numpy()).nunique().min()
    if least >= (2 if options["test"] == 0 else 3):
        divided(given, **options)
    else:
        assert "too few different images" in refusal(given, **options)


@thorough
@hypothesis.given(ROWS, ROWS, LAYOUTS, OPTIONS, st.booleans())
def test_more_files_move_no_old_one(rows, more, layout, options, multilabel):
    old, new = tree(rows, layout, multilabel), tree(rows + more, layout, multilabel)
    before, after = tried(old, **options), tried(new, **options)
    units = unit_numbers(new.files)
    joined = set(new.files["path"][np.isin(units, units[len(rows) :])])
    settled = set(old.files["path"]) - joined - before.moved.keys() - after.moved.keys()
    assert {path: places(before).get(path) for path in settled} == {
        path: places(after).get(path) for path in settled
    }


@thorough
@hypothesis.given(ROWS, ROWS, LAYOUTS, OPTIONS, st.integers(0, 9))
def test_more_files_after_an_earlier_run_move_none_at_all(rows, more, layout, options, seed):
    old, new = tree(rows, layout), tree(rows + more, layout)
    before = tried(old, **options)
    after = tried(new, **{**options, "seed": seed}, earlier=contents(before))
    units = unit_numbers(new.files)
    joined = set(new.files["path"][np.isin(units, units[len(rows) :])])
    assert all(n == 0 for pairs in intersections(after.files).values() for n in pairs.values())
    for path, place in places(before).items():
        assert places(after).get(path) == place or (path in joined and path in after.dropped)


@thorough
@hypothesis.given(ROWS, st.integers(2, 5), st.integers(0, 9), st.booleans())
def test_folds_of_any_tree_are_whole_units_with_each_class_in_two(rows, folds, seed, multilabel):
    given = tree(rows, ("",), multilabel)
    units = unit_numbers(given.files)
    hypothesis.assume(units.max() >= folds)
    try:
        fold = fold_numbers(given.files, folds, seed, multilabel)
    except DataError:
        hypothesis.assume(False)
    assert set(fold) == set(range(folds))
    assert (pd.Series(fold).groupby(units).nunique() == 1).all()
    names = given.files["label"].str.split("|").explode()
    assert (pd.Series(fold)[names.index].groupby(names.to_numpy()).nunique() >= 2).all()
