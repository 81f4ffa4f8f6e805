"""The notebooks: bare, and run from first to last cell without a network."""

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

CI_CACHE = os.environ.get("TRANSFERKIT_CACHE") if os.environ.get("CI") else None
FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_there_are_six_and_the_readme_lists_them():
    told = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [file.name[:3] for file in NOTEBOOKS] == [f"0{number}_" for number in range(1, 7)]
    assert all(f"({file.name})" in told for file in NOTEBOOKS)


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_is_bare_and_defines_nothing(file: Path):
    notebook = nbformat.read(file, 4)
    nbformat.validate(notebook)
    assert notebook.cells[0].source.startswith(f"# {file.name[:2]} ")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
            assert not any(line.lstrip().startswith(("def ", "class ")) for line in cell.source.splitlines())


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A cache that the notebooks share, as a user's do: the same digits, the same bank.

    `.ci/run` names one of its own, which has the bank of the quick start already.
    """
    return CI_CACHE or str(tmp_path_factory.mktemp("notebooks"))


@pytest.mark.notebook
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_runs(file: Path, tmp_path: Path, shared_cache: str, monkeypatch: Any):
    monkeypatch.setenv("TRANSFERKIT_CACHE", shared_cache)
    # Whoever asks for an address outside gets none.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    notebook = nbformat.read(file, 4)
    made = NotebookClient(notebook, timeout=280, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for cell in made.cells:
        if cell.cell_type == "code":
            assert not [one for one in cell.outputs if one.output_type == "error"]
            assert cell.outputs, f"a cell that shows nothing: {cell.source}"
            # Where two things are compared they are to be the same.
            if " == " in cell.source.splitlines()[-1]:
                assert cell.outputs[-1]["data"]["text/plain"] == "True", cell.source
