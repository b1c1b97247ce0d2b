"""How `make docs` builds the site: docs/decisions/0022-one-set-of-pages.md says why it is done this way.

The source folder is the repository, so a link from a page to a config, a result or the README is the same relative
link in the repository and on the site. Pages stay plain Markdown: what belongs to the site alone, the order of the
menu, is here and is added to a page while it is read.
"""

from importlib.metadata import version as installed
from pathlib import Path

from sphinx.application import Sphinx

project = "farback"
author = copyright = "The farback authors"
version = release = installed("farback")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**.md", "results/*/report.md"]
exclude_patterns = [".*", "build", "dist", "src", "tests", "results/store", "results/smoke", "results/*--*"]

ROOT = Path(__file__).parent.parent
MENU = {
    "Guide": (
        "docs/start",
        "docs/from-the-equation",
        "docs/measures",
        "docs/sweeps",
        "docs/search",
        "docs/extend",
        "docs/your-own-network",
        "docs/mlflow-ui*",
        "docs/scale",
        "docs/reliability",
        "docs/security",
    ),
    "Reference": ("docs/reference/config", "docs/reference/api"),
    "Findings": ("docs/claims*", "results/*/report"),
    "Project": ("README </README>", "CONTRIBUTING", "CHANGELOG", "docs/decisions/index", "docs/log", "docs/*"),
}
BELOW = {
    "docs/index": MENU,
    "docs/decisions/index": {"": ("docs/decisions/*",)},
}

myst_heading_anchors = 4
myst_fence_as_directive = ()
suppress_warnings = [
    "misc.highlighting_failure",  # an excerpt of a config need not be one
]
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!farback\.(measures|search|stats)\.).*")]

default_role = "code"  # docstrings write `names` as Markdown does
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "farback"
html_static_path = ["_static"]
html_css_files = ["farback.css"]
html_extra_path = ["_top"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": []}

linkcheck_timeout = 10
linkcheck_anchors = False  # several sites make theirs with scripts
linkcheck_ignore = [r"http://(127\.0\.0\.1|localhost|HOST)[:/].*"]


def add_menu(app: Sphinx, docname: str, content: list[str]) -> None:
    """Append the menus of a page that has some; a pattern without pages is left out, for its pages may come later."""
    for caption, pages in BELOW.get(docname, {}).items():
        hidden = f":caption: {caption}\n:hidden:\n" if caption else ""
        there = [page for page in pages if page.endswith(">") or any(ROOT.glob(f"{page}.md"))]
        entries = "\n".join(page if page.endswith(">") else f"/{page}" for page in there)
        content[0] += f"\n```{{toctree}}\n:maxdepth: 1\n:glob:\n{hidden}\n{entries}\n```\n"


def setup(app: Sphinx) -> None:
    """Connect the hook."""
    app.connect("source-read", add_menu)
