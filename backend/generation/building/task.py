"""The declaration of a dataset build, the places of its set, and the seed of every candidate."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from backend.abc.attributes import Label
from backend.generation.design.design import MAX_ROWS, Design, DesignError, problem_sentences
from backend.generation.design.files import read_table, save_table, table_hash
from backend.generation.design.table import CaptionTable, DesignRow
from backend.generation.errors import GenerationError
from backend.generation.profile import Profile
from backend.generation.request import SEEDS, GenerationRequest, LoraUse, make_request
from backend.settings import Settings

MAX_NAME = 80
MAX_BEST_OF = 16

Share = Annotated[float, Field(ge=0, le=1)]


class BuildError(GenerationError):
    """A set cannot be built as it is declared, or not to its end."""


class Rules(BaseModel):
    """Which candidates are rejected.

    `lesion` asks for a lesion at all; `min_confidence` for a mask whose quality is at least that
    (0 takes any); `max_correlation` for thumbnails that correlate with none of the set by more
    (1 takes any; 0.985 finds real near-duplicates in HAM10000).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lesion: bool = True
    min_confidence: Share = 0.3
    max_correlation: Share = 0.985


class BuildTask(BaseModel):
    """A named set to be built from the captions of `table`, the hash of a table that is kept.

    `per_class` images of each label, captions repeated in turn where there are fewer; None: one
    of each caption. Of `best_of` candidates that fit the rules, the one that agrees best with its
    caption is kept; where none fits, as many again are made, until the candidates of a class
    number `attempts` times its images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    table: str = Field(pattern=r"^[0-9a-f]{64}$")
    design: Design | None = None
    per_class: int | None = Field(None, ge=1, le=MAX_ROWS)
    best_of: int = Field(1, ge=1, le=MAX_BEST_OF)
    attempts: int = Field(20, ge=1, le=1000)
    rules: Rules = Rules()
    seed: int = Field(0, ge=0, lt=SEEDS)
    negative_caption: str | None = None
    model: str = "starter"
    steps: int = 20
    guidance_scale: float = 3.5
    attribute_guidance: float | None = None
    width: int = 128
    height: int = 128
    max_sequence_length: int | None = None
    loras: tuple[LoraUse, ...] = ()
    profile: Profile | None = None

    @field_validator("name", mode="after")
    @classmethod
    def _named(cls, name: str) -> str:
        name = " ".join("".join(sign if sign.isprintable() else " " for sign in name).split())
        if not 0 < len(name) <= MAX_NAME:
            raise ValueError(f"The name of a set has 1 to {MAX_NAME} characters: choose one.")
        return name

    @field_validator("profile", mode="after")
    @classmethod
    def _no_draft(cls, profile: Profile | None) -> Profile | None:
        if profile is Profile.DRAFT:
            raise ValueError("A set is not built from drafts: choose another profile.")
        return profile

    @model_validator(mode="after")
    def _enough_attempts(self) -> Self:
        if self.attempts < self.best_of:
            raise ValueError(
                f"{self.attempts} attempts an image are fewer than the {self.best_of} candidates "
                "to choose from: allow more attempts."
            )
        return self


@dataclass(frozen=True)
class Place:
    """A place in the set: its number, its class, and the caption that its image follows."""

    position: int
    label: Label | None
    row: DesignRow


def make_task(values: Mapping[str, object]) -> BuildTask:
    """A task from the values of a form, a command line or a stored job.

    Raises:
        BuildError: one sentence for each thing that is wrong.
    """
    try:
        return BuildTask.model_validate(dict(values))
    except ValidationError as error:
        raise BuildError(problem_sentences(error, "build")) from error


def keep_table(settings: Settings, table: CaptionTable) -> str:
    """Keep a table in the workspace under its hash, which is returned.

    Raises:
        FileError: disk full, or the workspace cannot be written.
    """
    name = table_hash(table)
    save_table(_table_file(settings, name), table)
    return name


def kept_table(settings: Settings, task: BuildTask) -> CaptionTable:
    """The captions of a task.

    Raises:
        BuildError: the table is gone or has been changed.
    """
    try:
        table = read_table(_table_file(settings, task.table))
    except DesignError as error:
        raise BuildError(f"The captions of this set are gone or damaged: {error}") from error
    if table_hash(table) != task.table:
        raise BuildError("The captions of this set were changed after it began: build it anew.")
    return table


def places(task: BuildTask, table: CaptionTable) -> tuple[Place, ...]:
    """The places of the set, classes taking turns.

    Raises:
        BuildError: there are too many.
    """
    classes: dict[Label | None, list[DesignRow]] = {}
    for row in table.rows:
        classes.setdefault(row.label, []).append(row)
    columns = [
        [(label, rows[index % len(rows)]) for index in range(task.per_class or len(rows))]
        for label, rows in classes.items()
    ]
    total = sum(map(len, columns))
    if total > MAX_ROWS:
        raise BuildError(f"A set has at most {MAX_ROWS:,} images, not {total:,}: split it.")
    return tuple(
        Place(position, label, row) for position, (label, row) in enumerate(_turns(columns))
    )


def candidate_request(task: BuildTask, place: Place, attempt: int) -> GenerationRequest:
    """The request of a candidate: its seed follows from the build's, the place and the attempt.

    Raises:
        RequestError: size, steps or guidance are out of range, or a LoRA is named twice.
    """
    row = place.row
    return make_request(
        {
            "caption": row.caption,
            "negative_caption": task.negative_caption,
            "style": row.style,
            "template": row.template,
            "attributes": row.attributes,
            "model": task.model,
            "seed": candidate_seed(task.seed, place.position, attempt),
            "steps": task.steps,
            "guidance_scale": task.guidance_scale,
            "attribute_guidance": task.attribute_guidance,
            "width": task.width,
            "height": task.height,
            "max_sequence_length": task.max_sequence_length,
            "loras": task.loras,
            "profile": task.profile,
        }
    )


def candidate_seed(seed: int, position: int, attempt: int) -> int:
    """32 bits that depend on nothing else, so that a resumed build goes on as if never stopped."""
    return int(np.random.SeedSequence((seed, position, attempt)).generate_state(1)[0])


def label_words(label: Label | None) -> str:
    """A class in a sentence."""
    return "unlabelled" if label is None else label.value


def _turns(
    columns: Sequence[Sequence[tuple[Label | None, DesignRow]]],
) -> Iterator[tuple[Label | None, DesignRow]]:
    for turn in zip_longest(*columns):
        yield from (item for item in turn if item is not None)


def _table_file(settings: Settings, name: str) -> Path:
    return settings.designs_dir / f"{name}.jsonl"
