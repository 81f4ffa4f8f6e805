"""How much memory is free, and how much of it decoded images may take."""

import os
from pathlib import Path

SHARE = 0.25
UNKNOWN_BYTES = 1_000_000_000  # taken as free where the system does not tell
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def limit_bytes(limit_gb: float | str) -> int:
    """What decoded images and activations may take in memory.

    Args:
        limit_gb: as stated, or `auto` for a quarter of what is free now: the model, the batches and
            the other programs of the machine need the rest.
    """
    if isinstance(limit_gb, str):
        return int(SHARE * free_bytes())
    return int(limit_gb * 1e9)


def free_bytes() -> int:
    """Memory that can be had: what the system has available, and what a container still allows."""
    return min(_available(), _allowed())


def _available() -> int:
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
        found = dict(line.split(":", 1) for line in lines)
        return int(found["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return UNKNOWN_BYTES


def _allowed() -> int:
    """What the control group (version 2) of a container leaves; no limit where there is none."""
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        lines = (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines()
        # Files read lately count as used, but make room for whoever asks.
        cached = int(dict(line.split() for line in lines)["inactive_file"])
        return max(0, int(limit) - used + cached)
    except (OSError, ValueError, KeyError):  # "max" is no number
        return 2**62
