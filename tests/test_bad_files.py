import os
import warnings
from pathlib import Path

import pytest
from PIL import Image

from tests.bad_files import make, make_split

BROKEN = {"unreadable", "truncated", "not-an-image", "too-large"}
KINDS = """unreadable truncated not-an-image wrong-extension ignored exif-rotated alpha palette 16-bit cmyk
animated tiny extreme-aspect uniform dark blurred too-large duplicate near-duplicate label-conflict
small-class""".split()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, set[str]]]:
    folder = tmp_path_factory.mktemp("bad")
    return folder, make(folder)


def contents(folder: Path) -> dict[Path, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and os.access(path, os.R_OK)]
    return {path.relative_to(folder): path.read_bytes() for path in files}


def opens(path: Path) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of broken EXIF, which costs no pixel
        try:
            with Image.open(path) as image:
                image.load()
        except Exception:
            return False
    return True


def test_all_kinds_of_findings_and_more_are_there(made: tuple[Path, dict[str, set[str]]]) -> None:
    found = set().union(*made[1].values())
    assert found >= set(KINDS)
    odd = [path for path, names in made[1].items() if path.startswith("odd/") or names]
    assert len(odd) >= 60


def test_what_should_fail_in_pillow_fails_and_nothing_else(made: tuple[Path, dict[str, set[str]]]) -> None:
    folder, expected = made
    images = {path: names for path, names in expected.items() if path[-1] != "/" and names != {"ignored"}}
    failing = {path for path in images if not opens(folder / path)}
    assert failing == {path for path, names in images.items() if names & BROKEN}


def test_two_calls_write_the_same_bytes(made: tuple[Path, dict[str, set[str]]], tmp_path: Path) -> None:
    assert make(tmp_path) == made[1]
    assert contents(tmp_path) == contents(made[0])
    assert max(len(content) for content in contents(tmp_path).values()) < 2_000_000


def test_a_split_folder_shares_pictures_between_its_splits(tmp_path: Path) -> None:
    leaks = sorted(path for path, names in make_split(tmp_path).items() if names == {"leak"})
    assert leaks == [
        f"{split}/{name}.jpg" for split in ("test", "train") for name in ("cats/same", "dogs/near")
    ]
    written = contents(tmp_path)
    assert written[Path("train/cats/same.jpg")] == written[Path("test/cats/same.jpg")]
    assert written[Path("train/dogs/near.jpg")] != written[Path("test/dogs/near.jpg")]
