"""The page's own stylesheets and scripts, read once when the page is built.

Scripts travel inside the page head: under the studio's content security policy (no `unsafe-eval`)
Gradio's `js=` arguments and its HTML component, which compile strings, do not run.
"""

from pathlib import Path

ASSETS = Path(__file__).resolve().parent.parent / "assets"
STYLESHEETS = (
    *("base", "header", "controls", "gallery", "jobs"),
    *("corpus", "labels", "duplicates", "captions", "review", "train", "benchmark"),
)
SCRIPTS = (
    *("answers", "actions", "appearance", "compare", "dialogs", "duplicates", "keyboard"),
    *("repairs", "ways", "review", "benchmark"),
)


def stylesheets() -> list[Path]:
    """The stylesheets in the order of the cascade."""
    return [ASSETS / "css" / f"{name}.css" for name in STYLESHEETS]


def page_head() -> str:
    """What goes into <head>: the page's scripts, inline."""
    scripts = [(ASSETS / "js" / f"{name}.js").read_text("utf-8") for name in SCRIPTS]
    return "\n".join(f"<script>\n{script}</script>" for script in scripts)
