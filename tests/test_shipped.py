"""What travels with the package is found in a checkout and in a wheel."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from transferkit.data import public
from transferkit.errors import UsageError
from transferkit.shipped import shipped

CHECKOUT = Path(__file__).parents[1]
PROBE = """
import json, sys
from pathlib import Path
from transferkit.data import public
from transferkit.shipped import shipped
folder = public.data_folder("digits", cache=Path(sys.argv[1]))
print(json.dumps({
    "code": public.__file__,
    "cards": [card.name for card in public.cards()],
    "folder": str(shipped("datasets")),
    "recipes": [path.name for path in shipped("recipes").glob("*.yaml")],
    "digits": len(list(folder.glob("*/*.png"))),
}))
"""


def test_every_card_is_named_as_its_file() -> None:
    stems = sorted(path.stem for path in shipped("datasets").glob("*.yaml"))
    assert [card.name for card in public.cards()] == stems
    assert {"digits", "eurosat", "flowers", "hymenoptera"} <= set(stems)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="recipes and datasets"):
        shipped("weights")


def build_wheel(into: Path) -> Path:
    """Build from a copy without history and caches, so that nothing stale gets in."""
    for name in ("build", "setuptools"):
        pytest.importorskip(name, reason=f"the wheel is built with {name}")
    copy = into / "checkout"
    copy.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        if (CHECKOUT / name).exists():
            shutil.copy(CHECKOUT / name, copy)
    for name in ("transferkit", "recipes", "datasets"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CHECKOUT / name, copy / name, ignore=ignored)
    (copy / "recipes" / "probe.yaml").write_text("{}")  # so that there is one, whatever ships
    arguments = ("--wheel", "--no-isolation", "--skip-dependency-check", "--outdir", str(into))
    command = [sys.executable, "-m", "build", *arguments, str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(copy)  # the probe must not be able to find it
    return next(into.glob("*.whl"))


def test_a_wheel_carries_the_cards_the_recipes_and_the_digits(tmp_path: Path) -> None:
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with zipfile.ZipFile(build_wheel(tmp_path)) as wheel:
        wheel.extractall(site)
    # Schemas, templates, policies, the mark of types: whatever stands beside the code.
    beside = {file.relative_to(CHECKOUT) for file in (CHECKOUT / "transferkit").rglob("*") if file.is_file()}
    beside = {file for file in beside if file.suffix not in (".py", ".pyc")}
    assert len(beside) >= 9
    assert not [file for file in beside if not (site / file).is_file()]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(tmp_path / "cache")],
        cwd=elsewhere,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert Path(found["code"]).is_relative_to(site)
    assert Path(found["folder"]).is_relative_to(site)
    assert found["cards"] == [card.name for card in public.cards()]
    shipped_recipes = {path.name for path in (CHECKOUT / "recipes").glob("*.yaml")}
    assert set(found["recipes"]) == shipped_recipes | {"probe.yaml"}
    assert found["digits"] == 1797
