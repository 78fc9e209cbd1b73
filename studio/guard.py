"""What a person sees when a handler fails: one sentence, with everything on the page kept."""

import functools
import logging
from collections.abc import Callable
from typing import Any, ParamSpec

import gradio as gr

from backend.errors import DermaFluxError
from studio.markup import escape

Parameters = ParamSpec("Parameters")

UNEXPECTED = (
    "Something went wrong inside the studio and the step was not done. "
    "Nothing was lost: try again, and if it stays so, look into the log in the workspace."
)

logger = logging.getLogger(__name__)


TICK_SENTENCE_S = 3.0


def guarded(handler: Callable[Parameters, Any]) -> Callable[Parameters, Any]:
    """The handler, its errors turned into a sentence and its outputs left as they were."""
    return _guarded(handler, shown_s=None)


def guarded_tick(handler: Callable[Parameters, Any]) -> Callable[Parameters, Any]:
    """The same for what a timer calls: its sentence goes by itself, or they would pile up."""
    return _guarded(handler, shown_s=TICK_SENTENCE_S)


def warn(sentence: str, shown_s: float | None = None) -> None:
    """Show a sentence, until the person closes it unless a time is given."""
    gr.Warning(escape(sentence), duration=shown_s, title="Please check")


def _guarded(
    handler: Callable[Parameters, Any], shown_s: float | None
) -> Callable[Parameters, Any]:
    @functools.wraps(handler)
    def wrapper(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
        try:
            return handler(*args, **kwargs)
        except DermaFluxError as error:
            warn(str(error), shown_s)
        except Exception:  # the page must outlive any fault; the traceback goes to the log
            logger.exception("handler failed", extra={"handler": handler.__name__})
            warn(UNEXPECTED, shown_s)
        return gr.skip()

    return wrapper
