from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from transferkit.cli import cli
from transferkit.data.augment.catalogue import STEPS

TOY = ("--backbone", "toy", "--weights", "none", "--image-size", "32")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["augment", *map(str, arguments)])


def test_a_sheet_has_images_their_versions_and_the_steps(toy: object, photos: Path, tmp_path: Path) -> None:
    result = run(photos, *TOY, "--policy", "standard", "--sheet", tmp_path / "sheet.png")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "1. random_crop: scale 1.14 to 2.14",
        "2. horizontal_flip: with probability 0.5",
        "3. color_jitter: brightness 0.2, contrast 0.2, saturation 0.2, hue 0",
        f"sheet: {tmp_path / 'sheet.png'}",
    ]
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    # Eight rows and columns of 128 px, a title above and three lines below.
    assert pixels.shape[0] > 8 * 134 + 24 + 3 * 17 and pixels.shape[1] > 8 * 134
    assert list(tmp_path.glob(".*")) == []


def test_auto_says_what_was_measured(toy: object, photos: Path, tmp_path: Path) -> None:
    result = run(photos, *TOY, "--policy", "auto", "--sheet", tmp_path / "sheet.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "sheet.png").is_file()
    assert "\nAugmentation: light" in result.stdout
    # Nobody asked what it costs.
    assert "pilot" not in result.stderr


def test_steps_lists_every_step_and_policy() -> None:
    result = run("--steps")
    assert result.exit_code == 0
    assert all(f"\n{name}" in result.stdout for name in (*STEPS, "standard", "auto"))
    assert "    degrees: 15; a number from 0 to 180" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "augment needs DATA and --sheet"),
        (("photos", "--policy", "standard"), "augment needs DATA and --sheet"),
        (("photos", "--sheet", "x.png"), "give --policy NAME, such as standard"),
        (("photos", "--policy", "light", "--augment", "strong", "--sheet", "x.png"), "say two things"),
        (("photos", "--policy", "light", "--sheet", "x.txt"), "the sheet is a PNG"),
        (
            ("photos", "--policy", "strongg", "--sheet", "x.png"),
            "unknown policy 'strongg'. Did you mean 'strong'",
        ),
        (("photos", "--policy", "none", "--sheet", "x.png"), "changes no single image"),
        (("nowhere", "--policy", "light", "--sheet", "x.png"), "nowhere"),
        (("photos", "--policy", "light", "--sheet", "no/x.png"), "--sheet no/x.png: no such folder"),
    ],
)
def test_bad_calls_are_told(
    toy: object, photos: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(photos.parent)
    named = [photos.name if one == "photos" else one for one in arguments]
    result = run(*named, *(TOY if named else ()))
    assert result.exit_code in (1, 2) and told in result.stderr and "Traceback" not in result.output
