"""Pictures for pretraining that nobody took: drawn by rules, the same for a seed (and the same versions).

`pictures.draw` makes one; what is in it is its labels. Each kind of figure has a module: fractals, contours,
solids, leaves. Grounds and skins are `textures`, coloured by `palettes`.
"""

from transferkit.data.drawn.pictures import HEADS, Picture, draw

__all__ = ["HEADS", "Picture", "draw"]
