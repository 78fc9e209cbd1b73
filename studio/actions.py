"""The way from a button inside our own HTML to a Python handler.

`assets/js/actions.js` writes what was pressed into a hidden textbox, the bridge of the tab, whose
change event runs the handler.
"""

import gradio as gr
from pydantic import BaseModel, ConfigDict, ValidationError

from backend.errors import DermaFluxError


class PageAction(BaseModel):
    """What was pressed and on which job, image or caption; `nonce` lets it be pressed again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: str
    value: str = ""
    on: bool = False
    nonce: int


class ActionError(DermaFluxError):
    """The page sent something that is not one of its own actions."""


def bridge(name: str) -> gr.Textbox:
    """The hidden textbox that receives the actions of one tab."""
    return gr.Textbox(elem_id=name, label="Actions", visible="hidden", interactive=True)


def read_action(text: str) -> PageAction:
    """The action in a bridge.

    Raises ActionError for anything that actions.js did not write.
    """
    try:
        return PageAction.model_validate_json(text)
    except ValidationError as error:
        raise ActionError(
            "The page sent an action that the studio does not know: reload the page."
        ) from error
