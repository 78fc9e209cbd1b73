"""HTML that the studio writes itself, where a Gradio component would be less accessible.

It is shown through `gr.Markdown`: the HTML component compiles its template as code, which the
content security policy forbids. Sanitising is off there, so every text that did not come from
this package goes through `escape` first.
"""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from urllib.parse import quote

import gradio as gr

__all__ = [
    "button",
    "confirmed",
    "escape",
    "facts_html",
    "file_url",
    "html_block",
    "notice_html",
    "one_line",
]


def html_block(html: str = "", *, elem_id: str, classes: str = "") -> gr.Markdown:
    """A part of the page that holds our own HTML."""
    return gr.Markdown(
        one_line(html),
        elem_id=elem_id,
        elem_classes=["df-html", *classes.split()],
        sanitize_html=False,
        latex_delimiters=[],
        container=False,
        padding=False,
    )


def one_line(html: str) -> str:
    """The HTML without line breaks and indents, which Markdown would take for its own syntax."""
    return " ".join(line.strip() for line in html.splitlines() if line.strip())


def file_url(path: Path, version: str = "") -> str:
    """The address of a file in one of the workspace's static folders, relative to the page."""
    suffix = f"?v={quote(version)}" if version else ""
    return f"gradio_api/file={quote(path.as_posix())}{suffix}"


def facts_html(facts: Mapping[str, object]) -> str:
    """Named facts for a `dl`."""
    return "".join(
        f"<div><dt>{name}</dt><dd>{escape(str(value))}</dd></div>" for name, value in facts.items()
    )


def notice_html(text: str, *controls: str) -> str:
    """What was just done, and what can follow."""
    return f'<p class="df-undo" role="status">{escape(text)} {"".join(controls)}</p>'


def button(
    label: str,
    *,
    bridge: str,
    action: str,
    value: str = "",
    kind: str = "",
    title: str = "",
    confirm: str = "",
    yes: str = "",
    no: str = "",
    pressed: bool | None = None,
) -> str:
    """A button that sends `action` and `value` to the bridge of its tab (see actions.py).

    `title` names it where its label alone would not tell it from its neighbours; `confirm` is
    asked first, with `yes` and `no` as answers where Remove and Keep do not fit; `pressed`
    makes it a toggle.
    """
    state = "" if pressed is None else f' aria-pressed="{str(pressed).lower()}"'
    asked = confirmed(confirm)
    if yes and no:
        asked += f' data-yes="{escape(yes)}" data-no="{escape(no)}"'
    name = f' aria-label="{escape(title)}" title="{escape(title)}"' if title else ""
    return (
        f'<button type="button" class="df-button {kind}" data-bridge="{bridge}" '
        f'data-action="{action}" data-value="{escape(value)}"{name}{state}{asked}>'
        f"{label}</button>"
    )


def confirmed(question: str) -> str:
    """The attribute that makes a button ask first; nothing without a question."""
    return f' data-confirm="{escape(question)}"' if question else ""
