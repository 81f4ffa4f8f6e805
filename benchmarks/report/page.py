"""How long the HTML page takes to draw, and how large it is: made-up numbers, pictures of the size a run writes.

    python benchmarks/report/page.py [--classes 100] [--images 5000]

The gallery has more pictures than a run keeps, each with its heat, and the suspects with the images they
resemble. Reading the run's files is not in the time. Fails where these or fewer take more than 5 s or 6 MB. Needs the checkout: the report is that of the tests.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.toy_report import make_full_report
from transferkit.evaluation.gallery import Gallery, Picture
from transferkit.evaluation.report import Doubts, Report
from transferkit.reports import page
from transferkit.reports.pictures import overlay, thumbnail

# The surest mistakes, the least sure right answers, the suspects with neighbours.
MISTAKES, UNSURE, SUSPECTS, LIKE = 24, 12, 24, 3
SIDE = 224
# What 5,000 test images of 100 classes may take.
MOST_SECONDS, MOST_MB = 5, 6


def with_pictures(report: Report, folder: Path) -> Report:
    """The report with a whole gallery; photographs are noise, which JPEG makes as large as it gets."""
    random = np.random.default_rng(0)
    (folder / "pictures").mkdir(exist_ok=True)

    def drawn(number: int) -> Picture:
        files = f"pictures/{number}.jpg", f"pictures/{number}-heat.jpg"
        coarse = random.integers(0, 256, (SIDE // 8, SIDE // 8, 3)).repeat(8, 0).repeat(8, 1)
        pixels = np.clip(coarse + random.normal(0, 12, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
        thumbnail(pixels, folder / files[0])
        overlay(pixels, random.random((7, 7)), folder / files[1])
        name = report.class_names[number % len(report.class_names)]
        return Picture(
            path=f"{name}/{number}.jpg", split="test", label=name, answer=report.class_names[0], p=0.9,
            p_label=0.05, thumbnail=files[0], heat=files[1],
        )  # fmt: skip

    some = [drawn(number) for number in range(MISTAKES + UNSURE + SUSPECTS)]
    like = tuple(one.thumbnail for one in some[:LIKE])
    gallery = Gallery(mistakes=tuple(some[:MISTAKES]), wrong=99, unsure=tuple(some[MISTAKES:][:UNSURE]))
    suspects = tuple(replace(one, like=like) for one in some[-SUSPECTS:])
    doubts = Doubts(suspects=suspects, images=report.splits["test"].n, doubted=5)
    return replace(report, gallery=gallery, doubts=doubts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--images", type=int, default=5000, help="of test")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        report = make_full_report(folder, classes=asked.classes, images=2 * asked.images)
        report = with_pictures(report, folder)
        began = time.perf_counter()
        text = page.render(report, folder)
        seconds = time.perf_counter() - began
    large = asked.classes <= 100 and asked.images <= 5000
    pictures = text.count("data:image/jpeg")
    size = len(text.encode()) / 1e6
    print(
        f"{asked.classes} classes, {asked.images} test images, {pictures} pictures: {seconds:.1f} s, {size:.1f} MB"
    )
    if large and (seconds > MOST_SECONDS or size > MOST_MB):
        sys.exit(f"more than {MOST_SECONDS} s or {MOST_MB} MB")


if __name__ == "__main__":
    main()
