"""A run while it is written: kept aside, moved when whole, left to be gone on with when stopped.

RUN.unfinished holds what was asked (`recipe.yaml`, `source.json`), what was decided (`plan.json`,
`content.csv`, `begun.json`), how far training has come (`state-N.npz`) and, in `run`, what will be RUN.
Moving that is the last act, so what is at RUN is whole.
"""

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from transferkit.data.index import is_run
from transferkit.errors import OutputExists, UsageError
from transferkit.progress import say
from transferkit.runs.folder import RESUME
from transferkit.runs.locking import NAME, lock, unlock_before_removal
from transferkit.runs.places import SOURCE, SUFFIX, nearby, place_of
from transferkit.training.state import STATE_NAME, write_whole

_RESULT = "run"
# Says that `run` is whole: what is left to do is to move it.
_WHOLE = "whole.json"


@dataclass
class Writing:
    """A run being written.

    Attributes:
        place: folder of what is needed to go on with it.
        folder: what it becomes when it is whole.
        overwrite: whether a run that is there is replaced.
        interrupted: whether it is to be gone on with though there is a report.
    """

    place: Path
    folder: Path
    overwrite: bool = False
    interrupted: bool = False

    @property
    def aside(self) -> Path:
        """The folder to write into."""
        return self.place / _RESULT

    @property
    def begun(self) -> bool:
        """Whether an epoch of fine-tuning would be lost."""
        return any(self.place.glob(f"{STATE_NAME}-*.npz"))


@contextmanager
def writing(folder: Path, overwrite: bool = False) -> Iterator[Writing]:
    """A folder to write a run into, that becomes `folder` when the block ends well.

    Until then nothing is at `folder` that was not there before. If the block fails nothing is left,
    unless fine-tuning has come somewhere, or Ctrl-C ended it: then `finetune --resume` goes on. If another
    run is writing there, or somebody has filled `folder` meanwhile and it may not be replaced, the run
    takes the next free name, which `Writing.folder` tells.

    Raises:
        OutputExists: there is an unfinished run of that name, or one that is being written is to be
            overwritten.
    """
    folder = folder.resolve()  # a link stays a link, what it points to is replaced
    made = [above for above in folder.parents if not above.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        result, held = _claimed(folder, overwrite)
        with _held(result, held, keep=False):
            yield result
    except BaseException:
        for above in made:
            _remove_empty(above)
        raise


def completed(run: Path) -> Path | None:
    """The folder of a run that was killed when nothing was left but to move it, which is done then.

    Args:
        run: what its folder is called, or will be.
    """
    folder = _named(run)
    if not (place_of(folder) / _WHOLE).is_file():
        return None
    held = _lock(run, folder)
    told = json.loads((place_of(folder) / _WHOLE).read_text(encoding="utf-8"))
    result = Writing(place_of(folder), folder)
    _move(result, told)
    held.close()
    return None if told["interrupted"] else result.folder


@contextmanager
def reopened(run: Path) -> Iterator[Writing]:
    """The place of a run that was stopped, to go on with it; as `writing`, but for failures it stays.

    Args:
        run: what its folder is called, or will be.

    Raises:
        UsageError: there is no such run, it is finished, or it is being written now; names those that
            can be gone on with.
    """
    folder = _named(run)
    if not place_of(folder).is_dir() and not (folder / RESUME / SOURCE).is_file():
        raise _nothing_to_resume(folder, run)
    held = _lock(run, folder)
    result = Writing(place_of(folder), folder)
    if not (result.place / SOURCE).is_file():
        _take_up(result, run, held)
    told = json.loads((result.place / SOURCE).read_text(encoding="utf-8"))
    result.overwrite = bool(told.get("overwrite")) or (folder / RESUME).is_dir()
    with _held(result, held, keep=True):
        yield result


def _named(run: Path) -> Path:
    """The folder of a run, of which RUN.unfinished is another name."""
    name = run.name.removesuffix(SUFFIX)
    return (run.with_name(name) if name else run).resolve()


def _lock(run: Path, folder: Path) -> IO[bytes]:
    held = lock(place_of(folder))
    if held is None:
        raise UsageError(f"--resume {run}: it is being written right now. Wait for it, or stop it first.")
    return held


def _nothing_to_resume(folder: Path, run: Path) -> UsageError:
    if is_run(folder):
        return UsageError(f"--resume {run}: that run is finished. Its report: {folder / 'report.md'}")
    others = ", ".join(map(str, nearby(run)))
    return UsageError(
        f"--resume {run}: there is no unfinished run of that name. "
        + (f"Unfinished are: {others}." if others else "None was found here or in runs/ either.")
    )


def _take_up(result: Writing, run: Path, held: IO[bytes]) -> None:
    """Copy what an interrupted run kept; what says that it is there comes last."""
    kept = result.folder / RESUME
    if not (kept / SOURCE).is_file():
        _remove(result.place, held)
        raise _nothing_to_resume(result.folder, run)
    for file in sorted(kept.iterdir(), key=lambda path: path.name == SOURCE):
        with file.open("rb") as stream:
            write_whole(result.place / file.name, lambda copy: shutil.copyfileobj(stream, copy))  # noqa: B023


@contextmanager
def _held(result: Writing, held: IO[bytes], *, keep: bool) -> Iterator[None]:
    """Move the run when the block ends well, and keep or remove its place when it fails."""
    try:
        shutil.rmtree(result.aside, ignore_errors=True)
        result.aside.mkdir()
        yield
        told = {"overwrite": result.overwrite, "interrupted": result.interrupted}
        write_json_whole(result.place / _WHOLE, told)
        _move(result, told)
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt) and (result.place / SOURCE).is_file()
        if keep or result.begun or stopped:
            say(f"not finished; to go on: transferkit finetune --resume {shown(result.folder)}")
        else:
            _remove(result.place, held)
        raise
    finally:
        held.close()


