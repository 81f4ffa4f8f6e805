from pathlib import Path

import pytest

from tests.conftest import draw
from transferkit.api.prediction import expanded
from transferkit.errors import UsageError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a picture, and a link to a folder beside it that has another and a link back."""
    draw(tmp_path / "photos" / "a.png", (9, 9, 9), 0, size=4)
    draw(tmp_path / "elsewhere" / "b.png", (9, 9, 9), 1, size=4)
    (tmp_path / "photos" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "photos")
    return tmp_path / "photos"


def test_links_to_folders_are_followed_and_none_is_entered_twice(photos: Path):
    assert expanded([photos]) == ([photos / "a.png", photos / "link" / "b.png"], {})


def test_a_folder_without_files_is_told(tmp_path: Path):
    with pytest.raises(UsageError, match="no files in "):
        expanded([tmp_path])
