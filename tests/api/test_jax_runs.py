import subprocess
import sys
from pathlib import Path

from tests.api.test_multilabel import draw_several

ROOT = Path(__file__).resolve().parents[2]


def succeeds(arguments: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


JAX_RUN = """
import sys
import tests.conftest as shared
from transferkit.backbone import build, catalogue, table
table.TABLE = (*catalogue.every(), shared.TOY)
build.build = lambda spec, size=None, classifier=False: shared.toy_network(size or 32)
from transferkit.api import finetune
from transferkit.recipe import Recipe
quick = Recipe(backbone="toy", weights="none", batch_size=64, epochs=1)
def run(data, name, **values):
    done = finetune(data, quick.updated(values | {"learning_rate": 1e-3}, "test"), out=sys.argv[3] + name)
    assert done.environment["backend"] == "jax", done.environment
    return done
weighted = run(sys.argv[1], "weighted", strategy="finetune-top", balance="weights")
assert weighted.plan["balance"]["weights"]
assert weighted.metrics["splits"]["val"]["top1"] >= weighted.metrics["linear_top1"]["val"]
several = run(sys.argv[2], "several", strategy="finetune-top", balance="weights")
scored = several.metrics["splits"]["val"]["map"]
assert scored >= several.metrics["linear_map"]["val"] > several.metrics["baseline_map"]["val"]
"""


def test_weights_and_several_labels_run_on_jax(photos: Path, tmp_path: Path, jax_environment: dict[str, str]):
    data = draw_several(tmp_path / "several", 60)
    succeeds([JAX_RUN, str(photos), str(data), str(tmp_path / "run-")], jax_environment)


POLICIES_RUN = """
import sys
import pandas
import tests.conftest as shared
from transferkit.backbone import build, catalogue, table
table.TABLE = (*catalogue.every(), shared.TOY)
build.build = lambda spec, size=None, classifier=False: shared.toy_network(size or 32)
from transferkit.api import finetune
from transferkit.data.augment.policy import policy_names
from transferkit.recipe import Recipe
quick = Recipe(backbone="toy", weights="none", batch_size=64, epochs=1)
# What the report tells is found on JAX by the other run.
from transferkit.api import finetuning
finetuning.told = lambda work, best, device, folder: {}
# Of views at a cut, and of images that are changed anew in each epoch, their batches mixed.
named = [{"keras_cv.GridMask": {}}, {"keras.RandomFlip": {}}]
mixing = ["mixup", "cutmix", {"keras.MixUp": {}}]
policies = [*policy_names()[1:], "auto", ["trivial_augment", *named, *mixing]]
for number, policy in enumerate(policies):
    asked = {"augment": policy, "strategy": "finetune-top", "learning_rate": 1e-3}
    done = finetune(sys.argv[1], quick.updated(asked, "test"), out=f"{sys.argv[2]}{number}")
    assert done.environment["backend"] == "jax", done.environment
    rows = pandas.read_csv(done.folder / "history.csv").query("epoch > 0")
    assert len(rows) == 1 and rows["loss"].notna().all(), rows
from tests.data.augment.steps import PICTURES, SIZE, changed, every_step
found = changed(every_step())
assert found.shape == PICTURES.shape and 0 <= found.min() and found.max() <= 255 and found.std() > 1
"""


def test_every_policy_runs_on_jax(photos: Path, tmp_path: Path, jax_environment: dict[str, str]):
    succeeds([POLICIES_RUN, str(photos), str(tmp_path / "run-")], jax_environment)