def shown(path: Path) -> str:
    """A path as short as it can be typed from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def write_json_whole(path: Path, content: Any) -> None:
    """JSON that is there whole or not at all."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_whole(path, lambda stream: stream.write(text.encode("utf-8")))


def _claimed(folder: Path, overwrite: bool) -> tuple[Writing, IO[bytes]]:
    """The place for a new run, and the lock on it."""
    wanted, number = folder, 1
    while True:
        place = place_of(folder)
        free = folder == wanted or not (folder.exists() or place.exists())
        if free and (held := lock(place)) is not None:
            break
        if overwrite:
            raise OutputExists(
                f"--out {folder}: another run is being written there right now. Wait for it, or give "
                "another folder."
            )
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    if folder != wanted:
        say(f"WARNING: another run is being written to {wanted}; this one goes to {folder}")
    _clear(Writing(place, folder, overwrite), held)
    return Writing(place, folder, overwrite), held


def _clear(result: Writing, held: IO[bytes]) -> None:
    """Empty a place; refuse to where a run could be gone on with."""
    if any((result.place / name).is_file() for name in (SOURCE, _WHOLE)):
        if not result.overwrite:
            held.close()
            raise OutputExists(
                f"--out {result.folder}: a run of that name was stopped before its end. To go on with it: "
                f"transferkit finetune --resume {shown(result.folder)}. To start anew: --overwrite."
            )
        say(f"{shown(result.place)}: an unfinished run is given up")
    for old in result.place.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
        elif old.name != NAME:
            old.unlink()


def _move(result: Writing, told: dict[str, Any]) -> None:
    """The last acts, which may be done again if they were cut short."""
    if result.aside.is_dir():
        if told["interrupted"]:
            (result.aside / RESUME).mkdir(exist_ok=True)
            for file in result.place.iterdir():
                if file.is_file() and file.name not in (NAME, _WHOLE):
                    file.rename(result.aside / RESUME / file.name)
        result.folder = _replace(result.folder, result.aside, told["overwrite"])
    # First of all what says that there is something to go on with.
    (result.place / SOURCE).unlink(missing_ok=True)
    shutil.rmtree(result.place)


def _remove(place: Path, held: IO[bytes]) -> None:
    unlock_before_removal(held)
    shutil.rmtree(place, ignore_errors=True)


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return


def _replace(folder: Path, aside: Path, overwrite: bool) -> Path:
    wanted, number = folder, 2
    while not overwrite:
        try:
            aside.rename(folder)  # succeeds where there is nothing, or an empty folder
        except OSError:
            folder = wanted.with_name(f"{wanted.name}-{number}")
            number += 1
            if number > 1000:
                raise
            continue
        if folder != wanted:
            say(f"WARNING: {wanted} was filled by another run meanwhile; this one is in {folder}")
        return folder
    if not folder.exists():
        aside.rename(folder)
        return folder
    old = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.old"
    folder.rename(old)
    aside.rename(folder)
    # Also what a process left that was killed right here.
    for stale in folder.parent.glob(f".{folder.name}.*.old"):
        shutil.rmtree(stale)
    return folder
