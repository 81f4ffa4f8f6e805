"""The catalogue of public data sets: their cards, and how they come into the cache."""

import os
import re
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from transferkit.data.unpack import into_place, unpack
from transferkit.download import download
from transferkit.errors import DataError, FetchError, unknown_name
from transferkit.progress import say
from transferkit.shipped import shipped


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """An accuracy that others have published."""

    top1: float  # fraction
    how: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the images lie in the archive, and what tells their class.

    Attributes:
        root: folder inside the archive; a file's folders below it are kept.
        class_from_name: pattern of file names with one group, the class, for sets whose images lie
            in one folder; a file of another name is left out.
        ignore: patterns of file names to leave out.
    """

    root: str
    class_from_name: str | None = None
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is known of a public data set without having it.

    Attributes:
        images: files in class folders, those included that cannot be decoded.
        bytes: size of the archive; 0 where nothing is downloaded.
        url: of the archive; None for the set that is written on the spot.
        checksum: "sha256:..." or "md5:..."; None where none is known with certainty.
        licence: of the images, as their authors state it; `source` is their page.
        similarity: "similar" or "different", compared with ImageNet.
        amount: "little" or "lots".
        expected: published accuracies, to compare with.
    """

    name: str
    title: str
    description: str
    images: int
    classes: int
    bytes: int
    url: str | None
    checksum: str | None
    licence: str
    source: str
    similarity: str
    amount: str
    expected: tuple[Expectation, ...]
    layout: Layout | None

    @property
    def cell(self) -> str:
        """The quadrant of the matrix, such as "similar-little"."""
        return f"{self.similarity}-{self.amount}"


def cards() -> list[Card]:
    """All cards, by name."""
    return [_read(path) for path in sorted(shipped("datasets").glob("*.yaml"))]


def card(name: str) -> Card:
    """The card of that name.

    Raises:
        UnknownName: no data set of that name.
    """
    known = {card.name: card for card in cards()}
    if name not in known:
        raise unknown_name("data set", name, known, "'transferkit datasets' lists all of them.")
    return known[name]


def cached_folder(name: str, *, cache: Path) -> Path | None:
    """The folder of a data set if it is in the cache, whole; None if not.

    Raises:
        UnknownName: no data set of that name.
    """
    ready = cache / "datasets" / card(name).name
    return ready if ready.is_dir() else None


def data_folder(name: str, *, cache: Path) -> Path:
    """The folder of a data set, with a folder per class; `digits` is written if it is not there.

    Raises:
        UnknownName: no data set of that name.
        DataError: it has to be fetched first.
    """
    found = cached_folder(name, cache=cache)
    if found:
        return found
    wanted = card(name)
    if wanted.url is None:
        return fetch(name, cache=cache)
    raise DataError(
        f"data set {name!r} is not in the cache ({cache / 'datasets'}). "
        f"'transferkit datasets fetch {name}' downloads it ({wanted.bytes / 1e6:.0f} MB)."
    )


def fetch(name: str, *, cache: Path, url: str | None = None) -> Path:
    """Bring a data set into the cache unless it is there: download, check, unpack, arrange.

    The folder appears under its name only when it is whole.

    Args:
        name: of the data set.
        cache: the cache's root; the data set goes to `cache`/datasets/`name`.
        url: another address of the same archive, such as a mirror or file:///...; the checksum
            holds for it too.

    Raises:
        UnknownName: no data set of that name.
        FetchError: the download failed, its bytes are others, or the archive is not safe or not
            of the layout that the card says.
    """
    found = cached_folder(name, cache=cache)
    if found:
        return found
    wanted = card(name)
    ready = cache / "datasets" / name
    try:
        ready.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{name}-", dir=ready.parent) as scratch:
            made = Path(scratch) / "ready"
            if wanted.url is None:
                _write_digits(made)
            else:
                _make(wanted, url or wanted.url, Path(scratch), made)
            into_place(made, ready)
    except FetchError:
        raise
    except OSError as error:
        raise FetchError(
            f"{name}: cannot be written to {ready.parent}: {error}. "
            "TRANSFERKIT_CACHE names another folder for the cache."
        ) from error
    return ready


def _read(path: Path) -> Card:
    import yaml

    fields: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    layout = fields.pop("layout")
    if layout:
        layout = Layout(**layout | {"ignore": tuple(layout.get("ignore", ()))})
    expected = tuple(Expectation(**one) for one in fields.pop("expected"))
    return Card(**fields, layout=layout, expected=expected)


def _make(wanted: Card, url: str, scratch: Path, made: Path) -> None:
    """Fill the folder `made` from the archive at `url`."""
    archive = scratch.parent / f".{wanted.name}.archive"
    try:
        download(url, archive, checksum=wanted.checksum, label=wanted.name)
    except FetchError as error:
        raise FetchError(f"{error}\n{_without_network(wanted)}") from error
    try:
        unpack(archive, scratch / "unpacked", label=wanted.name)
        _arrange(scratch / "unpacked", wanted, made)
    except FetchError:
        archive.unlink(missing_ok=True)
        raise
    archive.unlink(missing_ok=True)


def _without_network(wanted: Card) -> str:
    return (
        f"Without a network: get {wanted.url} on another machine and run 'transferkit datasets "
        f"fetch {wanted.name} --url file:///PATH/OF/THE/ARCHIVE', or unpack it anywhere and give "
        "the path of that folder in place of the name."
    )


def _arrange(unpacked: Path, wanted: Card, made: Path) -> None:
    """Move the images to `made`, in class folders."""
    layout = wanted.layout
    assert layout is not None, wanted.name
    root = unpacked / layout.root
    classes: Counter[str] = Counter()
    for file in sorted(path for path in root.rglob("*") if path.is_file()):
        place = _place(file.relative_to(root), layout)
        if place:
            (made / place).parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, made / place)
            classes[place.parts[-2]] += 1
    if not classes:
        raise FetchError(
            f"{wanted.name}: the archive has no images where its card says "
            f"(folder {layout.root!r}); the source has changed."
        )
    say(f"{wanted.name}: {classes.total()} files in {len(classes)} classes")
    if (classes.total(), len(classes)) != (wanted.images, wanted.classes):
        say(f"{wanted.name}: its card says {wanted.images} files in {wanted.classes} classes")


def _place(path: Path, layout: Layout) -> Path | None:
    """Where a file of the archive goes, as class/name; None if it is no image of the set."""
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    if hidden or any(fnmatch(path.name, pattern) for pattern in layout.ignore):
        return None
    if layout.class_from_name is None:
        return path if len(path.parts) > 1 else None  # beside the class folders: a licence, a list
    match = re.fullmatch(layout.class_from_name, path.name)
    return Path(match[1], path.name) if match else None


def _write_digits(folder: Path) -> None:
    """Write scikit-learn's digits as 1797 grey PNGs of 8x8 pixels, `class`/`number`.png."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = (digits.images * 255 / 16).round().astype("uint8")  # (N, 8, 8), 0..16 -> 0..255
    for number, (picture, label) in enumerate(zip(pixels, digits.target, strict=True)):
        file = folder / str(label) / f"{number:04}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(file)
