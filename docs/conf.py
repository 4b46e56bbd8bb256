"""The documentation as a site: Sphinx builds it from these pages and from docstrings."""

import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from site_pages.lexer import NnLexer  # noqa: E402
from site_pages.reference import write_reference  # noqa: E402

project = "nnc"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "nnc"
exclude_patterns = ["site_pages"]
myst_heading_anchors = 3
myst_links_external_new_tab = True
# A page shows commands and their output as a reader sees them; colours are for code.
highlight_language = "text"
suppress_warnings = ["misc.highlighting_failure", "myst.xref_missing"]


def setup(app: Sphinx) -> None:
    """Called by Sphinx before it reads the pages."""
    app.add_lexer("nn", NnLexer)
    app.add_lexer("mlir", NnLexer)
    app.add_lexer("output", NnLexer)
    write_reference(HERE / "reference")
