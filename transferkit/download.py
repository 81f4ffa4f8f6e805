"""Downloads that outlive a bad network: resumed, retried, and checked before anyone reads them."""

import hashlib
import http.client
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from transferkit._version import __version__
from transferkit.errors import FetchError
from transferkit.progress import say, task

TRIES = 3
TIMEOUT_S = 30.0
BACKOFF_S = (1.0, 4.0)  # before the second and the third try
CHUNK_BYTES = 1 << 20
MB = 1_000_000


def download(url: str, target: Path, *, checksum: str | None, label: str) -> None:
    """Bring the bytes at `url` to `target`, whole and checked, or not at all.

    What has come so far lies in `target` + ".part", and the next try or the next call goes on from
    there. Proxies are taken from the environment, as urllib does.

    Args:
        url: http, https or file.
        target: the file to write; if it is there already it is checked and kept.
        checksum: "sha256:..." or "md5:..."; None says on stderr that nothing was checked.
        label: what it is, for progress and messages.

    Raises:
        FetchError: the last try failed, or the bytes are not those expected (they are then gone).
    """
    if urlsplit(url).scheme not in ("http", "https", "file"):
        raise FetchError(f"{label}: {url!r} is no address that starts with http, https or file.")
    if not target.exists():
        part = target.with_name(target.name + ".part")
        _with_retries(lambda: _transfer(url, part, label), url, label)
        os.replace(part, target)
    verify(target, checksum, label)


def verify(file: Path, checksum: str | None, label: str) -> None:
    """Compare a file with its checksum; a file that differs is deleted.

    Raises:
        FetchError: the file differs; the message holds what was expected and what came.
    """
    algorithm, _, expected = (checksum or "sha256:").partition(":")
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False))
    received = digest.hexdigest()
    if not expected:
        say(f"{label}: no checksum is known, so the bytes were not checked; sha256:{received}")
    elif received != expected.lower():
        file.unlink()
        raise FetchError(
            f"{label}: the archive is not the expected one and was deleted. "
            f"Expected {algorithm}:{expected}, received {algorithm}:{received}. "
            "Fetch it again; if that does not help, the source has changed."
        )


def _with_retries(transfer: Callable[[], None], url: str, label: str) -> None:
    failures: list[str] = []
    for attempt in range(TRIES):
        if attempt:
            time.sleep(BACKOFF_S[min(attempt, len(BACKOFF_S)) - 1])
        try:
            return transfer()
        except (OSError, http.client.HTTPException) as error:
            failures.append(str(error) or type(error).__name__)
            if not _may_pass(error):
                break
            say(f"{label}: try {attempt + 1} of {TRIES} failed: {failures[-1]}")
    tried = "; ".join(f"try {number}: {failure}" for number, failure in enumerate(failures, 1))
    raise FetchError(f"{label}: cannot be downloaded from {url} ({tried}).")


def _may_pass(error: Exception) -> bool:
    """Whether asking again can help.

    A host that cannot be found or reached at all is a machine without a network: say so at once.
    Status 416 means that the unfinished file was no use and is gone.
    """
    if isinstance(error, HTTPError):
        return error.code >= 500 or error.code in (408, 416, 425, 429)
    reason = getattr(error, "reason", error)
    return not isinstance(reason, (socket.gaierror, ConnectionRefusedError, TimeoutError))


def _transfer(url: str, part: Path, label: str) -> None:
    """One try: go on where `part` ends if the server can, from the start if not."""
    done = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"User-Agent": f"transferkit/{__version__}"})
    if done:
        request.add_header("Range", f"bytes={done}-")
    try:
        response = urlopen(request, timeout=TIMEOUT_S)
    except HTTPError as error:
        with error:
            if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{done}":
                return  # nothing is missing: an earlier call stopped just before the end
            if error.code == 416:
                part.unlink(missing_ok=True)
        raise
    with response:
        resumed = response.headers.get("Content-Range", "").startswith(f"bytes {done}-")
        start = done if response.status == 206 and resumed else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else 0
        _copy(response, part, start=start, total=total, label=label)


def _copy(response: IO[bytes], part: Path, *, start: int, total: int, label: str) -> None:
    """Append what comes to `part`, from byte `start` on; `total` is 0 where unknown."""
    done = start
    with (
        part.open("ab" if start else "wb") as file,
        task(f"download {label}", total=-(-total // MB), unit="MB") as progress,
    ):
        progress.advance(start // MB)
        while chunk := response.read(CHUNK_BYTES):
            file.write(chunk)
            progress.advance((done + len(chunk)) // MB - done // MB)
            done += len(chunk)
    if done < total:  # http.client ends quietly when a connection is cut
        raise ConnectionError(f"the connection ended after {done} of {total} bytes")
