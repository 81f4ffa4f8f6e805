"""Every error that transferkit raises on purpose.

TransferkitError                 exit 1
├── UsageError (ValueError)      exit 2: the words of the call are wrong
│   ├── UnknownName              no backbone, recipe, data set, key or class of that name
│   ├── RecipeError              one or more faults in a recipe, all told at once
│   └── OutputExists             the output folder is not empty
├── DataError (ValueError)       the images or labels cannot be used as they are
│   └── UnreadableImage          one file that cannot be decoded; carries its path and reason
├── WeightsError (OSError)       pretrained weights missing, broken or of another network
├── FetchError (OSError)         a download that failed or whose bytes are not the expected ones
├── DeviceError (RuntimeError)   a device that was asked for cannot be used
├── TrackingError (OSError)      a tracking server does not take the run, which itself is whole
└── TrainingError (RuntimeError) training cannot go on
"""

import difflib
from collections.abc import Iterable


class TransferkitError(Exception):
    """Something a user can mend; the message says how."""

    exit_code = 1


class UsageError(TransferkitError, ValueError):
    """The call itself is wrong."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that is not in its list."""


class RecipeError(UsageError):
    """Faults in a recipe, each on its own line."""


class OutputExists(UsageError):
    """The output folder holds something and may not be replaced."""


class DataError(TransferkitError, ValueError):
    """The images or their labels cannot be used as they are."""


class UnreadableImage(DataError):
    """One image file that cannot be decoded."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: cannot be read as an image: {reason}")
        self.path = path
        self.reason = reason


class WeightsError(TransferkitError, OSError):
    """Pretrained weights are missing, broken or belong to another network."""


class FetchError(TransferkitError, OSError):
    """A download failed or brought other bytes than expected."""


class DeviceError(TransferkitError, RuntimeError):
    """A device that was asked for cannot be used."""


class TrackingError(TransferkitError, OSError):
    """A tracking server does not answer, or does not take the run."""


class TrainingError(TransferkitError, RuntimeError):
    """Training cannot go on."""


def missing_extra(asked: str, package: str, extra: str) -> UsageError:
    """What is asked for needs a package that is not installed; says how to get it."""
    return UsageError(
        f"{asked} needs the package {package}, which is not installed. Install it: "
        f"pip install 'transferkit[{extra}]'"
    )


def nearest_first(name: str, allowed: Iterable[str]) -> list[str]:
    """The allowed names, those most like `name` at the front."""
    names = list(allowed)
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    return near + [other for other in names if other not in near]


def unknown_name(kind: str, name: str, allowed: Iterable[str], see: str) -> UnknownName:
    """The error for a name that is not in its list, with the nearest names and where to look.

    Args:
        kind: what sort of name it is, such as "backbone".
        name: what was received.
        allowed: all the names there are.
        see: what lists them, such as "'transferkit backbones' lists all of them."
    """
    near = difflib.get_close_matches(name.lower(), list(allowed), n=3, cutoff=0.5)
    guess = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    return UnknownName(f"unknown {kind} {name!r}.{guess} {see}")
