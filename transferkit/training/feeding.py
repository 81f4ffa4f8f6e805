"""Where a gradient phase takes its inputs: activations at the cut, views of them, or images."""

from dataclasses import dataclass, replace

import numpy as np

from transferkit.data.augment.keys import image_numbers
from transferkit.data.index import Index
from transferkit.data.loader import Augmentation, ImageSource, Source
from transferkit.progress import say
from transferkit.strategies.augmenting import MOST_MAPS
from transferkit.timing import Stopwatch
from transferkit.training.bank import Extractor
from transferkit.training.maps import Limits, MapBank, map_bank, map_shape
from transferkit.training.views import Viewed, canvas, view_maps, views_within


@dataclass(frozen=True, kw_only=True)
class Feed:
    """The inputs of a phase, as `Job` has them, and the stages they leave out.

    Attributes:
        depth: stages in front of the inputs; 0 for images.
        source, drawn, views, augment: see `Job`.
        told: how the images that train are changed, in a sentence; "" where they are not.
    """

    depth: int
    source: Source
    drawn: Source | None = None
    views: int = 0
    augment: Augmentation | None = None
    told: str = ""


def plain_feed(extractor: Extractor, index: Index, depth: int, limits: Limits, watch: Stopwatch) -> Feed:
    """Activations at the cut, computed once; images where these fit nowhere."""
    maps = map_bank(extractor, index, depth, limits, watch)
    if maps is not None:
        return Feed(depth=depth, source=maps if depth else _images(extractor, index, maps))
    say("finetune: images are decoded anew in each epoch")
    return Feed(depth=0, source=_images(extractor, index, None))


def augmented_feed(
    extractor: Extractor, viewed: Viewed, depth: int, classes: int, limits: Limits, watch: Stopwatch
) -> Feed:
    """Views of the activations at the cut while they fit; else images, changed anew in each epoch.

    What mixes batches mixes images, so there are no views with it.

    Args:
        extractor: its network and decode policy.
        viewed: the images that train; `count` views at most, as many as fit are taken.
        depth: stages in front of the cut.
        classes: C.
        limits: of what is kept.
        watch: gets the seconds.
    """
    if depth and not viewed.pipeline.mixers:
        shape, dtype = map_shape(extractor, depth)
        each = int(np.prod(shape)) * np.dtype(dtype).itemsize
        # By what was asked for, not by what is free now: a run that goes on must draw among as many.
        count = views_within(len(viewed.shas), min(viewed.count, MOST_MAPS), limits.disk_gb * 1e9, each)
        # A call of its own: what it held is given back before images are.
        found = _view_feed(extractor, replace(viewed, count=count), depth, limits, watch) if count else None
        if found is not None:
            return found
    return _image_feed(extractor, viewed, classes, limits, watch)


def _view_feed(
    extractor: Extractor, viewed: Viewed, depth: int, limits: Limits, watch: Stopwatch
) -> Feed | None:
    """Views of the activations at the cut beside the activations; None where there is no room."""
    plain = map_bank(extractor, viewed.index, depth, limits, watch)
    if plain is None:
        return None
    told = f"finetune: each epoch draws among {viewed.count} kept views of each image and the image itself"
    say(told)
    maps = view_maps(extractor, viewed, plain, depth, limits.beside(plain), watch)
    if maps is not None:
        return Feed(depth=depth, source=maps, views=viewed.count, told=told)
    say("finetune: there is no room for the views")
    return None


def _image_feed(extractor: Extractor, viewed: Viewed, classes: int, limits: Limits, watch: Stopwatch) -> Feed:
    """Images, changed anew in each epoch; decoded once while they fit."""
    told = "finetune: images are changed anew in each epoch, so every one passes the whole network each time"
    say(told)
    index = viewed.index
    judged = np.setdiff1d(np.arange(len(index.files)), viewed.rows)
    larger = canvas(extractor, viewed.pipeline)
    numbers = image_numbers(list(index.files["sha256"]))
    # Those that train come first: changing them takes the time, and there are more of them.
    trained = _some_maps(larger, index, viewed.rows, limits, watch)
    beside = _some_maps(extractor, index, judged, limits.beside(trained), watch)
    return Feed(
        depth=0,
        source=_images(extractor, index, beside),
        drawn=_images(larger, index, trained),
        augment=Augmentation(viewed.pipeline, numbers, classes),
        told=told,
    )


def _some_maps(
    extractor: Extractor, index: Index, rows: np.ndarray, limits: Limits, watch: Stopwatch
) -> MapBank | None:
    """The decoded images of some rows of an index; the others have none."""
    if not len(rows):
        return None
    some = map_bank(extractor, replace(index, files=index.files.iloc[rows]), 0, limits, watch)
    if some is None:
        return None
    places = np.full(len(index.files), -1)
    places[rows] = some.rows
    return MapBank(some.maps, places)


def _images(extractor: Extractor, index: Index, kept: MapBank | None) -> ImageSource:
    paths = [index.root / path for path in index.files["path"]]
    return ImageSource(paths, extractor.policy, kept)
