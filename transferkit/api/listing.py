"""What there is to choose from, as tables."""

from typing import TYPE_CHECKING

from transferkit.backbone.catalogue import every
from transferkit.cache import cache_root
from transferkit.recipe import read_recipe, recipe_names

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = (
    "name", "family", "parameters", "macs", "top1", "top5", "image_size", "width", "licence",
)  # fmt: skip


def backbones() -> "pd.DataFrame":
    """Every backbone of the catalogue.

    Returns:
        `name,family,parameters,macs,top1,top5,image_size,width,licence,stages`: parameters and multiply-adds
        of an image without the ImageNet classifier, ImageNet accuracies as published (0..1, NaN where none
        is), the side of images in pixels, features of the last stage, and how many stages.
    """
    import pandas as pd

    rows = [
        {column: getattr(spec, column) for column in _COLUMNS} | {"stages": len(spec.stages)}
        for spec in every()
    ]
    return pd.DataFrame(rows)


def datasets() -> "pd.DataFrame":
    """The public data sets that go by name: `name,images,classes,licence,cell,folder`, "" if not fetched."""
    import pandas as pd

    from transferkit.data.public import cached_folder, cards

    rows = [
        {
            "name": card.name,
            "images": card.images,
            "classes": card.classes,
            "licence": card.licence,
            "cell": card.cell,
            "folder": str(cached_folder(card.name, cache=cache_root()) or ""),
        }
        for card in cards()
    ]
    return pd.DataFrame(rows)


def recipes() -> "pd.DataFrame":
    """The recipes that come with transferkit: `name` and, where they state them, their keys."""
    import pandas as pd

    return pd.DataFrame([{"name": name, **read_recipe(name)} for name in recipe_names()])
