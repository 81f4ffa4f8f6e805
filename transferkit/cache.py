"""Where transferkit keeps what it can make or fetch again: feature banks and public data sets."""

import os
import sys
from pathlib import Path


def cache_root() -> Path:
    """The cache folder of this user; it may not exist yet.

    In this order: TRANSFERKIT_CACHE, XDG_CACHE_HOME/transferkit, and what the system uses:
    ~/Library/Caches/transferkit on macOS, %LOCALAPPDATA%/transferkit on Windows,
    ~/.cache/transferkit elsewhere.
    """
    own = os.environ.get("TRANSFERKIT_CACHE")
    if own:
        return Path(own).expanduser().absolute()
    xdg = os.environ.get("XDG_CACHE_HOME")
    # The XDG specification says that a relative path there is to be ignored.
    if xdg and Path(xdg).is_absolute():
        return Path(xdg) / "transferkit"
    return _system_cache() / "transferkit"


def _system_cache() -> Path:
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    return home / ".cache"
