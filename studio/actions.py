"""The way from a button inside our own HTML to a Python handler.

`assets/js/actions.js` writes what was pressed into a hidden textbox, the bridge of the tab, whose
change event runs the handler.
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import gradio as gr
from gradio.components import Component
from pydantic import BaseModel, ConfigDict, ValidationError

from backend.errors import DermaFluxError


class PageAction(BaseModel):
    """What was pressed and on which job, image or caption; `nonce` lets it be pressed again.

    `on` is the state of a checkbox, `choice` what was chosen in a list.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: str
    value: str = ""
    on: bool = False
    choice: str = ""
    nonce: int


class ActionError(DermaFluxError):
    """The page sent something that is not one of its own actions."""


def bridge(name: str) -> gr.Textbox:
    """The hidden textbox that receives the actions of one tab."""
    return gr.Textbox(elem_id=name, label="Actions", visible="hidden", interactive=True)


def on_action(
    received: gr.Textbox,
    handler: Callable[..., Any],
    inputs: AbstractSet[Component] | Component,
    outputs: Sequence[Component],
) -> None:
    """Run the handler for every action in turn: none is dropped, however fast they come."""
    received.change(
        handler,
        inputs,
        outputs,
        show_progress="hidden",
        trigger_mode="multiple",
        concurrency_limit=1,
    )


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
