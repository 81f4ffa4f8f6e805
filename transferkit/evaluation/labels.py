"""Which output of a model a folder of new images belongs to: decided by name, never by position."""

import difflib
import shlex
from collections.abc import Iterable, Mapping, Sequence

from transferkit.errors import DataError, UsageError

SHOWN = 30  # names listed in one message; a thousand lines would hide the remedy


def join_labels(
    data_classes: Sequence[str],
    model_classes: Sequence[str],
    renames: Mapping[str, str],
    *,
    allow_missing: bool = False,
) -> dict[str, int]:
    """The model's class number for each class of the data.

    Args:
        data_classes: class names of the data, such as its folder names.
        model_classes: the model's class names in output order.
        renames: name in the data -> the model's name for it (`--map`). Several names in the data
            may go to one class of the model.
        allow_missing: accept data that lacks some of the model's classes.

    Raises:
        UsageError: a rename of a class the data lacks, or to one the model lacks.
        DataError: classes of the data that the model does not know, or the other way round.
    """
    _check_renames(renames, data_classes, model_classes)
    numbers = {name: number for number, name in enumerate(model_classes)}
    asked = {name: renames.get(name, name) for name in data_classes}
    extra = [name for name in data_classes if asked[name] not in numbers]
    found = set(asked.values())
    missing = [name for name in model_classes if name not in found]
    if extra or (missing and not allow_missing):
        raise DataError(_message(extra, missing, model_classes))
    return {name: numbers[wanted] for name, wanted in asked.items()}


def joinable(name: str) -> str:
    """A class name as it stands among names joined by a vertical bar."""
    return name.replace("\\", "\\\\").replace("|", "\\|")


def joined(text: str) -> list[str]:
    """The class names of a text in which they are joined by a vertical bar, see `joinable`."""
    names, escaped = [""], False
    for letter in text:
        if letter == "|" and not escaped:
            names.append("")
        elif letter != "\\" or escaped:
            names[-1] += letter
        escaped = letter == "\\" and not escaped
    return names


def _check_renames(
    renames: Mapping[str, str], data_classes: Sequence[str], model_classes: Sequence[str]
) -> None:
    faults = []
    for old, new in renames.items():
        if old not in data_classes:
            faults.append(f"  {old!r} is no class of the data{_guess(old, data_classes)}")
        if new not in model_classes:
            faults.append(f"  {new!r} is no class of the model{_guess(new, model_classes)}")
    if faults:
        rule = "--map takes OLD=NEW, the class in the data and the model's name for it:"
        raise UsageError("\n".join([rule, *faults]))


def _message(extra: Sequence[str], missing: Sequence[str], model_classes: Sequence[str]) -> str:
    """What does not fit, name by name, and what to do about it."""
    lines = ["the classes of the data are not those of the model."]
    if extra:
        lines.append("In the data, but unknown to the model:")
        # A renamed class is most likely one of those that nothing was found for.
        guesses = [_guess(name, missing) or _guess(name, model_classes) for name in extra]
        lines += _listed(f"{name!r}{guess}" for name, guess in zip(extra, guesses, strict=True))
    if missing:
        lines.append("Known to the model, but not in the data:")
        lines += _listed(repr(name) for name in missing)
    if extra:
        near = _nearest(extra[0], missing) or _nearest(extra[0], model_classes)
        rename = shlex.quote(f"{extra[0]}={near[0]}") if near else "OLD=NEW"
        lines.append(
            f"For a class with another name, say --map {rename} (name in the data = the model's "
            "name). Leave classes that the model never learned out of the data."
        )
    if missing:
        lines.append("To evaluate on a part of the classes, say --allow-missing.")
    return "\n".join(lines)


def _listed(names: Iterable[str]) -> list[str]:
    lines = [f"  {name}" for name in names]
    rest = len(lines) - SHOWN
    return lines[:SHOWN] + ([f"  and {rest} more"] if rest > 0 else [])


def _guess(name: str, allowed: Iterable[str]) -> str:
    near = _nearest(name, allowed)
    return f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""


def _nearest(name: str, allowed: Iterable[str]) -> list[str]:
    """Up to two of the allowed names that are most like `name`, capitals aside."""
    spelled = {other.casefold(): other for other in allowed}
    near = difflib.get_close_matches(name.casefold(), list(spelled), n=2, cutoff=0.5)
    return [spelled[other] for other in near]
