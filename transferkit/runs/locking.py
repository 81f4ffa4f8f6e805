"""One writer for one folder."""

import os
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: two runs of one name at once are not kept apart there
    fcntl = None  # type: ignore[assignment]

NAME = "lock"


def lock(folder: Path) -> IO[bytes] | None:
    """A folder made, and held until what is returned is closed; None where another process holds it.

    A process that is killed holds nothing any more. File systems without locks keep nobody out.
    """
    while True:
        folder.mkdir(exist_ok=True)
        try:
            stream = (folder / NAME).open("ab")
        except FileNotFoundError:  # who held it has just removed it
            continue
        if not _held(stream):
            stream.close()
            return None
        if _is_there(stream, folder / NAME):
            return stream
        stream.close()


def unlock_before_removal(stream: IO[bytes]) -> None:
    """Let go of a folder that is to be removed, where the system removes no file that is open."""
    if fcntl is None:
        stream.close()


def _held(stream: IO[bytes]) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network file system that knows no locks
        return True
    return True


def _is_there(stream: IO[bytes], path: Path) -> bool:
    """Whether a path still leads to the file that was opened."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False
