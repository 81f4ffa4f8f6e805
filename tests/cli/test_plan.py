import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from transferkit.cli import cli
from transferkit.cli.plan import command_for
from transferkit.recipe import Recipe

TOY = ("--backbone", "toy", "--weights", "none")


def run(*arguments: object, color: bool = False) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], color=color)


def test_plan_shows_the_panel_and_trains_nothing(toy: object, photos: Path, tmp_path: Path) -> None:
    result = run("plan", photos, *TOY, "--similarity", "different", "--amount", "little")
    assert result.exit_code == 0, result.output
    assert "60 images of 3 classes" in result.stdout
    assert ">> multistage <<" in result.stdout and "\x1b" not in result.stdout
    assert "Cost on this machine" in result.stdout
    assert result.stdout.splitlines()[-1].startswith(f"Next: transferkit finetune {photos} --backbone toy")
    assert "bank: 60 images are new" in result.stderr and "pilot:" in result.stderr
    assert not (tmp_path / "runs").exists()


def test_the_lit_cell_is_bold_on_a_terminal(toy: object, photos: Path) -> None:
    assert "\x1b[1m>> linear <<\x1b[0m" in run("plan", photos, *TOY, color=True).stdout


def test_json_has_the_plan_and_its_cost(toy: object, photos: Path) -> None:
    document = json.loads(run("plan", photos, *TOY, "--json").stdout)
    assert document["strategy"] == "multistage"
    assert document["estimate"]["total"]["expected"] > 0


def test_a_time_that_nothing_fits_into_fails_with_exit_1(toy: object, photos: Path) -> None:
    result = run("plan", photos, *TOY, "--time-limit", "0.01")
    assert result.exit_code == 1
    assert "the time limit leaves 0.6 s, and the linear classifier alone takes" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "transferkit finetune 'my photos'"),
        ({"seed": 3, "time_limit": 5}, "transferkit finetune 'my photos' --seed 3 --time-limit 5.0"),
        ({"epochs": 4}, "transferkit finetune 'my photos' --set epochs=4"),
    ],
)
def test_the_next_command_states_what_is_not_default(asked: dict[str, object], words: str) -> None:
    assert command_for("my photos", Recipe.from_mapping(asked)) == words
