"""How images are made square."""

from typing import TYPE_CHECKING

from transferkit.recipe import AUTO, Recipe

if TYPE_CHECKING:
    import pandas as pd

# Longer than this, the middle crop cuts away over half of an image.
LONG_ASPECT = 2.0
LONG_SHARE = 0.25


def decide_resize(recipe: Recipe, train: "pd.DataFrame") -> tuple[str, str, float]:
    """(how images are made square, why, the share of long images in train)."""
    sides = train[["width", "height"]]
    long = float((sides.max(axis=1) > LONG_ASPECT * sides.min(axis=1)).mean())
    if recipe.resize != AUTO:
        return recipe.resize, f"Resize stated: {recipe.resize}.", long
    share = f"{long:.0%} of the train images are longer than {LONG_ASPECT:g} to 1"
    if long > LONG_SHARE:
        return "pad", f"Images are padded: {share}, and a middle crop would lose over half of each.", long
    return "crop", f"The middle of each image is taken, as in ImageNet training: {share}.", long
