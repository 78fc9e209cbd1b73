"""What a model answered, made a caption with findings, or a reason to be unsure."""

import re
from dataclasses import dataclass

from backend.abc.attributes import Label
from backend.abc.caption_text import MAX_CHARACTERS, CaptionError, clean_caption
from backend.captioning.checks import check_caption
from backend.captioning.findings import Check, Finding, Severity
from backend.captioning.records import NewCaption
from backend.captioning.seen import Seen

MANY_TAGS = 3
_THINKING = re.compile(r"^\s*<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_PAGE = re.compile(r"<!doctype|<html\b|<head\b|<body\b", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>", re.IGNORECASE)
_MARKS = (
    (re.compile(r"```\w*"), ""),
    (re.compile(r"^\s*(?:#{1,6}|[-*+\u2022]|\d{1,2}[.)])\s+", re.MULTILINE), ""),
    (re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1", re.DOTALL), r"\2"),
)
"""Signs of Markdown that models put around a description, and what takes their place."""


@dataclass(frozen=True)
class Answer:
    """A text; `cut` where the limit of tokens ended it; or none, and why in `unsure`."""

    text: str
    cut: bool = False
    unsure: str = ""


def caption_from(
    answer: Answer, image_id: str, *, seen: Seen | None, label: Label, limit: int
) -> NewCaption:
    """What is kept of an answer that may have had `limit` tokens.

    Thoughts before it and marks of Markdown are left out. An answer that is empty, a web page or
    too long for a caption is unsure; all else is a caption, with what speaks against it.
    """
    text, reason = ("", answer.unsure) if answer.unsure else _usable(answer.text)
    if not text:
        return NewCaption(image_id, "", reason, ())
    findings = check_caption(text, seen=seen, label=label)
    if answer.cut and not any(one.check is Check.TRUNCATION for one in findings):
        said = f"The answer was cut off at {limit} tokens."
        cut = Finding(Check.TRUNCATION, Severity.WARNING, said)
        order = list(Severity)
        findings = tuple(sorted((*findings, cut), key=lambda one: order.index(one.severity)))
    return NewCaption(image_id, text, "", findings)


def _usable(text: str) -> tuple[str, str]:
    """The caption; or none, and why."""
    answer = _THINKING.sub("", text)
    if _PAGE.search(answer) or len(_TAG.findall(answer)) >= MANY_TAGS:
        return "", "the answer is a web page, not a description"
    for mark, instead in _MARKS:
        answer = mark.sub(instead, answer)
    if not answer.strip():
        only = "only thoughts, cut off before a description" if text.strip() else "empty"
        return "", f"the answer is {only}"
    try:
        return clean_caption(answer), ""
    except CaptionError:
        words = len(answer.split())
        if len(answer) > MAX_CHARACTERS:
            return "", (
                f"the answer has {words:,} words, where a caption has at most "
                f"{MAX_CHARACTERS:,} characters"
            )
        return "", "the answer holds no text"
