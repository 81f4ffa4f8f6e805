"""transferkit: the best image classifier that a folder of photos allows."""

from transferkit._version import __version__

__all__ = ["__version__"]
