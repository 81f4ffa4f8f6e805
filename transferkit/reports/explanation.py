"""What `explain` found, as a page."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from transferkit.printable import visible
from transferkit.reports.page import environment
from transferkit.reports.pictures import heated, small

if TYPE_CHECKING:
    from collections.abc import Callable

FILTER_PX = 64
MOST_INLINE = 24  # a notebook keeps all pictures that it shows


def page(
    title: str,
    images: Sequence[Any],
    filters: Sequence[Any],
    *,
    stage: str,
    read: "Callable[[str], np.ndarray | None]",
    filters_of: str = "",
    by_train: bool = True,
) -> str:
    """One HTML file.

    Args:
        title: above all.
        images: as `explain` gives them: `path`, `pixels`, `heat`, `top5`, `nearest`, `strangeness`, `split`.
        filters: `number`, `kernel`, `images`.
        stage: where the heat was taken.
        read: pixels of a train image by its path, None where it is not to be had.
        filters_of: of which images those are that excite a filter most, in words.
        by_train: they are train images, else those of `images`.
    """
    shown = [
        {
            "path": visible(one.path),
            "thumbnail": _inline(small(one.pixels)),
            "heat": _inline(heated(one.pixels, one.heat)),
            "top5": [(visible(name), f"{100 * p:.1f} %") for name, p in one.top5],
            "nearest": [_near(path, label, cosine, read) for path, label, cosine in one.nearest],
            "strange": one.strangeness,
            "split": one.split,
        }
        for one in images
    ]
    given = {one.path: one.pixels for one in images}
    seen = {path for one in filters for path in one.images}
    of = {path: read(path) if by_train else given.get(path) for path in seen}
    drawn = [
        {
            "number": one.number,
            "picture": _inline(_enlarged(one.kernel)),
            "images": [
                (visible(path if by_train else Path(path).name), _inline(small(pixels)))
                for path in one.images
                if (pixels := of[path]) is not None
            ],
        }
        for one in filters
    ]
    template = environment().get_template("explain.html.j2")
    return template.render(title=title, stage=stage, images=shown, filters=drawn, filters_of=filters_of)


def _near(path: str, label: str, cosine: float, read: "Callable[[str], np.ndarray | None]") -> dict[str, str]:
    pixels = read(path)
    picture = "" if pixels is None else _inline(small(pixels))
    return {"path": visible(path), "label": visible(label), "cosine": f"{cosine:.3f}", "picture": picture}


def _enlarged(kernel: np.ndarray) -> np.ndarray:
    times = max(1, FILTER_PX // len(kernel))
    return kernel.repeat(times, axis=0).repeat(times, axis=1)


def _inline(pixels: np.ndarray) -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="JPEG", quality=85)
    return Markup(f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}")  # noqa: S704


def fragment(images: Sequence[Any], failed: Mapping[str, str], *, stage: str, filters: str = "") -> str:
    """A table for notebooks: each image as it is and with its heat, its top 5, what it is most like.

    Args:
        images: as in `page`; pictures are of the first `MOST_INLINE`.
        failed: path -> why it could not be read.
        stage: where the heat was taken.
        filters: of which images those are that excite `filters` most; "" where there are none.
    """
    rows = []
    for one in images[:MOST_INLINE]:
        named = Markup("<br>").join(f"{visible(name)} {p:.1%}" for name, p in one.top5)
        like = Markup("<br>").join(f"{visible(label)} ({visible(path)})" for path, label, _ in one.nearest)
        pictures = (_inline(small(one.pixels)), _inline(heated(one.pixels, one.heat)))
        drawn = Markup("").join(Markup('<td><img alt="" src="{}"></td>').format(each) for each in pictures)
        strange = one.strangeness + (f", one of {one.split}" if one.split else "")
        words = Markup("<td>{}</td>" * 3).format(named, like, strange)
        rows.append(Markup("<tr><td>{}</td>").format(visible(one.path)) + drawn + words + Markup("</tr>"))
    heads = ("image", "as it is", f"what spoke at {stage}", "top 5", "most like", "strangeness")
    head = Markup("").join(Markup("<th>{}</th>").format(one) for one in heads)
    told = [f"left out: {visible(path)}: {visible(why)}" for path, why in failed.items()]
    if len(images) > MOST_INLINE:
        told.append(f"and {len(images) - MOST_INLINE} more images, see `images`")
    if filters:
        told.append(f"filters beside {filters}")
    below = Markup("").join(Markup("<p>{}</p>").format(line) for line in told)
    return str(Markup("<table><tr>{}</tr>{}</table>{}").format(head, Markup("").join(rows), below))
