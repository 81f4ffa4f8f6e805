"""Sphinx: `sphinx-build -W docs build/docs`. Pages are Markdown; the reference comes from the code."""

from transferkit import __version__

project, release = "transferkit", __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
html_theme = "furo"
exclude_patterns = ["build"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
# Types stand in the signatures; the docstrings have shapes and ranges.
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_attr_annotations = True
napoleon_use_ivar = True
default_role = "code"
nitpicky = False
