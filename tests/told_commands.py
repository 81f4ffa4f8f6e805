"""The commands and Python blocks that README and docs tell."""

import ast
import json
import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]


def commands() -> list[tuple[str, str]]:
    """(page, command) of every line of a shell block that begins with `transferkit`."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(page.name, line) for line in lines if line.startswith("transferkit ")]
    return found


def blocks() -> list[tuple[str, str]]:
    """(page, code) of every block of Python."""
    return [
        (page.name, block)
        for page in PAGES
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)
    ]


def passing() -> list[tuple[str, str]]:
    """(where, command) of those told in passing: between backticks in pages and notebooks, and in help."""
    from transferkit.cli import cli

    found = []
    for page in PAGES:
        for told in re.findall(r"`(transferkit [^`]*)`", page.read_text(encoding="utf-8")):
            found.append((page.name, told))
    for notebook in sorted((CHECKOUT / "notebooks").glob("*.ipynb")):
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        found += [(notebook.name, told) for told in re.findall(r"`(transferkit [^`]*)`", text)]
    for name, command in cli.commands.items():
        inner = getattr(command, "commands", {})
        for one in (command, *inner.values()):
            lines = (one.epilog or "").splitlines()
            found += [(f"{name} --help", line.strip()) for line in lines if "transferkit " in line]
    return found


def options() -> list[tuple[str, str]]:
    """(file, option) of every long option that pages name between backticks, and messages of the package."""
    found = [
        (page.name, option)
        for page in PAGES
        for code in re.findall(r"`([^`\n]*)`", page.read_text(encoding="utf-8"))
        for option in OPTION.findall(code)
    ]
    for file in sorted((CHECKOUT / "transferkit").rglob("*.py")):
        strings = [
            node.value
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        found += [(file.name, option) for text in strings for option in OPTION.findall(text)]
    return found


OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")
