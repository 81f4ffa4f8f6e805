"""The commands and Python blocks that README and docs tell."""

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
