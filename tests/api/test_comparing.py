from pathlib import Path

import pandas as pd

from transferkit.api.comparing import answered, names_of


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
