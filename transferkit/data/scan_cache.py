"""What scans found, kept by path, size and times of the file."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from transferkit.progress import say

# Raise when what a scan finds in a file changes.
SCAN_VERSION = 2
LIMIT_BYTES = 4_000_000_000  # a larger cache is begun anew: some four million files
BATCH = 500

Stamp = tuple[str, int, int, int]  # path, bytes, time of the last change, of the last change of status
Entry = tuple[dict[str, Any], bytes]


class ScanCache:
    """Facts and marks on disk. A cache that cannot be used is told, and costs only time."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "scan" / f"{SCAN_VERSION}.sqlite"
        self._base: sqlite3.Connection | None = None

    def __enter__(self) -> "ScanCache":
        try:
            self._open()
        except (sqlite3.DatabaseError, OSError) as error:
            self._give_up(error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._base:
            self._base.close()

    def _open(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        if self._file.exists() and self._file.stat().st_size > LIMIT_BYTES:
            self._file.unlink()
        self._base = sqlite3.connect(self._file, timeout=30)
        self._base.execute("pragma synchronous=off")  # a lost cache costs time only
        self._base.execute(
            "create table if not exists files (path text primary key, bytes integer, changed integer, "
            "status integer, facts text, mark blob) without rowid"
        )

    def _give_up(self, error: Exception) -> None:
        """A broken file is removed, so that the next scan begins a whole one."""
        say(f"scan: the cache {self._file} cannot be used ({error}); every file is read")
        if self._base:
            self._base.close()
        self._base = None
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            self._file.unlink(missing_ok=True)

    def known(self, stamps: Sequence[Stamp | None]) -> list[Entry | None]:
        """What is kept of each file that has not changed, else None."""
        found: dict[Stamp, Entry] = {}
        asked = [stamp[0] for stamp in stamps if stamp]
        try:
            for start in range(0, len(asked), BATCH):
                found |= self._batch(asked[start : start + BATCH])
        except sqlite3.DatabaseError as error:
            self._give_up(error)
        return [found.get(stamp) if stamp else None for stamp in stamps]

    def _batch(self, paths: list[str]) -> dict[Stamp, Entry]:
        if not self._base:
            return {}
        query = f"select * from files where path in ({','.join('?' * len(paths))})"
        rows = self._base.execute(query, paths)
        return {tuple(row[:4]): (json.loads(row[4]), row[5]) for row in rows}

    def keep(self, entries: Iterable[tuple[Stamp | None, dict[str, Any], bytes]]) -> None:
        """Keep what was found in files."""
        if not self._base:
            return
        rows = [(*stamp, json.dumps(facts), mark) for stamp, facts, mark in entries if stamp]
        try:
            with self._base:
                self._base.executemany("insert or replace into files values (?, ?, ?, ?, ?, ?)", rows)
        except sqlite3.DatabaseError as error:
            self._give_up(error)
