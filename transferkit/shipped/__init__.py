"""Where the files that travel with transferkit lie: recipes and data-set cards."""

from pathlib import Path

from transferkit.errors import TransferkitError, UsageError

KINDS = ("recipes", "datasets")


def shipped(kind: str) -> Path:
    """The folder of the shipped files of a kind.

    A wheel carries the files inside this package; a checkout and an editable install have them at
    the top level, beside the package, where people look for them.

    Args:
        kind: "recipes" or "datasets".

    Raises:
        UsageError: no such kind.
        TransferkitError: the installation is not whole.
    """
    if kind not in KINDS:
        raise UsageError(f"no shipped files of kind {kind!r}; there are {' and '.join(KINDS)}.")
    here = Path(__file__).resolve().parent
    places = (here / kind, here.parents[1] / kind)
    for place in places:
        if any(place.glob("*.yaml")):
            return place
    tried = " and ".join(str(place) for place in places)
    raise TransferkitError(
        f"the {kind} that ship with transferkit are missing (looked in {tried}): "
        "the installation is not whole; install transferkit again."
    )
