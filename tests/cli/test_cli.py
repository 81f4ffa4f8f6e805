import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.conftest import draw_classes
from transferkit.cli import cli

QUICK = ("--backbone", "toy", "--weights", "none", "--strategy", "linear")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def refused(result: Result, code: int, *words: str) -> None:
    """The command failed with a message that has these words, and no traceback."""
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.stderr, result.stderr


@pytest.mark.parametrize(
    "words", [["--help"], ["finetune", "--help"], ["backbones"], ["recipes"], ["datasets"]]
)
def test_help_and_lists_answer_without_keras(words: list[str]):
    code = (
        "import sys\nfrom transferkit.cli import cli\n"
        f"cli({words!r}, standalone_mode=False)\n"
        "heavy = {'keras', 'tensorflow', 'sklearn', 'pandas', 'matplotlib', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_help_with_an_example_and_is_in_the_readme(name: str):
    found = run(name, "--help")
    assert found.exit_code == 0
    assert "Example" in found.output
    assert f"transferkit {name}" in (Path(__file__).parents[2] / "README.md").read_text()


def test_finetune_tells_its_result_and_where_the_report_is(toy: object, photos: Path, tmp_path: Path):
    result = run("finetune", photos, *QUICK, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "val: top-1 " in result.stdout
    assert f"report: {tmp_path / 'run' / 'report.html'}" in result.stdout
    assert "bank: 60 images" in result.stderr


def test_json_is_one_document_on_stdout(toy: object, photos: Path, tmp_path: Path):
    result = run("finetune", photos, *QUICK, "--out", tmp_path / "run", "--json")
    document = json.loads(result.stdout)
    assert set(document) == {"run", "strategy", "metrics"}
    assert document["metrics"] == json.loads((tmp_path / "run" / "metrics.json").read_text())


def test_predict_and_evaluate_answer_from_the_run(toy: object, photos: Path, tmp_path: Path):
    run("finetune", photos, *QUICK, "--out", tmp_path / "run")
    rows = run("predict", tmp_path / "run", photos / "red").stdout.splitlines()
    assert rows[0] == "path,pred,p,top5"
    assert len(rows) == 21
    found = run("evaluate", tmp_path / "run", photos, "--json", "--predictions", tmp_path / "p.csv")
    assert json.loads(found.stdout)["metrics"]["n"] == 60
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 61
    plain = json.loads(found.stdout)["metrics"]
    viewed = json.loads(run("evaluate", tmp_path / "run", photos, "--json", "--views", "10crop").stdout)
    assert (viewed["views"], viewed["passes"], viewed["plain_metrics"]) == ("10crop", 10, plain)
    assert viewed["gain"]["value"] == pytest.approx(viewed["metrics"]["top1"] - plain["top1"])
    assert viewed["gain"]["low"] <= viewed["gain"]["value"] <= viewed["gain"]["high"]


def test_predict_fails_for_a_file_it_cannot_read_and_still_answers_for_the_rest(
    toy: object, photos: Path, tmp_path: Path
):
    run("finetune", photos, *QUICK, "--out", tmp_path / "run")
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    result = run("predict", tmp_path / "run", tmp_path / "bad.jpg", photos / "red" / "000.png")
    assert result.exit_code == 1
    assert "bad.jpg: no prediction: not an image" in result.stderr
    assert len(result.stdout.splitlines()) == 2


def test_evaluate_names_classes_that_do_not_join(toy: object, photos: Path, tmp_path: Path):
    run("finetune", photos, *QUICK, "--out", tmp_path / "run")
    (photos / "red").rename(photos / "crimson")
    refused(run("evaluate", tmp_path / "run", photos), 1, "crimson", "--map")
    mapped = run("evaluate", tmp_path / "run", photos, "--map", "crimson=red")
    assert mapped.exit_code == 0, mapped.output
    (photos / "crimson").rename(photos / "a = b")
    mapped = run("evaluate", tmp_path / "run", photos, "--map", "a = b=red")
    assert mapped.exit_code == 0, mapped.output
    refused(run("evaluate", tmp_path / "run", photos, "--map", "=red"), 2, "OLD=NEW is needed")


BAD_INPUT = [
    (["no-such-folder"], 2, ["no such folder: no-such-folder"]),
    (["empty", *QUICK], 1, ["no images in class folders"]),
    (["one", *QUICK], 1, ["one class only ('red', 3 images)"]),
    (["photos", "--backbone", "resnet-50"], 2, ["unknown backbone 'resnet-50'. Did you mean 'resnet50'"]),
    (["photos", "--backbone", "toy", "--weights", "no.h5"], 1, ["weights no.h5: no such file"]),
    (["photos", "--strategy", "linar"], 2, ["'linar' is not allowed. Allowed: linear"]),
    (["photos", "--set", "epoch=3"], 2, ["unknown key 'epoch'. Did you mean 'epochs'"]),
    (["photos", "--set", "epochs"], 2, ["key=value is needed"]),
    (["photos", "--seed", "x"], 2, ["A whole number from 0"]),
    (["photos", "--recipe", "quickstar"], 2, ["unknown recipe 'quickstar'. Did you mean 'quickstart'"]),
    (["photos", *QUICK, "--device", "tpu"], 2, ["Allowed: auto, cpu, gpu, gpu:N"]),
    (["photos", *QUICK, "--set", "freeze_depth=1"], 2, ["says nothing to strategy linear"]),
    (["photos", "--backbone", "toy"], 1, ["ImageNet weights for toy cannot be had", "--weights-dir", "none"]),
]


@pytest.mark.parametrize(("words", "code", "messages"), BAD_INPUT)
def test_bad_input_is_told_and_leaves_nothing(
    words: list[str], code: int, messages: list[str], toy: object, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    draw_classes(tmp_path / "photos", 8)
    draw_classes(tmp_path / "one", 3, names=("red",))
    (tmp_path / "empty" / "a").mkdir(parents=True)
    refused(run("finetune", *words, "--out", "run"), code, *messages)
    assert not list(tmp_path.glob("*run*")) and not list(tmp_path.glob(".*run*"))


def test_an_option_wins_over_set_and_set_over_the_recipe(toy: object, photos: Path, tmp_path: Path):
    (tmp_path / "mine.yaml").write_text("strategy: full\nseed: 1\nbackbone: toy\nweights: none\n")
    words = ["--recipe", tmp_path / "mine.yaml", "--set", "strategy=linear"]
    assert json.loads(run("plan", photos, *words, "--json").stdout)["strategy"] == "linear"
    words += ["--strategy", "multistage"]
    assert json.loads(run("plan", photos, *words, "--json").stdout)["strategy"] == "multistage"


def test_a_class_with_one_image_is_named(toy: object, photos: Path):
    for path in sorted((photos / "red").iterdir())[1:]:
        path.unlink()
    refused(run("finetune", photos, *QUICK), 1, "class 'red' has a single image")


def test_all_faults_of_a_recipe_are_told_at_once(photos: Path, tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text("strategi: linear\nepochs: many\nseed: 1\n")
    result = run("finetune", photos, "--recipe", file)
    refused(result, 2, "2 faults", f"{file}: strategi: unknown key", f"{file}: epochs: 'many' is not allowed")


def test_a_run_that_fails_late_leaves_nothing(
    toy: object, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("transferkit.reports.pages.write", full)
    result = run("finetune", photos, *QUICK, "--out", tmp_path / "out" / "run")
    assert result.exit_code != 0
    assert not (tmp_path / "out").exists()


def test_backbones_shows_the_lecture_slide():
    rows = run("backbones", "vgg16").stdout
    assert "parameters: 138,357,544 with the classifier, 14,714,688 without" in rows
    assert "15,346,630,656 in convolutions" in rows
    assert "block1_conv1" in rows and "224x224x64" in rows and "12,544 KB" in rows


def test_weights_where_says_what_it_looked_at(tmp_path: Path):
    refused(run("weights", "where", "vgg16"), 1, "no ImageNet weights for vgg16", "vgg16_weights_tf")
    (tmp_path / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5").touch()
    found = run("weights", "where", "vgg16", "--weights-dir", tmp_path)
    assert found.exit_code == 0
    assert found.stdout.strip() == str(tmp_path / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5")


def test_weights_verify_fails_for_a_broken_file(tmp_path: Path):
    (tmp_path / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5").write_bytes(b"half")
    result = run("weights", "verify", "--weights-dir", tmp_path)
    assert result.exit_code == 1
    assert "differs: " in result.stdout


def test_recipes_are_listed_printed_and_explained():
    assert "quickstart" in run("recipes").stdout
    assert "strategy:" in run("recipes", "quickstart").stdout
    assert run("recipes", "show", "quickstart").stdout == run("recipes", "quickstart").stdout
    rows = run("recipes", "diff", "similar-little", "different-lots").stdout.splitlines()
    assert [row.split() for row in rows[1:]] == [
        ["similarity", "similar", "different"], ["amount", "little", "lots"]
    ]  # fmt: skip
    assert "ask for the same" in run("recipes", "diff", "fast", "fast").stdout
    assert run("recipes", "diff", "fast").exit_code == 2
    assert "learning_rate" in run("recipes", "--keys").stdout
