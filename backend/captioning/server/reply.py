"""What a server of chat completions sent back, read with doubt."""

import json
from typing import Any

from backend.captioning.answers import Answer

REASON_CHARACTERS = 200


class BadReplyError(Exception):
    """No chat completion; the message says what it was instead, in a few words."""


def read_reply(body: bytes) -> Answer:
    """The answer in the body of a chat completion.

    Raises:
        BadReplyError: it is something else.
    """
    values = _object(body)
    if "error" in values and "choices" not in values:
        raise BadReplyError(f"an error: {reason_of(body)}")
    choices = values.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise BadReplyError("JSON that is no chat completion")
    reason = choice.get("finish_reason")
    if reason == "content_filter":
        return Answer("", unsure="the server withheld the answer (content filter)")
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal.strip():
        return Answer("", unsure=f"the model refused: {_line(refusal)}")
    return Answer(_text(message.get("content")), cut=reason == "length")


def reason_of(body: bytes) -> str:
    """What a server says went wrong, in at most REASON_CHARACTERS."""
    text = body.decode("utf-8", errors="replace")
    if looks_like_page(body):
        return "a web page"
    try:
        values = json.loads(text)
    except ValueError:
        return _line(text) or "nothing"
    error = values.get("error", values) if isinstance(values, dict) else values
    if isinstance(error, dict):
        error = error.get("message", error.get("detail", error))
    return _line(error if isinstance(error, str) else json.dumps(error))


def looks_like_page(body: bytes) -> bool:
    """Whether a body is HTML, whatever its header says."""
    start = body[:512].lstrip().lower()
    return start.startswith((b"<!doctype", b"<html", b"<head", b"<body", b"<?xml"))


def _object(body: bytes) -> dict[str, Any]:
    if not body.strip():
        raise BadReplyError("an empty answer")
    if looks_like_page(body):
        raise BadReplyError("a web page")
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadReplyError("what is not JSON") from error
    if not isinstance(values, dict):
        raise BadReplyError("JSON that is no chat completion")
    return values


def _text(content: object) -> str:
    """Plain, or in parts as some servers send it; nothing where there is none."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "\n".join(part for part in parts if isinstance(part, str))
    if content is None:
        return ""
    raise BadReplyError("JSON that is no chat completion")


def _line(text: str) -> str:
    return " ".join(text.split())[:REASON_CHARACTERS]
