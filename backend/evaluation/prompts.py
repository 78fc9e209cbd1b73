"""Prompt ensembles of zero-shot scorers: sentences of each class, read from TOML, shown and edited.

The studio's own lie in `assets/prompts.toml`; those in the workspace win where names are equal.
"""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from backend.evaluation.errors import EvaluationError
from backend.settings import REPOSITORY

EMBEDDED_PROMPTS = REPOSITORY / "assets" / "prompts.toml"
OWN_PROMPTS = "prompts.toml"
PLACE = "{}"


class PromptSet(BaseModel):
    """Templates with one `{}`, and what stands there for each class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = ""
    templates: tuple[str, ...] = Field(min_length=1)
    benign: tuple[str, ...] = Field(min_length=1)
    malignant: tuple[str, ...] = Field(min_length=1)

    @field_validator("templates")
    @classmethod
    def _one_place(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        for template in templates:
            if template.count(PLACE) != 1:
                raise ValueError(f"the template '{template}' has to hold {PLACE} once")
        return templates

    def sentences(self, malignant: bool) -> list[str]:
        """Every sentence of a class."""
        names = self.malignant if malignant else self.benign
        return [template.replace(PLACE, name) for name in names for template in self.templates]


_FILE = TypeAdapter(dict[str, PromptSet])


def read_prompts(workspace: Path | None = None) -> dict[str, PromptSet]:
    """All prompt sets by name.

    Raises:
        EvaluationError: a file is no TOML, or a set in it cannot be used.
    """
    prompts = _read(EMBEDDED_PROMPTS)
    own = workspace / OWN_PROMPTS if workspace else None
    return prompts | _read(own) if own and own.exists() else prompts


def find_prompts(name: str, workspace: Path | None = None) -> PromptSet:
    """The prompt set of a name.

    Raises:
        EvaluationError: there is none, or the file cannot be read.
    """
    prompts = read_prompts(workspace)
    if name not in prompts:
        raise EvaluationError(f"There are no prompts '{name}': use one of {', '.join(prompts)}.")
    return prompts[name]


def _read(path: Path) -> dict[str, PromptSet]:
    try:
        return _FILE.validate_python(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EvaluationError(f"{path.name} is no TOML that can be read: {error}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise EvaluationError(
            f"{path.name}, `{where}`: {message[:1].lower()}{message[1:]}."
        ) from error
