"""Groups read from file names: files that must share a split."""

import re
from dataclasses import replace

from transferkit.data.index import Index
from transferkit.errors import DataError, UsageError
from transferkit.progress import say


def grouped(index: Index, pattern: str) -> Index:
    """The index with `group` read from each path by a regular expression.

    The expression is searched in `path`; the group is what its first parentheses match, or the whole
    match where it has none. A file that it does not match, or matches with nothing, gets "" (a group
    of its own); how many these are is told.

    Args:
        index: of the images.
        pattern: such as "patient_([0-9]+)".

    Raises:
        UsageError: the pattern is no regular expression; the message says where.
        DataError: it matches no file.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        where = f" at character {error.pos + 1}" if error.pos is not None else ""
        raise UsageError(
            f"the group pattern {pattern!r} is no regular expression: {error.msg}{where}. "
            "An example: 'patient_([0-9]+)'."
        ) from error
    wanted = 1 if expression.groups else 0
    groups = [
        found[wanted] or "" if (found := expression.search(path)) else "" for path in index.files["path"]
    ]
    missed = groups.count("")
    if missed == len(groups):
        examples = ", ".join(repr(path) for path in index.files["path"].head(3))
        raise DataError(
            f"{index.root}: the group pattern {pattern!r} matches none of the {len(groups)} paths, "
            f"which look like {examples}. It is searched in the path as shown, folders included."
        )
    say(f"groups: {len(set(groups) - {''})} by the pattern {pattern!r}")
    if missed:
        say(f"groups: {missed} of {len(groups)} files do not match the pattern: each stands for itself")
    return replace(index, files=index.files.assign(group=groups))
