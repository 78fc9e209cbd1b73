"""What a vision-language model is asked, and what is put into it for each image."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from backend.abc.attributes import Label
from backend.captioning.errors import CaptioningError
from backend.files import read_file

PLACEHOLDER = "[label]"
MAX_CHARACTERS = 4_000
PAPER = (
    "This is an image containing a [label] lesion. Give me a description of this mole regarding "
    "its asymmetry, border irregularity, and color."
)
"""The instruction of the DermaFlux paper; it names the label, which captions then leak."""
LABEL_FREE = (
    "This is an image containing a skin lesion. Give me a description of this mole regarding its "
    "asymmetry, border irregularity, and color."
)
PROMPTS: Mapping[str, str] = MappingProxyType({"paper": PAPER, "label-free": LABEL_FREE})
"""By the name under which they are offered."""
LEAKS = (
    "The prompt tells the captioner the label, so that captions may give it away; the prompt "
    "label-free does not."
)
"""Said where a prompt names the label."""
_BRACKETS = re.compile(r"\[[\w ]{1,30}\]")


def read_prompt(given: str) -> str:
    """A prompt by its name in PROMPTS, or the text of a file.

    Raises:
        CaptioningError: there is neither, or the text cannot be a prompt.
        FileError: the file cannot be read.
    """
    if given in PROMPTS:
        return PROMPTS[given]
    file = Path(given)
    if not file.is_file():
        names = " and ".join(PROMPTS)
        raise CaptioningError(
            f"There is no prompt {given}: {names} are offered, any other is the name of a file."
        )
    try:
        return checked_prompt(read_file(file).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise CaptioningError(f"The prompt file {file.name} is not UTF-8: save it so.") from error


def checked_prompt(text: str) -> str:
    """The prompt without blanks around it.

    Raises:
        CaptioningError: it is empty, too long, or has another placeholder than the label's.
    """
    text = text.strip()
    if not text:
        raise CaptioningError("The prompt is empty: write what the captioner is to do.")
    if len(text) > MAX_CHARACTERS:
        raise CaptioningError(
            f"The prompt has {len(text):,} characters, the most allowed is {MAX_CHARACTERS:,}: "
            "shorten it."
        )
    unknown = next((one for one in _BRACKETS.findall(text) if one != PLACEHOLDER), None)
    if unknown is not None:
        raise CaptioningError(
            f"The prompt has {unknown}, which nothing is put in for: {PLACEHOLDER} alone is known."
        )
    return text


def names_label(prompt: str) -> bool:
    """Whether the model is told the label, so that its captions may give it away."""
    return PLACEHOLDER in prompt


def fill(prompt: str, label: Label) -> str:
    """The prompt for an image of this label."""
    return prompt.replace(PLACEHOLDER, label.value)
