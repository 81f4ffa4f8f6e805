"""Where a command writes a page."""

from pathlib import Path

from transferkit.errors import UsageError


def page_file(out: str) -> Path:
    """The file that `--out` names.

    Raises:
        UsageError: its folder is not there, or it is a folder itself.
    """
    target = Path(out)
    if target.is_dir():
        raise UsageError(f"--out {out}: that is a folder; a file is needed, such as {target / 'page.html'}.")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: no such folder.")
    return target
