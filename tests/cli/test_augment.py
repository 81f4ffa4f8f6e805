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
        "crops are cut out of images of 50 px",
        f"sheet: {tmp_path / 'sheet.png'}",
    ]
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    # Eight rows and columns of 128 px, a title above and three lines below.
    assert pixels.shape[0] > 8 * 134 + 24 + 3 * 17 and pixels.shape[1] > 8 * 134
    assert list(tmp_path.glob(".*")) == []


def tiles(sheet: Path) -> np.ndarray:
    """uint8 `(8, 8, 128, 128, 3)` of a sheet: rows of an image and its seven versions."""
    with Image.open(sheet) as image:
        pixels = np.asarray(image.convert("RGB"))
    tops, lefts = 24 + 134 * np.arange(8), 6 + 134 * np.arange(8) + 12 * (np.arange(8) > 0)
    return np.stack([[pixels[top : top + 128, left : left + 128] for left in lefts] for top in tops])


def test_tiles_are_the_images_and_what_the_policy_makes_of_them(toy: object, tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    for number in range(8):
        file = tmp_path / "ramps" / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(ramp // (1 + number % 3)).save(file)
    policy = tmp_path / "mirrored.yaml"
    policy.write_text("- horizontal_flip: {probability: 1}\n")
    result = run(tmp_path / "ramps", *TOY, "--policy", policy, "--sheet", tmp_path / "sheet.png")
    assert result.exit_code == 0, result.output
    found = tiles(tmp_path / "sheet.png").astype(int)
    assert found[:, 0].std(axis=(1, 2)).min() > 2  # pictures, not paper
    # The first column is what evaluation sees, and each other one its mirror image.
    for version in range(1, 8):
        mirrored = np.abs(found[:, version] - found[:, 0, :, ::-1]).mean(axis=(1, 2, 3))
        assert (mirrored < 0.1 * np.abs(found[:, version] - found[:, 0]).mean(axis=(1, 2, 3))).all()


@pytest.mark.parametrize("step", ["mixup", "keras_cv.MixUp", "keras.MixUp"])
def test_mixing_blends_the_images_of_a_column(toy: object, photos: Path, tmp_path: Path, step: str) -> None:
    if step.startswith("keras_cv"):
        pytest.importorskip("keras_cv")
    policy = tmp_path / "mixed.yaml"
    policy.write_text(f"- {step}: {{alpha: 1.0}}\n")
    result = run(photos, *TOY, "--policy", policy, "--sheet", tmp_path / "sheet.png")
    assert result.exit_code == 0, result.output
    assert f"{step}: the images of a column are the batch that is blended; " in result.stdout
    found = tiles(tmp_path / "sheet.png").mean(axis=(2, 3))  # colours
    plain, mixed = found[:, :1], found[:, 1:]
    assert np.abs(mixed - plain).max() > 30  # other ones than the images have
    assert mixed.min() > plain.min() - 3 and mixed.max() < plain.max() + 3  # and between theirs


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
        ((), "Error: missing: DATA and --sheet FILE.png. "),
        (("photos", "--policy", "standard"), "Error: missing: --sheet FILE.png. "),
        (("--policy", "standard", "--sheet", "x.png"), "Error: missing: DATA. "),
        (("photos", "--sheet", "x.png"), "give --policy NAME, such as standard"),
        (("photos", "--policy", "light", "--augment", "strong", "--sheet", "x.png"), "say two things"),
        (("photos", "--policy", "light", "--sheet", "x.txt"), "the sheet is a PNG"),
        (
            ("photos", "--policy", "strongg", "--sheet", "x.png"),
            "unknown policy 'strongg'. Did you mean 'strong'",
        ),
        (("photos", "--policy", "none", "--sheet", "x.png"), "changes no image"),
        (("nowhere", "--policy", "light", "--sheet", "x.png"), "nowhere"),
        (
            ("photos", "--policy", "MIXED", "--strategy", "linear", "--sheet", "x.png"),
            "strategy linear fits linear classifiers, which take image by image, and mixup mixes batches",
        ),
        (("photos", "--policy", "light", "--sheet", "no/x.png"), "--sheet no/x.png: no such folder"),
    ],
)
def test_bad_calls_are_told(
    toy: object, photos: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(photos.parent)
    (photos.parent / "mixed.yaml").write_text("- mixup\n")
    known = {"photos": photos.name, "MIXED": "mixed.yaml"}
    named = [known.get(one, one) for one in arguments]
    result = run(*named, *(TOY if named else ()))
    assert result.exit_code in (1, 2) and told in result.stderr and "Traceback" not in result.output
