"""The direction of imports: down only, and TensorFlow in two places."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "transferkit"
LAYERS = [
    {"cli", "__main__"},
    {"api"},
    {"runs"},
    {"training", "reports", "planning"},
    {"strategies", "evaluation", "data"},
    {"backbone", "recipe"},
    {"allocation", "download", "progress", "printable", "timing", "cache", "shipped"},
    {"errors", "_version"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_down(path: Path):
    here = part(path)
    if here == "__init__":
        return
    for name in imported(path):
        pieces = name.split(".")
        if pieces[0] == "transferkit" and len(pieces) > 1 and pieces[1] in LEVEL and pieces[1] != here:
            assert LEVEL[pieces[1]] >= LEVEL[here], f"{here} imports {name}, which stands above it"


def test_every_part_has_its_layer():
    assert {part(path) for path in FILES} - {"__init__"} == set(LEVEL)


@pytest.mark.parametrize("folder", ["strategies", "planning", "recipe", "errors.py", "evaluation"])
def test_what_decides_knows_no_framework(folder: str):
    files = [PACKAGE / folder] if folder.endswith(".py") else (PACKAGE / folder).rglob("*.py")
    for path in files:
        assert not {name.split(".")[0] for name in imported(path)} & {"keras", "tensorflow", "jax", "torch"}


def test_tensorflow_is_imported_for_loading_and_for_the_device_only():
    using = {
        str(path.relative_to(PACKAGE))
        for path in FILES
        if any(name.split(".")[0] == "tensorflow" for name in imported(path))
    }
    assert {name for name in using if not name.startswith("data/augment/")} == {
        "data/loader.py",
        "training/device.py",
    }


def test_no_file_is_too_long_to_read():
    long = {str(p.relative_to(PACKAGE)): len(p.read_text().splitlines()) for p in FILES}
    assert {name: lines for name, lines in long.items() if lines > 300} == {}


def test_what_reads_the_input_loads_no_framework():
    """A wrong folder is told in a second, and before what a framework prints on being loaded."""
    names = [f"transferkit.api.{path.stem}" for path in sorted((PACKAGE / "api").glob("*.py"))]
    code = f"import sys\nfor name in {names}: __import__(name)\n"
    code += "print([m for m in ('keras', 'tensorflow', 'jax', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
