"""Settings of `make docs`; docs/decisions/0022-one-set-of-pages.md gives the reasons.

The source folder is the repository, so that relative links from a page to a config, a result or the README work in
the repository and on the site. Pages are plain Markdown; the site's menu is added when Sphinx reads a page.
"""

import re
from importlib.metadata import version as installed
from pathlib import PurePosixPath

from sphinx.application import Sphinx

project = "farback"
author = copyright = "The farback authors"
version = release = installed("farback")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**.md", "results/*/report.md"]
exclude_patterns = [".*", "build", "dist", "src", "tests", "results/store", "results/smoke", "results/*--*"]

MENU = {
    "Guide": (
        "docs/start",
        "docs/from-the-equation",
        "docs/measures",
        "docs/sweeps",
        "docs/search",
        "docs/extend",
        "docs/plug-ins",
        "docs/from-python",
        "docs/your-own-network",
        "docs/arrays",
        "docs/your-own-data",
        "docs/mlflow-ui",
        "docs/command-line",
        "docs/scale",
        "docs/reliability",
        "docs/security",
        "docs/source-tree",
    ),
    "Reference": ("docs/reference/components", "docs/reference/config", "docs/reference/*"),
    "Results": ("docs/claims", "results/*/report"),
    "Project": ("README", "CONTRIBUTING", "CHANGELOG", "docs/decisions/index", "docs/log"),
    "More": ("docs/*",),
}
BELOW = {"docs/index": MENU, "docs/decisions/index": {"": ("docs/decisions/*",)}}

myst_heading_anchors = 4
myst_fence_as_directive = ()
suppress_warnings = ["misc.highlighting_failure"]  # an excerpt of a config need not be valid YAML
nitpicky = True
HIDDEN = ("psychometric.Posterior", "learning_times.Law")  # not public names
nitpick_ignore = [("py:class", f"farback.stats.{name}") for name in HIDDEN]
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
html_show_search_summary = False  # the summary is fetched, which browsers do not allow for pages opened from a file
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": []}

linkcheck_timeout = 10
linkcheck_anchors = False  # several sites create their anchors with scripts
linkcheck_ignore = [r"http://(127\.0\.0\.1|localhost|HOST)[:/].*"]


def add_menu(app: Sphinx, docname: str, content: list[str]) -> None:
    """Append its menus, if it has any, to a page; a menu lists only existing pages, and each page once."""
    left = sorted(app.env.found_docs - {docname})
    for caption, patterns in BELOW.get(docname, {}).items():
        entries = []
        for pattern in patterns:
            found = [page for page in left if PurePosixPath(page).match(pattern)]
            left = [page for page in left if page not in found]
            entries += [f"{title(page)} </{page}>" if title(page) else f"/{page}" for page in found]
        if entries:
            options = [":maxdepth: 1", *([f":caption: {caption}", ":hidden:"] if caption else [])]
            content[0] += "\n".join(["\n```{toctree}", *options, "", *entries, "```\n"])


def title(page: str) -> str:
    """The name in the menu of a page whose own title is a sentence or equals the title of another page; else empty."""
    path = PurePosixPath(page)
    return {"report": path.parent.name, "README": "README"}.get(path.name, "")


def keep_bars(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Escape |x| in docstrings, which reStructuredText would read as the name of a substitution."""
    lines[:] = [re.sub(r"(`[^`]*`)|\|", lambda found: found[1] or r"\|", line) for line in lines]


def setup(app: Sphinx) -> None:
    """Register the two functions above with Sphinx."""
    app.connect("source-read", add_menu)
    app.connect("autodoc-process-docstring", keep_bars)
