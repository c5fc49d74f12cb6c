"""Settings of the documentation: ``make docs`` builds it into docs/_build/html."""

from ecgxai_core import __version__

project = "ECG-XAI"
author = "The ECG-XAI developers"
copyright = author
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
nb_execution_mode = "off"  # the tests run the notebooks
myst_heading_anchors = 3
autosummary_generate = True
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
default_role = "code"
# Magnitudes in docstrings are no substitutions.
rst_prolog = "".join(
    f".. |{name}| replace:: \\|{name}\\|\n" for name in ("weight", "density", "phi")
)
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"ECG-XAI {version}"
html_show_copyright = False
