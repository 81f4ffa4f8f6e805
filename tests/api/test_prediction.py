from pathlib import Path

import keras
import pytest

from tests.conftest import draw
from transferkit.api.prediction import expanded, kept_model
from transferkit.errors import DataError, UsageError
from transferkit.runs import Run


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


def test_a_model_is_loaded_once_and_again_when_its_file_is_another(tmp_path: Path):
    def save(start: str) -> None:
        dense = keras.layers.Dense(1, kernel_initializer=start)
        keras.Sequential([keras.Input((2,)), dense]).save(tmp_path / "model.keras")

    save("zeros")
    run = Run(tmp_path)
    first = kept_model(run, "cpu")
    assert kept_model(Run(tmp_path), "cpu") is first
    (tmp_path / "model.keras").rename(tmp_path / "old.keras")
    with pytest.raises(DataError, match="model"):
        kept_model(run, "cpu")
    save("ones")
    again = kept_model(run, "cpu")
    assert again is not first and again.get_weights()[0].sum() == 2
    assert kept_model(run, "auto") is not again
